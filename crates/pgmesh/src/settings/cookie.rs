//! The cookie, from where Erlang nodes have it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgmesh_dist::Cookie;
use zeroize::Zeroizing;

use super::{ConfigError, Warning, variable};

const COOKIE: &str = "PGMESH_COOKIE";
/// The longest cookie: it is an atom on every node.
const MAX_CHARS: usize = 255;

/// Where a cookie comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieSource {
    /// `PGMESH_COOKIE`.
    Variable,
    File(PathBuf),
}

impl CookieSource {
    /// `PGMESH_COOKIE`, else the file, else `~/.erlang.cookie`.
    pub(crate) fn find(file: Option<&str>) -> Result<Self, ConfigError> {
        // The file wins where it was asked for: a flag is nearer than a variable.
        match file {
            Some(file) => Ok(Self::File(PathBuf::from(file))),
            None if variable(COOKIE).is_some() => Ok(Self::Variable),
            None => Ok(Self::File(default_file()?)),
        }
    }
}

/// Reads the cookie from where [`CookieSource::find`] finds it. Errors name the
/// file's setting as `shown`.
pub(crate) fn read_cookie(
    file: Option<&str>,
    shown: &str,
) -> Result<(Cookie, Option<Warning>), ConfigError> {
    match CookieSource::find(file)? {
        CookieSource::Variable => {
            let text = Zeroizing::new(variable(COOKIE).unwrap_or_default());
            Ok((check(COOKIE, first_line(&text))?, None))
        }
        CookieSource::File(path) => read_file(&path, shown),
    }
}

fn default_file() -> Result<PathBuf, ConfigError> {
    let home = std::env::var_os("HOME").ok_or_else(|| {
        ConfigError::without_value(
            "--cookie-file",
            "not given, and HOME is not set",
            "give --cookie-file or PGMESH_COOKIE",
        )
    })?;
    Ok(Path::new(&home).join(".erlang.cookie"))
}

fn read_file(path: &Path, setting: &str) -> Result<(Cookie, Option<Warning>), ConfigError> {
    let shown = path.display().to_string();
    let error = |problem: &str| {
        let remedy = "give the file that the cluster's nodes use, or set PGMESH_COOKIE";
        ConfigError::new(setting, &shown, problem, remedy)
    };
    let unreadable = |cause: std::io::Error| error(&format!("cannot be read: {cause}"));
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    let cookie = check(&format!("{setting} {shown:?}"), first_line(&text))?;
    let exposed = mode & 0o077 != 0 && !is_credential(path);
    let warning = exposed.then(|| {
        let mode = mode & 0o777;
        let message = format!(
            "cookie file {shown} can be read by others (mode {mode:03o}), and \
             erl refuses such a file (chmod 400 {shown})"
        );
        Warning::new("cookie_file_exposed", &["cookie-file"], message)
    });
    Ok((cookie, warning))
}

/// Whether systemd keeps it for us alone, by an access list that looks like a mode for
/// the group.
fn is_credential(path: &Path) -> bool {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY");
    folder.is_some_and(|folder| path.starts_with(folder))
}

/// Erlang reads the cookie up to the end of the line (auth.erl).
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn check(setting: &str, text: &str) -> Result<Cookie, ConfigError> {
    let problem = if text.is_empty() {
        "holds no cookie"
    } else if text.chars().count() > MAX_CHARS {
        "holds a cookie of more than 255 characters"
    } else {
        return Ok(Cookie::new(text));
    };
    let remedy = "a cookie is one line of 1 to 255 characters";
    Err(ConfigError::without_value(setting, problem, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookie");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let path = path.display().to_string();
        (folder, path)
    }

    fn read(path: &str) -> Result<(Cookie, Option<Warning>), ConfigError> {
        read_file(Path::new(path), "--cookie-file")
    }

    #[test]
    fn line_end_is_no_part_of_it() {
        let (_folder, path) = file("secret\n", 0o400);
        let (cookie, warning) = read(&path).unwrap();
        assert_eq!((cookie.expose(), warning), ("secret", None));
    }

    #[test]
    fn exposed_file_is_warned_about() {
        let (_folder, path) = file("secret", 0o644);
        let (_, warning) = read(&path).unwrap();
        let message = warning.unwrap().message;
        assert!(message.contains("644") && !message.contains("secret"));
    }

    #[test]
    fn missing_and_empty_files_are_errors() {
        let missing = read("/nonexistent/cookie").unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/cookie"));
        let (_folder, path) = file("\n", 0o400);
        assert!(read(&path).is_err());
    }
}
