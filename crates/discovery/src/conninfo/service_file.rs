//! `pg_service.conf`: sets of parameters under a name.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::ConninfoErrorKind;
use super::{ConninfoError, Environment};

/// Debian's, where the variable `PGSYSCONFDIR` does not say otherwise.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// What the first file that defines `service` says of it: the user's own, then
/// the system's.
pub(super) fn read(
    service: &str,
    environment: &Environment,
) -> Result<Vec<(String, String)>, ConninfoError> {
    for file in files(environment) {
        let text = Zeroizing::new(std::fs::read_to_string(&file).unwrap_or_default());
        if let Some(pairs) = section(&text, service)? {
            return Ok(pairs);
        }
    }
    Err(ConninfoError::new(
        ConninfoErrorKind::UnknownService,
        "the service is defined in no service file",
        "define it in ~/.pg_service.conf, or say where with PGSERVICEFILE",
    ))
}

fn files(environment: &Environment) -> Vec<PathBuf> {
    let own = match environment.variable("PGSERVICEFILE") {
        Some(file) => Some(PathBuf::from(file)),
        None => environment.home_file(".pg_service.conf"),
    };
    let folder = environment
        .variable("PGSYSCONFDIR")
        .unwrap_or(SYSTEM_FOLDER);
    let system = PathBuf::from(folder).join("pg_service.conf");
    own.into_iter().chain([system]).collect()
}

fn section(text: &str, service: &str) -> Result<Option<Vec<(String, String)>>, ConninfoError> {
    let mut pairs: Option<Vec<_>> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if pairs.is_some() {
                break;
            }
            pairs = (name == service).then(Vec::new);
        } else if let Some(pairs) = &mut pairs {
            let wrong =
                || ConninfoError::syntax("a line of the service file is not of the form key=value");
            let (key, value) = line.split_once('=').ok_or_else(wrong)?;
            if key == "service" {
                return Err(ConninfoError::syntax("a service refers to another service"));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_of_that_name_is_read() {
        let text = "# comment\n[a]\nhost=x\n\n[b]\nhost=y\n port= 1\n[c]\nhost=z";
        let pairs = section(text, "b").unwrap().unwrap();
        let expected = [("host", "y"), ("port", " 1")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(section(text, "d").unwrap(), None);
        assert!(section("[a]\nnonsense", "a").is_err());
        assert!(section("[a]\nservice=b", "a").is_err());
    }
}
