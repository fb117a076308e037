//! What the texts of parameters mean.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::error::ConninfoErrorKind;
use super::parameters::Parameters;
use super::{
    Conninfo, ConninfoError, ConninfoErrors, Environment, IdentityFiles, Keepalives, Password,
    Place, RootCertificates, Server, SslMode, TargetSession, TlsSettings, TlsVersion, passfile,
};

const DEFAULT_PORT: u16 = 5432;
/// Where sockets lie: on Debian and Red Hat, and where Postgres was built by hand.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// Without a word from above, a peer that is gone is noticed in some 30 s.
const KEEPALIVES: Keepalives = Keepalives {
    on: true,
    idle: Duration::from_secs(15),
    interval: Duration::from_secs(5),
    count: 3,
};
/// How long what we sent may stay unacknowledged.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const TARGETS: &[(&str, TargetSession)] = &[
    ("any", TargetSession::Any),
    ("read-write", TargetSession::ReadWrite),
    ("read-only", TargetSession::ReadOnly),
    ("primary", TargetSession::Primary),
    ("standby", TargetSession::Standby),
    ("prefer-standby", TargetSession::PreferStandby),
];

const BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const TLS_VERSIONS: &[(&str, TlsVersion)] = &[
    ("TLSv1", TlsVersion::V1),
    ("TLSv1.1", TlsVersion::V1_1),
    ("TLSv1.2", TlsVersion::V1_2),
    ("TLSv1.3", TlsVersion::V1_3),
];

/// Reads every parameter, so that one mistake hides no other.
pub(super) fn read(
    parameters: Parameters,
    environment: &Environment,
) -> Result<Conninfo, ConninfoErrors> {
    let mut reader = Reader {
        parameters,
        environment,
        errors: Vec::new(),
    };
    let conninfo = reader.conninfo();
    let mut errors = reader.parameters.errors;
    errors.append(&mut reader.errors);
    if errors.is_empty() {
        Ok(conninfo)
    } else {
        Err(ConninfoErrors(errors))
    }
}

struct Reader<'a> {
    parameters: Parameters,
    environment: &'a Environment,
    errors: Vec<ConninfoError>,
}

