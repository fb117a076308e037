//! `postgres://user:password@host:port,host:port/database?key=value`.
//!
//! The grammar is libpq's ("Connection URIs"), which allows several hosts and
//! percent-encoded socket folders, so that no general URL parser takes it.

use super::ConninfoError;
use super::keywords::Origin;
use super::parameters::Parameters;

const SCHEMES: [&str; 3] = ["postgresql://", "postgres://", "ecto://"];

/// What follows the scheme, if the text is a URI of ours.
pub(super) fn after_scheme(text: &str) -> Option<&str> {
    SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme))
}

/// Reads all parts into parameters.
pub(super) fn parse(rest: &str) -> Result<Parameters, ConninfoError> {
    let mut parameters = Parameters::default();
    let rest = user_and_password(rest, &mut parameters)?;
    let rest = hosts(rest, &mut parameters)?;
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if let Some(database) = path.strip_prefix('/').filter(|text| !text.is_empty()) {
        parameters.set("dbname", decode(database)?);
    }
    // Beyond the hosts an @ almost always comes from an unescaped password.
    parameters.names_may_be_secret = rest.contains('@');
    for pair in query
        .into_iter()
        .flat_map(|query| query.split_terminator('&'))
    {
        let parts = pair
            .split_once('=')
            .filter(|(_, value)| !value.contains('='));
        let wrong =
            || ConninfoError::syntax("a parameter after the ? is not of the form key=value");
        let (key, value) = parts.ok_or_else(wrong)?;
        parameters.add(&decode(key)?, decode(value)?, Origin::Text);
    }
    Ok(parameters)
}

/// The user ends at the first `:`, the password at the first `@`, and neither has
/// a `/`.
fn user_and_password<'a>(
    rest: &'a str,
    parameters: &mut Parameters,
) -> Result<&'a str, ConninfoError> {
    let end = rest
        .find(['@', '/'])
        .filter(|at| rest[*at..].starts_with('@'));
    let Some(end) = end else {
        return Ok(rest);
    };
    let (user, password) = match rest[..end].split_once(':') {
        Some((user, password)) => (user, password),
        None => (&rest[..end], ""),
    };
    if !user.is_empty() {
        parameters.set("user", decode(user)?);
    }
    if !password.is_empty() {
        parameters.set("password", decode(password)?);
    }
    Ok(&rest[end + 1..])
}

/// Hosts and ports become lists with commas, as the parameters have them.
fn hosts<'a>(rest: &'a str, parameters: &mut Parameters) -> Result<&'a str, ConninfoError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    let mut rest = rest;
    loop {
        let (host, after) = host(rest)?;
        hosts.push(decode(host)?);
        rest = after;
        let port = match rest.strip_prefix(':') {
            Some(after) => {
                let end = after.find(['/', '?', ',']).unwrap_or(after.len());
                rest = &after[end..];
                &after[..end]
            }
            None => "",
        };
        ports.push(port.to_owned());
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    for (keyword, values) in [("host", hosts), ("port", ports)] {
        if values.iter().any(|value| !value.is_empty()) || values.len() > 1 {
            parameters.set(keyword, values.join(","));
        }
    }
    Ok(rest)
}

fn host(rest: &str) -> Result<(&str, &str), ConninfoError> {
    let Some(bracketed) = rest.strip_prefix('[') else {
        let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
        return Ok(rest.split_at(end));
    };
    let wrong = || ConninfoError::syntax("an IPv6 address is not of the form [::1]");
    let (address, after) = bracketed.split_once(']').ok_or_else(wrong)?;
    let ends = after.is_empty() || after.starts_with([':', '/', '?', ',']);
    if address.is_empty() || !ends {
        return Err(wrong());
    }
    Ok((address, after))
}

fn decode(text: &str) -> Result<String, ConninfoError> {
    let wrong =
        || ConninfoError::syntax("a % is not followed by two hexadecimal digits of a character");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    let decoded = String::from_utf8(bytes).map_err(|_| wrong())?;
    if decoded.contains('\0') {
        return Err(wrong());
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(text: &str, keyword: &str) -> Option<String> {
        let parameters = parse(after_scheme(text).unwrap()).unwrap();
        parameters.get(keyword).map(str::to_owned)
    }

    #[test]
    fn parts_are_found() {
        let url =
            "postgres://us%65r:p%40ss?w:x@h1:1,[::1]:2,h3/d%2Fb?sslmode=require&options=-c%20x";
        assert_eq!(get(url, "user").unwrap(), "user");
        assert_eq!(get(url, "password").unwrap(), "p@ss?w:x");
        assert_eq!(get(url, "host").unwrap(), "h1,::1,h3");
        assert_eq!(get(url, "port").unwrap(), "1,2,");
        assert_eq!(get(url, "dbname").unwrap(), "d/b");
        assert_eq!(get(url, "sslmode").unwrap(), "require");
        assert_eq!(get(url, "options").unwrap(), "-c x");
    }

    #[test]
    fn everything_may_be_left_out() {
        for url in [
            "postgres://",
            "postgresql:///",
            "ecto://?",
            "postgres://@:/",
        ] {
            for keyword in ["user", "password", "host", "port", "dbname"] {
                assert_eq!(get(url, keyword), None, "{url}");
            }
        }
        assert_eq!(get("postgres:///d", "dbname").unwrap(), "d");
        assert_eq!(get("postgres://%2Ftmp/d", "host").unwrap(), "/tmp");
        assert_eq!(get("postgres://,b", "host").unwrap(), ",b");
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for wrong in [
            "h%zz",
            "h%4",
            "h%00",
            "h%ff",
            "[::1",
            "[]",
            "[::1]x",
            "h?a",
            "h?a=b=c",
            "h?a=b&&c=d",
        ] {
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
