//! What somebody probably meant who misspelt a name.

/// How much of it must be right.
const ALIKE: f64 = 0.7;

/// The one of these names that a misspelt one is most like, if it is like any.
/// Capitals, `_` and `-` make no difference. For messages.
pub fn nearest<'a>(misspelt: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness =
        |name: &str| strsim::normalized_damerau_levenshtein(&plain(name), &plain(misspelt));
    let best = names
        .into_iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(best)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspelt_names_are_recognised() {
        let nearest = |misspelt| nearest(misspelt, ["sslmode", "connect_timeout", "host"]);
        assert_eq!(nearest("sslmod"), Some("sslmode"));
        assert_eq!(nearest("sslMode"), Some("sslmode"));
        assert_eq!(nearest("connect-timeout"), Some("connect_timeout"));
        assert_eq!(nearest("frobnicate"), None);
    }
}
