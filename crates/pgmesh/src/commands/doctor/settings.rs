//! What the settings say, as far as it shows without anybody else: our name, the
//! cookie, the channel.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pgmesh_name::NodeName;
use zeroize::Zeroizing;

use super::check::{Check, Group, listed};
use super::host::HostFacts;
use super::trouble::cause_and_remedy;
use crate::settings::{ConfigErrors, CookieSource, RunSettings, Warning};

const GROUP: Group = Group::Settings;

/// What a cookie is like; never the cookie.
#[derive(Clone, Debug)]
pub(super) struct CookieFacts {
    source: CookieSource,
    length: usize,
    /// Of the file, its permissions alone.
    mode: Option<u32>,
    /// What is probably not meant.
    oddity: Option<Oddity>,
}

/// What about a cookie is probably not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    /// There is more behind its line.
    MoreLines,
    /// It begins or ends with a blank, which is part of it.
    OuterBlank,
    /// It has characters that no cookie file may have.
    NotPrintable,
    /// It is of the kind that `erl` writes into a home without one (auth.erl,
    /// create_cookie): a generator of 36 bits chooses its letters.
    MadeByErl,
}

/// Settings that cannot be used.
pub(super) fn unusable(errors: &ConfigErrors) -> Vec<Check> {
    let failed = |error: &crate::settings::ConfigError| {
        GROUP.failed("settings", error.cause(), error.remedy())
    };
    let rest = Group::Daemon.unchecked("everything", "nothing else, without usable settings");
    errors.0.iter().map(failed).chain([rest]).collect()
}

pub(super) fn checks(settings: &RunSettings, host: &HostFacts) -> Vec<Check> {
    let cookie = CookieFacts::gather(settings);
    let mut checks = vec![name_check(&settings.name, host)];
    checks.extend(cookie_checks(&cookie));
    if let Some(database) = &settings.database
        && let Some(channel) = database.shown_channel()
        && !database.channel.was_cut()
    {
        checks.push(GROUP.ok("channel", format!("the channel is {channel}")));
    }
    checks.extend(settings.warnings.iter().map(warning_check));
    checks
}

fn name_check(name: &NodeName, host: &HostFacts) -> Check {
    let form = name.form();
    let addresses = match &host.addresses {
        Ok(addresses) => addresses,
        Err(trouble) => return trouble.failed(GROUP, "name", &format!("our name {name}")),
    };
    let shown = listed(addresses);
    if !host.ours {
        let message = format!("our name {name}: its host is {shown}, no address of this host");
        let remedy = "give --name with this host's name or address, unless traffic for that one \
                      is passed on to us";
        return GROUP.warning("name", message, remedy);
    }
    let is_loopback = addresses.iter().all(std::net::IpAddr::is_loopback);
    let reach = match (is_loopback, name.host_ip()) {
        (false, _) => "an address of this host",
        (true, Some(_)) => "so that only nodes of this host can dial us",
        (true, None) => "as seen from here; other hosts must know another address for it",
    };
    let message = format!("our name {name} is a {form} one; its host is {shown}, {reach}");
    GROUP.ok("name", message)
}

impl CookieFacts {
    fn gather(settings: &RunSettings) -> Self {
        let source = settings.cookie_source.clone();
        let file = match &source {
            CookieSource::Variable => None,
            CookieSource::File(path) => Some(path),
        };
        let mode = file.and_then(|path| fs::metadata(path).ok());
        let text = file.and_then(|path| fs::read_to_string(path).ok().map(Zeroizing::new));
        let cookie = settings.cookie.expose();
        Self {
            length: cookie.chars().count(),
            mode: mode.map(|metadata| metadata.permissions().mode() & 0o777),
            oddity: Oddity::of(cookie, text.as_ref().map_or("", |text| text.as_str())),
            source,
        }
    }

    fn from(&self) -> String {
        match (&self.source, self.mode) {
            (CookieSource::Variable, _) => "PGMESH_COOKIE".to_owned(),
            (CookieSource::File(path), Some(mode)) => {
                format!("{} (mode {mode:03o})", path.display())
            }
            (CookieSource::File(path), None) => path.display().to_string(),
        }
    }
}

impl Oddity {
    /// `text` is the whole file (auth.erl, read_cookie).
    fn of(cookie: &str, text: &str) -> Option<Self> {
        let is_printable = |c: char| c == ' ' || c.is_ascii_graphic();
        if !cookie.chars().all(is_printable) {
            Some(Self::NotPrintable)
        } else if text.lines().skip(1).any(|line| !line.trim().is_empty()) {
            Some(Self::MoreLines)
        } else if cookie.trim() != cookie {
            Some(Self::OuterBlank)
        } else if cookie.len() == 20 && cookie.chars().all(|c| c.is_ascii_uppercase()) {
            Some(Self::MadeByErl)
        } else {
            None
        }
    }

    fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::MoreLines => (
                "has more than one line; the first is taken, and erl refuses such a file",
                "leave one line in it",
            ),
            Self::OuterBlank => (
                "begins or ends with a blank, which is part of it",
                "take the blank out, unless the nodes' cookie has it, too",
            ),
            Self::NotPrintable => (
                "has characters other than printable ASCII, which erl refuses in a file",
                "choose another cookie for all nodes, or compare it with theirs byte by byte",
            ),
            Self::MadeByErl => (
                "is of the kind that erl makes up, 20 capital letters of 36 random bits: \
                 whoever hears a handshake guesses it in minutes",
                "give all nodes another one, as openssl rand -hex 24 makes it",
            ),
        }
    }
}

/// Who may read the file is among the warnings about settings.
fn cookie_checks(cookie: &CookieFacts) -> Vec<Check> {
    let from = cookie.from();
    let message = format!("the cookie has {} characters, from {from}", cookie.length);
    let odd = cookie.oddity.map(|oddity| {
        let (what, remedy) = oddity.explained();
        GROUP.warning("cookie", format!("the cookie from {from} {what}"), remedy)
    });
    vec![odd.unwrap_or_else(|| GROUP.ok("cookie", message))]
}

fn warning_check(warning: &Warning) -> Check {
    let (cause, remedy) = cause_and_remedy(&warning.message);
    let remedy = remedy.unwrap_or("take it out if it is not needed");
    GROUP.warning("settings", cause, remedy).kind(warning.kind)
}

#[cfg(test)]
pub(super) fn samples() -> Vec<Check> {
    use super::trouble::DialTrouble;
    use pgmesh_dist::FailureKind;

    let name = |text: &str| text.parse::<NodeName>().unwrap();
    let host = |addresses: &[[u8; 4]], ours| HostFacts {
        addresses: Ok(addresses.iter().map(|ip| (*ip).into()).collect()),
        ours,
    };
    let unknown = HostFacts {
        addresses: Err(DialTrouble {
            kind: FailureKind::HostUnknown,
            detail: "its host web7 is unknown: Name or service not known".to_owned(),
        }),
        ours: false,
    };
    let cookie = |oddity| CookieFacts {
        source: CookieSource::File("/etc/pgmesh/cookie".into()),
        length: 20,
        mode: Some(0o400),
        oddity,
    };
    let oddities = [
        Oddity::MoreLines,
        Oddity::OuterBlank,
        Oddity::NotPrintable,
        Oddity::MadeByErl,
    ];
    let oddities = oddities.map(Some).into_iter();
    let mut samples = vec![
        name_check(&name("pgmesh@10.0.0.9"), &host(&[[10, 0, 0, 9]], true)),
        name_check(&name("pgmesh@web7"), &host(&[[127, 0, 1, 1]], true)),
        name_check(&name("pgmesh@10.9.9.9"), &host(&[[10, 9, 9, 9]], false)),
        name_check(&name("pgmesh@web7"), &unknown),
    ];
    let cookies = std::iter::once(None).chain(oddities).map(cookie);
    samples.extend(cookies.flat_map(|facts| cookie_checks(&facts)));
    samples.extend(samples_of_warnings());
    samples
}

/// As the settings themselves word them.
#[cfg(test)]
fn samples_of_warnings() -> Vec<Check> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cookie").display().to_string();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = |cookie: &str, database: &[&str]| {
        fs::write(&path, cookie).unwrap();
        let args = ["pgmesh", "doctor", "--cookie-file", &path];
        let args = args.iter().chain(database);
        let matches = crate::cli::command().try_get_matches_from(args).unwrap();
        let (_, flags) = matches.subcommand().unwrap();
        RunSettings::read(flags).unwrap().warnings
    };
    let url = "--database-url=postgres://app@db/app?pool_size=5";
    let long = "a".repeat(64);
    let all = [
        warnings(&long, &[url]),
        warnings("short", &[url]),
        warnings("short", &[]),
    ];
    let mut warnings = all.concat();
    warnings.sort_by(|a, b| (a.kind, &a.message).cmp(&(b.kind, &b.message)));
    warnings.dedup();
    // The surroundings of this test are no part of it.
    warnings.retain(|warning| warning.kind != "unknown_variable");
    let fixed = |warning: &Warning| Warning {
        kind: warning.kind,
        message: warning.message.replace(&path, "/etc/pgmesh/cookie"),
        ..*warning
    };
    warnings.iter().map(|w| warning_check(&fixed(w))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_that_erl_makes_up_is_told() {
        let odd = |cookie| Oddity::of(cookie, cookie);
        assert_eq!(odd("HQZKTNYHBCJSWLAGXOXE"), Some(Oddity::MadeByErl));
        assert_eq!(odd("HQZKTNYHBCJSWLAGXOX"), None);
        assert_eq!(odd("hqzktnyhbcjswlagxoxe"), None);
    }

    #[test]
    fn cookies_that_erl_would_not_take_are_told() {
        assert_eq!(Oddity::of("secret", "secret\n"), None);
        assert_eq!(Oddity::of("secret", "secret\r\n\n"), None);
        assert_eq!(
            Oddity::of("secret", "secret\nmore"),
            Some(Oddity::MoreLines)
        );
        assert_eq!(Oddity::of("secret ", "secret "), Some(Oddity::OuterBlank));
        assert_eq!(Oddity::of("sécret", "sécret"), Some(Oddity::NotPrintable));
    }
}
