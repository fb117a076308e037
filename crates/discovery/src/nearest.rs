//! What somebody probably meant who misspelt a name.

/// How much of it must be right.
const ALIKE: f64 = 0.7;

/// The one of these names that a misspelt one is most like, if it is like any.
/// Capitals, `_` and `-` make no difference. For messages.
pub fn nearest<'a>(misspelt: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let misspelt = plain(misspelt);
    let names = names.into_iter();
    let compared = names.map(|name| (likeness(&plain(name), &misspelt), name));
    let alike = compared.filter(|(how_much, _)| *how_much >= ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(best.1)
}

/// From 0 to 1. Where the lengths alone say that it is not enough, the texts are not
/// compared, which would take time for both lengths multiplied.
fn likeness(a: &str, b: &str) -> f64 {
    let (a_len, b_len) = (a.chars().count() as f64, b.chars().count() as f64);
    if a_len.min(b_len) < a_len.max(b_len) * ALIKE {
        return 0.0;
    }
    strsim::normalized_damerau_levenshtein(a, b)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::{likeness, nearest};

    #[test]
    fn misspelt_names_are_recognised() {
        let nearest = |misspelt| nearest(misspelt, ["sslmode", "connect_timeout", "host"]);
        assert_eq!(nearest("sslmod"), Some("sslmode"));
        assert_eq!(nearest("sslMode"), Some("sslmode"));
        assert_eq!(nearest("connect-timeout"), Some("connect_timeout"));
        assert_eq!(nearest("frobnicate"), None);
    }

    #[test]
    fn what_the_lengths_rule_out_is_not_compared() {
        assert_eq!(likeness("sslmodus", "sslmode"), 0.75);
        assert_eq!(
            likeness("sslmodesslm", "sslmode"),
            0.0,
            "0.64, if one asked"
        );
        assert_eq!(likeness("", ""), 1.0);
        // A half, if one asked and had the hours.
        let long = "x".repeat(1_000_000);
        assert_eq!(likeness(&long, &long.repeat(2)), 0.0);
    }
}
