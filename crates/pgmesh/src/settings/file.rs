//! The configuration file: TOML, with the names of the flags as keys.
//!
//! What a file says wrongly is reported with its line. No value of it is ever
//! repeated here, since a misspelt or unclosed one may hold a password; nor is a key
//! that looks like a value.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgmesh_name::NodeName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::ConfigError;
use super::file_values::{Wrong, entry_of, find, text_of};
use super::table::Setting;

/// What a file says, as texts like those of flags.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfigFile {
    path: PathBuf,
    values: BTreeMap<&'static str, FileValue>,
    /// Its mode, if everybody may read it.
    exposed: Option<u32>,
}

/// One value, and where it stands; wiped when dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileValue {
    pub(super) text: Zeroizing<String>,
    pub(super) line: usize,
}

impl ConfigFile {
    /// Reads a file. What is wrong with parts of it leaves the others usable, so
    /// that one error hides no other.
    pub(super) fn read(path: &Path) -> (Option<Self>, Vec<ConfigError>) {
        let unreadable = |cause: std::io::Error| {
            let problem = format!("cannot be read: {cause}");
            let shown = path.display().to_string();
            let remedy = "give a file that is there, and that we may read";
            (
                None,
                vec![ConfigError::new("--config", &shown, &problem, remedy)],
            )
        };
        let read = fs::read_to_string(path).map(Zeroizing::new);
        let read = read.and_then(|text| Ok((text, fs::metadata(path)?)));
        match read {
            Ok((text, metadata)) => {
                let mode = metadata.permissions().mode() & 0o777;
                let (mut file, errors) = Self::parse(path, &text);
                file.exposed = (mode & 0o004 != 0).then_some(mode);
                (Some(file), errors)
            }
            Err(cause) => unreadable(cause),
        }
    }

    fn parse(path: &Path, text: &str) -> (Self, Vec<ConfigError>) {
        let (table, broken) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            file: Self {
                path: path.to_owned(),
                ..Self::default()
            },
            errors: Vec::new(),
        };
        for error in broken {
            reader.on_syntax_error(&error);
        }
        for (key, value) in table.into_inner() {
            reader.on_pair(&key, &value);
        }
        reader.errors.sort_by_key(|(line, _)| *line);
        let errors = reader.errors.into_iter().map(|(_, error)| error);
        (reader.file, errors.collect())
    }

    pub(super) fn get(&self, setting: &str) -> Option<&FileValue> {
        self.values.get(setting)
    }

    /// Its mode, if everybody may read it.
    pub(super) fn exposed(&self) -> Option<u32> {
        self.exposed
    }

    /// Where a setting stands: `pgmesh.toml:7`.
    pub(super) fn place(&self, line: usize) -> String {
        place(&self.path, line)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

/// A key as it may be shown: a value that stands where a key should is none.
fn shown_key(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let looks_like_a_setting = key.chars().all(is_plain);
    let shown = if looks_like_a_setting { key } else { "a key" };
    shown.to_owned()
}

/// The same of a key that should be a node name.
fn shown_name(key: &str) -> String {
    match key.parse::<NodeName>() {
        Ok(name) => name.to_string(),
        Err(_) => shown_key(key),
    }
}

/// Reads pair by pair, and keeps what is wrong with them, by line.
struct Reader<'a> {
    text: &'a str,
    file: ConfigFile,
    errors: Vec<(usize, ConfigError)>,
}

