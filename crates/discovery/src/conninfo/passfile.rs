//! `~/.pgpass`: passwords by host, port, database and user.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::Password;

/// Whom a password is wanted for.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// The first password that fits; none from a file that is not there, nor from
/// one that others may read (see [`problem`]).
pub(crate) fn password(file: &Path, wanted: &Wanted<'_>) -> Option<Password> {
    let metadata = std::fs::metadata(file).ok()?;
    if !metadata.is_file() || is_exposed(&metadata) {
        return None;
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).ok()?);
    let password = text.lines().find_map(|line| password_of(line, wanted))?;
    Some(Password::new(password))
}

/// What keeps a file from being used, as a warning.
pub(super) fn problem(file: &Path) -> Option<String> {
    let metadata = std::fs::metadata(file).ok()?;
    is_exposed(&metadata).then(|| {
        let file = file.display();
        format!("password file {file} is not used: others can read it (chmod 600 it)")
    })
}

/// Any text as a line.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_line(line: &str) {
    let wanted = Wanted {
        host: "h",
        port: 5432,
        database: "d",
        user: "u",
    };
    let _ = password_of(line, &wanted);
}

fn is_exposed(metadata: &std::fs::Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

fn password_of(line: &str, wanted: &Wanted<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let port = wanted.port.to_string();
    let mut rest = line;
    for expected in [wanted.host, &port, wanted.database, wanted.user] {
        let (field, after) = field(rest);
        if rest[..rest.len() - after.len()] != *"*:" && field != expected {
            return None;
        }
        rest = after;
    }
    Some(field(rest).0).filter(|password| !password.is_empty())
}

/// Up to the next colon, which a backslash takes as it is.
fn field(text: &str) -> (String, &str) {
    // Large enough from the start: what grows leaves copies behind.
    let mut field = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            ':' => return (field, &text[at + 1..]),
            '\\' => field.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => field.push(char),
        }
    }
    (field, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(line: &str) -> Option<String> {
        let wanted = Wanted {
            host: "::1",
            port: 5432,
            database: "d",
            user: "u",
        };
        password_of(line, &wanted)
    }

    #[test]
    fn lines_fit_by_field_and_by_star() {
        assert_eq!(find(r"\:\:1:5432:d:u:secret").as_deref(), Some("secret"));
        assert_eq!(find(r"*:*:*:*:se\:c\\ret").as_deref(), Some(r"se:c\ret"));
        for other in [
            "h:5432:d:u:x",
            "*:5433:d:u:x",
            "*:*:e:u:x",
            "*:*:*:v:x",
            "#*:*:*:*:x",
            "*:*",
            "",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