impl Reader<'_> {
    fn conninfo(&mut self) -> Conninfo {
        let user = self.user();
        let passfile = self.file("passfile", ".pgpass");
        let name = self.parameters.some("application_name");
        let name = name.or_else(|| self.parameters.some("fallback_application_name"));
        Conninfo {
            application_name: name.map(str::to_owned),
            servers: self.servers(),
            database: self.text("dbname").unwrap_or_else(|| user.clone()),
            user,
            password: self.text("password").map(Password::new),
            options: self.text("options"),
            tls: self.tls(),
            channel_binding: self.word("channel_binding", BINDINGS, ChannelBinding::Prefer),
            target: self.word("target_session_attrs", TARGETS, TargetSession::Any),
            load_balance: self.word(
                "load_balance_hosts",
                &[("disable", false), ("random", true)],
                false,
            ),
            connect_timeout: self.seconds("connect_timeout"),
            keepalives: self.keepalives(),
            tcp_user_timeout: self
                .positive("tcp_user_timeout")
                .map_or(TCP_USER_TIMEOUT, Duration::from_millis),
            warnings: self.warnings(passfile.as_deref()),
            passfile,
        }
    }

    fn warnings(&mut self, passfile: Option<&Path>) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.parameters.warnings);
        if self.flag("pgbouncer") {
            warnings.push(
                "the database URL says pgbouncer=true: through a pooler in transaction mode \
                 nothing is heard (give the URL of a direct connection, or of session mode)"
                    .to_owned(),
            );
        }
        if self.parameters.some("password").is_none() {
            warnings.extend(passfile.and_then(passfile::problem));
        }
        warnings
    }

    fn user(&mut self) -> String {
        let user = self.text("user");
        let user = user.or_else(|| self.environment.user().map(str::to_owned));
        user.unwrap_or_else(|| {
            self.errors.push(ConninfoError::new(
                ConninfoErrorKind::BadValue,
                "no user is given, and the user that we run as has no name",
                "write postgres://user@host:5432/database",
            ));
            String::new()
        })
    }

    // Servers.

    fn servers(&mut self) -> Vec<Server> {
        let hosts = self.hosts();
        let addresses = self.addresses();
        let ports = self.ports();
        let count = hosts.len().max(addresses.len()).max(1);
        let differ = |len: usize| len != 0 && len != count;
        if differ(hosts.len()) || differ(addresses.len()) {
            self.contradict("host and hostaddr list different numbers of servers");
        }
        if ports.len() > 1 && ports.len() != count {
            self.contradict("there are neither as many ports as hosts nor a single one");
        }
        let server = |index: usize| {
            let host = hosts.get(index).filter(|host| !host.is_empty());
            let address = addresses.get(index).copied().flatten();
            let port = ports
                .get(index)
                .or(ports.first().filter(|_| ports.len() == 1));
            Server {
                place: place(host.map(String::as_str), address),
                port: port.copied().unwrap_or(DEFAULT_PORT),
            }
        };
        (0..count).map(server).collect()
    }

    /// No host has such characters: these come from passwords that were not escaped,
    /// and must not be shown as a host's name. With a dot before it, OpenSSL would
    /// take any host of that domain for the right one.
    fn hosts(&mut self) -> Vec<String> {
        let hosts = self.list("host");
        let is_none = |host: &String| {
            let odd = |char: char| char.is_whitespace() || "@;=".contains(char);
            !host.starts_with('/') && (host.starts_with('.') || host.contains(odd))
        };
        if hosts.iter().any(is_none) {
            let remedy = "write names or addresses; in a password write %40 for @";
            self.bad_value("host", remedy);
        }
        hosts
    }

    fn addresses(&mut self) -> Vec<Option<IpAddr>> {
        let texts = self.list("hostaddr");
        let parse = |text: String| match text.as_str() {
            "" => None,
            text => {
                let address = text.parse().ok();
                if address.is_none() {
                    self.bad_value("hostaddr", "write addresses, with commas between");
                }
                address
            }
        };
        texts.into_iter().map(parse).collect()
    }

    fn ports(&mut self) -> Vec<u16> {
        let texts = self.list("port");
        let parse = |text: String| match text.trim() {
            "" => DEFAULT_PORT,
            text => text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .unwrap_or_else(|| {
                    let remedy = "write 1 to 65535; a : in a password is written %3A, a / %2F";
                    self.bad_value("port", remedy);
                    DEFAULT_PORT
                }),
        };
        texts.into_iter().map(parse).collect()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.parameters.some(name);
        let split = |text: &str| text.split(',').map(str::to_owned).collect();
        text.map(split).unwrap_or_default()
    }

    // TLS.

    fn tls(&mut self) -> TlsSettings {
        let root = self.root_certificates();
        let mode = self.ssl_mode(&root);
        let least_version = self.tls_version("ssl_min_protocol_version");
        let last_version = self.tls_version("ssl_max_protocol_version");
        let least_version = least_version.unwrap_or(TlsVersion::V1_2);
        if last_version.is_some_and(|last| last < least_version) {
            self.contradict("ssl_max_protocol_version is below ssl_min_protocol_version");
        }
        TlsSettings {
            mode,
            root,
            identity: self.identity(),
            send_host_name: self.positive_or_off("sslsni"),
            least_version,
            last_version,
        }
    }

    fn ssl_mode(&mut self, root: &RootCertificates) -> SslMode {
        let default = match root {
            RootCertificates::System => SslMode::VerifyFull,
            _ => self.older_ssl_mode().unwrap_or(SslMode::Prefer),
        };
        let mode = self.word("sslmode", SSL_MODES, default);
        if *root == RootCertificates::System && mode != SslMode::VerifyFull {
            self.contradict("sslrootcert=system goes with sslmode=verify-full alone");
        }
        mode
    }

    /// What JDBC, Ecto and Postgres 7 call it.
    fn older_ssl_mode(&mut self) -> Option<SslMode> {
        if self.parameters.some("ssl").is_some() {
            let words = [
                ("true", SslMode::Require),
                ("false", SslMode::Disable),
                ("1", SslMode::Require),
                ("0", SslMode::Disable),
            ];
            return Some(self.word("ssl", &words, SslMode::Prefer));
        }
        let required = self.parameters.some("requiressl")?.starts_with('1');
        Some(if required {
            SslMode::Require
        } else {
            SslMode::Prefer
        })
    }

    fn root_certificates(&self) -> RootCertificates {
        match self.parameters.some("sslrootcert") {
            Some("system") => RootCertificates::System,
            _ => match self.file("sslrootcert", ".postgresql/root.crt") {
                Some(file) => RootCertificates::File(file),
                None => RootCertificates::Nowhere,
            },
        }
    }

    fn identity(&mut self) -> Option<IdentityFiles> {
        let modes = [("disable", false), ("allow", true)];
        if !self.word("sslcertmode", &modes, true) {
            return None;
        }
        Some(IdentityFiles {
            certificate: self.file("sslcert", ".postgresql/postgresql.crt")?,
            key: self.file("sslkey", ".postgresql/postgresql.key")?,
            key_password: self.text("sslpassword").map(Password::new),
        })
    }

    fn tls_version(&mut self, name: &'static str) -> Option<TlsVersion> {
        self.parameters.some(name)?;
        Some(self.word(name, TLS_VERSIONS, TlsVersion::V1_2))
    }

    // Times.

    fn keepalives(&mut self) -> Keepalives {
        let seconds = |value: Option<u64>, default| value.map_or(default, Duration::from_secs);
        Keepalives {
            on: self.positive_or_off("keepalives"),
            idle: seconds(self.positive("keepalives_idle"), KEEPALIVES.idle),
            interval: seconds(self.positive("keepalives_interval"), KEEPALIVES.interval),
            count: self
                .positive("keepalives_count")
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(KEEPALIVES.count),
        }
    }

    fn seconds(&mut self, name: &'static str) -> Option<Duration> {
        self.positive(name).map(Duration::from_secs)
    }

    // Values.

    fn text(&self, name: &str) -> Option<String> {
        self.parameters.some(name).map(str::to_owned)
    }

    /// A file that was named, else the one that libpq has below the home.
    fn file(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        match self.parameters.some(name) {
            Some(file) => Some(PathBuf::from(file)),
            None => self.environment.home_file(below_home),
        }
    }

    /// One of a few words, written in any case.
    fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.parameters.get(name) else {
            return default;
        };
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        match found {
            Some((_, value)) => *value,
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                self.bad_value(name, &format!("write {}", known.join(", ")));
                default
            }
        }
    }

    fn flag(&mut self, name: &'static str) -> bool {
        let words = [("true", true), ("1", true), ("false", false), ("0", false)];
        self.word(name, &words, false)
    }

    /// On unless it is 0.
    fn positive_or_off(&mut self, name: &'static str) -> bool {
        self.number(name) != Some(0)
    }

    /// Zero and less mean the default.
    fn positive(&mut self, name: &'static str) -> Option<u64> {
        let number = self.number(name)?;
        u64::try_from(number).ok().filter(|number| *number > 0)
    }

    /// Numbers as libpq takes them: 32 bits, blanks around.
    fn number(&mut self, name: &'static str) -> Option<i32> {
        let text = self.parameters.get(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.bad_value(name, "write a number");
        }
        number
    }

    fn bad_value(&mut self, name: &'static str, remedy: &str) {
        let shown = self.parameters.shown(name);
        self.errors.push(ConninfoError::bad_value(shown, remedy));
    }

    fn contradict(&mut self, problem: &str) {
        self.errors.push(ConninfoError::new(
            ConninfoErrorKind::Contradiction,
            problem,
            "change one of them",
        ));
    }
}

/// As libpq tells them apart: what begins with `/` is a folder; without a host
/// and an address it is the default one.
fn place(host: Option<&str>, address: Option<IpAddr>) -> Place {
    match (host, address) {
        (Some(host), address) if !host.starts_with('/') => Place::Tcp {
            host: host.to_owned(),
            address,
        },
        (None, Some(address)) => Place::Tcp {
            host: address.to_string(),
            address: Some(address),
        },
        (Some(_), Some(address)) => Place::Tcp {
            host: address.to_string(),
            address: Some(address),
        },
        (Some(folder), None) => Place::Unix(PathBuf::from(folder)),
        (None, None) => Place::Unix(default_socket_folder()),
    }
}

fn default_socket_folder() -> PathBuf {
    let folders = SOCKET_FOLDERS.map(PathBuf::from);
    let existing = folders.iter().find(|folder| folder.is_dir());
    existing.unwrap_or(&folders[0]).clone()
}