impl Reader<'_> {
    /// The parser's message names no value.
    fn on_syntax_error(&mut self, error: &toml::de::Error) {
        let line = self.line(error.span());
        let problem = format!("is not TOML: {}", error.message());
        let remedy = "write name = \"value\", one on each line";
        self.errors
            .push((line, self.error(line, "", &problem, remedy)));
    }

    fn on_pair(&mut self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) {
        let (name, line) = (key.get_ref().as_ref(), self.line(Some(key.span())));
        let read = find(name).and_then(|setting| {
            let text = match value.get_ref() {
                DeValue::Table(pairs) if setting.pairs => self.entries(setting, pairs),
                value => text_of(setting, value)?,
            };
            Ok((setting, text))
        });
        match read {
            Ok((setting, text)) if setting.pairs && text.is_empty() => {}
            Ok((setting, text)) => {
                let text = match setting.is_path() {
                    true => self.beside_the_file(&text),
                    false => text,
                };
                let text = Zeroizing::new(text);
                let value = FileValue { text, line };
                self.file.values.insert(setting.name, value);
            }
            Err(wrong) => self.on_wrong(line, &shown_key(name), &wrong),
        }
    }

    /// Those that are good; the others are told, each with its line.
    fn entries(&mut self, setting: &Setting, pairs: &DeTable<'_>) -> String {
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let name = key.get_ref();
            match entry_of(setting, name, value.get_ref()) {
                Ok(entry) => entries.push(entry),
                Err(wrong) => {
                    let name = shown_name(name);
                    let shown = format!("{}: {name}", setting.name);
                    self.on_wrong(self.line(Some(key.span())), &shown, &wrong);
                }
            }
        }
        entries.join(",")
    }

    fn on_wrong(&mut self, line: usize, shown: &str, Wrong { problem, remedy }: &Wrong) {
        let error = self.error(line, shown, problem, remedy);
        self.errors.push((line, error));
    }

    /// Wherever we are started: a path means the same file.
    fn beside_the_file(&self, path: &str) -> String {
        let folder = self.file.path.parent().unwrap_or(Path::new(""));
        folder.join(path).display().to_string()
    }

    fn error(&self, line: usize, shown: &str, problem: &str, remedy: &str) -> ConfigError {
        let place = self.file.place(line);
        let shown = match shown {
            "" => place,
            shown => format!("{place}: {shown}"),
        };
        ConfigError::without_value(&shown, problem, remedy)
    }

    /// Lines are counted from one.
    fn line(&self, span: Option<Range<usize>>) -> usize {
        let at = span.map_or(0, |span| span.start).min(self.text.len());
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> (ConfigFile, Vec<String>) {
        let (file, errors) = ConfigFile::parse(Path::new("/etc/p.toml"), text);
        (file, errors.iter().map(ToString::to_string).collect())
    }

    fn text(file: &ConfigFile, setting: &str) -> Option<String> {
        file.get(setting).map(|value| value.text.to_string())
    }

    #[test]
    fn values_become_the_texts_of_flags() {
        let (file, errors) = parse(
            "join = 'local'\n# …\nmin-cluster = 3\nprune = true\nwatch-edges = false\n\
             allow = [\n  'app_*@*',\n  '10.0.0.0/8'\n]\ncookie-file = 'cookie'\n",
        );
        assert_eq!(errors, [""; 0]);
        let expected = [
            ("join", "local"),
            ("min-cluster", "3"),
            ("prune", "yes"),
            ("watch-edges", "off"),
            ("allow", "app_*@*,10.0.0.0/8"),
            ("cookie-file", "/etc/cookie"),
        ];
        for (setting, value) in expected {
            assert_eq!(text(&file, setting).as_deref(), Some(value), "{setting}");
        }
        assert_eq!(file.get("allow").map(|value| value.line), Some(6));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let (file, errors) = parse(
            "announce_interval = '1s'\njoin = 'local'\njion = 'all'\ncookie = 'secret'\n\
             listen = 4369.5\nallow = [1]\n[postgres]\nurl = 'x'\n",
        );
        assert_eq!(text(&file, "join").as_deref(), Some("local"));
        let expected = [
            "/etc/p.toml:1: announce_interval: is no setting (did you mean announce-interval?)",
            "/etc/p.toml:3: jion: is no setting (did you mean join?)",
            "/etc/p.toml:4: cookie: is a secret that does not belong here (put it into a file of \
             its own, with mode 400, and write cookie-file = \"PATH\")",
            "/etc/p.toml:5: listen: is a number (write listen = [\"ADDR:PORT\", \"ADDR:PORT\"])",
            "/etc/p.toml:6: allow: holds something else than texts (write allow = [\"PATTERN\", \
             \"PATTERN\"])",
            "/etc/p.toml:7: postgres: is no setting (see pgmesh run --help: the names are those \
             of the flags)",
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn table_of_peers_becomes_the_text_of_the_flag() {
        let (file, errors) =
            parse("join = 'local'\n[peers]\n'a@10.0.0.7' = 9100\n'b@db2' = '10.0.0.8:9100'\n");
        assert_eq!(errors, [""; 0]);
        let peers = "a@10.0.0.7=9100,b@db2=10.0.0.8:9100";
        assert_eq!(text(&file, "peers").as_deref(), Some(peers));
        let (file, errors) = parse("[peers]\n");
        assert_eq!((text(&file, "peers"), errors), (None, vec![]));
    }

    #[test]
    fn every_peer_that_is_none_is_told_with_its_line() {
        let (file, errors) = parse(
            "[peers]\n'a@h' = 9100\n'hunter2 @h' = 9100\nnobody = 9100\n'b@h' = 0\n\
             'c@h' = 'h2:9100'\n'd@h' = [9100]\n",
        );
        assert_eq!(text(&file, "peers").as_deref(), Some("a@h=9100"));
        let remedy = "(write 9100, 10.0.0.8:9100 or [fd00::8]:9100)";
        let no_address = "is given neither a port nor an address with a port";
        let expected = [
            "/etc/p.toml:3: peers: a key: is no node name (node name has the character ' ' \
             (letters, digits, '_', '-' before '@'; also '.', ':', '%' after it))"
                .to_owned(),
            "/etc/p.toml:4: peers: nobody: is no node name (node name has no '@' (write \
             alive@host))"
                .to_owned(),
            format!("/etc/p.toml:5: peers: b@h: {no_address} {remedy}"),
            format!("/etc/p.toml:6: peers: c@h: {no_address} {remedy}"),
            "/etc/p.toml:7: peers: d@h: is given a list (write [peers] and below it \"NAME\" = \
             PORT or \"NAME\" = \"ADDR:PORT\")"
                .to_owned(),
        ];
        assert_eq!(errors, expected);
        let (_, errors) = parse("[peers]\n'a@h' = 9100\n'a@h' = 9101\n");
        assert!(
            errors[0].starts_with("/etc/p.toml:3: is not TOML: duplicate key"),
            "{errors:?}"
        );
    }

    #[test]
    fn key_that_may_be_a_secret_is_not_shown() {
        let (_, errors) = parse("'postgres://u:hunter2@h/db' = ''\n");
        let expected = "/etc/p.toml:1: a key: is no setting (see pgmesh run --help: the names are \
                        those of the flags)";
        assert_eq!(errors, [expected]);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line_and_the_rest_is_read() {
        let (file, errors) = parse("join = 'local'\nlog = \nexpiry = 1m\n");
        assert_eq!(text(&file, "join").as_deref(), Some("local"));
        assert!(
            errors
                .iter()
                .any(|e| e.starts_with("/etc/p.toml:2: is not TOML")),
            "{errors:?}"
        );
        assert!(
            errors
                .iter()
                .any(|e| e.starts_with("/etc/p.toml:3: is not TOML")),
            "{errors:?}"
        );
    }

    proptest! {
        /// Whatever is lost or doubled in a file, no error shows what a secret was.
        #[test]
        fn no_error_shows_a_value(cut in 0usize..80, length in 0usize..20, twice: bool) {
            let whole = "database-url = 'postgres://u:hunter2zz@h/db'\ncookie = \"hunter2zz\"\n";
            let mut text = whole.to_owned();
            let cut = cut.min(whole.len());
            text.replace_range(cut..(cut + length).min(whole.len()), "");
            if twice {
                text.push_str(whole);
            }
            let (_, errors) = parse(&text);
            prop_assert!(errors.iter().all(|error| !error.contains("hunter2zz")), "{errors:?}");
        }
    }
}
