//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `5s`, `250ms`, `10m` or `2h`.
///
/// # Errors
///
/// A text that says what is expected.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "write a number and a unit: 250ms, 5s, 10m or 2h".to_owned();
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(expected)
}

/// Reads `64MiB`, `512KiB` or a number of bytes.
///
/// # Errors
///
/// A text that says what is expected.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let expected = || "write a number of bytes, or 512KiB, 64MiB, 1GiB".to_owned();
    let (number, unit) = split_unit(text);
    let number: usize = number.parse().map_err(|_| expected())?;
    let factor: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    number.checked_mul(factor).ok_or_else(expected)
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "99999999999999999999s",
            "5d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 * 1024 * 1024));
        assert_eq!(parse_size("100"), Ok(100));
        for wrong in ["", "MiB", "64MB", "99999999999GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
