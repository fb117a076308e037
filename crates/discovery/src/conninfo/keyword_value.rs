//! `host=db port=5432 password='a b'`: libpq's other form of connection string.

use super::ConninfoError;
use super::keywords::Origin;
use super::parameters::Parameters;

/// Reads all pairs into parameters.
pub(super) fn parse(text: &str) -> Result<Parameters, ConninfoError> {
    let mut parameters = Parameters::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| ConninfoError::syntax("something is not of the form key=value"))?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(ConninfoError::syntax(
                "something is not of the form key=value",
            ));
        }
        let (value, after) = value(after.trim_start())?;
        parameters.add(key, value, Origin::Text);
        rest = after.trim_start();
    }
    Ok(parameters)
}

/// A value in quotes or up to the next blank; a backslash takes the next
/// character as it is.
fn value(text: &str) -> Result<(String, &str), ConninfoError> {
    let quoted = text.starts_with('\'');
    // Large enough from the start: what grows leaves copies of a password behind.
    let mut value = String::with_capacity(text.len());
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            blank if blank.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            _ => value.push(char),
        }
    }
    if quoted {
        return Err(ConninfoError::syntax("a quoted value does not end"));
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_found() {
        let text = r"  host = 'a b\'c\\d' user=x\ y  password='' dbname=d";
        let parameters = parse(text).unwrap();
        assert_eq!(parameters.get("host"), Some(r"a b'c\d"));
        assert_eq!(parameters.get("user"), Some("x y"));
        assert_eq!(parameters.get("password"), Some(""));
        assert_eq!(parameters.get("dbname"), Some("d"));
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for wrong in ["host", "host 'a'", "host='a", "=a", "a b=c"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }
    }
}
