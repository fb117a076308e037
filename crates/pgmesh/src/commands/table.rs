//! Columns and ages for people.

/// Rows with their columns aligned, two spaces between.
pub(super) fn aligned<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `0.4 s`, `12 s`, `5 min`, `3 h`, or a dash for never.
pub(super) fn age(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s < 10.0 => format!("{s:.1} s"),
        Some(s) if s < 120.0 => format!("{s:.0} s"),
        Some(s) if s < 7200.0 => format!("{:.0} min", s / 60.0),
        Some(s) => format!("{:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["NODE", "STATE"], ["a@h", "up"], ["longer@host", "down"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let expected = "NODE         STATE\na@h          up\nlonger@host  down";
        assert_eq!(aligned(rows.into_iter()), expected);
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(age(None), "-");
        assert_eq!(age(Some(0.44)), "0.4 s");
        assert_eq!(age(Some(75.0)), "75 s");
        assert_eq!(age(Some(600.0)), "10 min");
    }
}
