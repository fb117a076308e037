//! What the settings of `pgmesh run` mean.

mod database;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ArgMatches;
use pgmesh_discovery::Dialect;
use pgmesh_dist::{Cookie, Listen, ListenError, TlsConfig};
use pgmesh_mesh::{AnnounceScope, IntroduceScope, JoinScope};
use pgmesh_name::{AllowList, NodeName, PeerError, PeerMap};

use super::duration::{parse_duration, parse_size};
use super::raw::RawSettings;
use super::socket::default_socket;
use super::table::TABLE;
use super::{
    ConfigError, ConfigErrors, CookieSource, Warning, epmd_addresses, epmd_port, parse_port,
    read_cookie, tls_config,
};

pub(crate) use database::Database;

/// Ordinary messages of a BEAM fit into this.
const LEAST_FRAME: usize = 64 * 1024;
/// The default expiry, in announce intervals.
const EXPIRY_INTERVALS: u32 = 12;
const LEAST_EXPIRY_INTERVALS: u32 = 3;
/// Everything that `pgmesh run` needs to know.
#[derive(Debug)]
pub(crate) struct RunSettings {
    pub(crate) name: NodeName,
    pub(crate) cookie: Cookie,
    pub(crate) cookie_source: CookieSource,
    /// Postgres, unless nothing is to be heard.
    pub(crate) database: Option<Database>,
    pub(crate) announce_interval: Duration,
    pub(crate) expiry: Duration,
    pub(crate) join: JoinScope,
    pub(crate) announce: AnnounceScope,
    pub(crate) introduce: IntroduceScope,
    pub(crate) watch_edges: bool,
    pub(crate) audit_interval: Duration,
    pub(crate) dialect: Dialect,
    pub(crate) prune: bool,
    pub(crate) allow: AllowList,
    /// Where these listen, unheard and unasked.
    pub(crate) peers: PeerMap,
    pub(crate) listen: Listen,
    pub(crate) epmd: EpmdMode,
    pub(crate) epmd_port: u16,
    /// Where every other peer listens, unless their EPMDs are asked.
    pub(crate) dist_port: Option<u16>,
    pub(crate) epmd_host: IpAddr,
    /// Where one of our own listens.
    pub(crate) epmd_addresses: Vec<IpAddr>,
    /// Links go over TLS.
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) net_ticktime: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) max_frame: usize,
    pub(crate) socket: PathBuf,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) min_cluster: usize,
    pub(crate) log_format: LogFormat,
    pub(crate) log: tracing::Level,
    /// To be logged as soon as there is a log.
    pub(crate) warnings: Vec<Warning>,
    /// All of it as texts, and where each came from.
    pub(crate) raw: RawSettings,
}

/// Which EPMD this host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpmdMode {
    /// The one that answers, else one that is started, else ours.
    Auto,
    /// Another program.
    External,
    /// Ours, within the daemon.
    Embedded,
    /// Nobody's: every node listens at a port that all know.
    None,
}

impl EpmdMode {
    /// The word of the settings, and of the JSON shapes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::External => "external",
            Self::Embedded => "embedded",
            Self::None => "none",
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl RunSettings {
    /// Reads flags, variables, the configuration file, and the cookie file.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub(crate) fn read(flags: &ArgMatches) -> Result<Self, ConfigErrors> {
        let (raw, errors) = RawSettings::collect(flags, super::variable);
        let file_is_missing = raw.file().is_none() && !errors.is_empty();
        let mut reader = Reader {
            raw: &raw,
            errors,
            file_is_missing,
        };
        match reader.run_settings() {
            Some(settings) if reader.errors.is_empty() => Ok(settings),
            _ => Err(ConfigErrors(reader.errors)),
        }
    }

    /// The control socket, if it was given and does not follow from the name.
    pub(crate) fn given_socket(&self) -> Option<&Path> {
        self.raw.get("socket").map(|_| self.socket.as_path())
    }
}

/// Reads settings one by one and keeps what is wrong with them.
struct Reader<'a> {
    raw: &'a RawSettings,
    errors: Vec<ConfigError>,
    /// The configuration file could not be read: what it would have said is no error.
    file_is_missing: bool,
}

impl Reader<'_> {
    /// Everything is read before the first `?`, so that one error hides no other.
    fn run_settings(&mut self) -> Option<RunSettings> {
        let name = self.name();
        let cookie = self.cookie();
        let cookie_source = CookieSource::find(self.cookie_file());
        let database = self.database(cookie.as_ref().map(|(cookie, _)| cookie));
        let announce_interval = self.duration("announce-interval", Duration::from_millis(100));
        let expiry = self.expiry(announce_interval);
        let join = self.word(
            "join",
            &[("local", JoinScope::Local), ("all", JoinScope::All)],
        );
        let announce = [
            ("none", AnnounceScope::None),
            ("local", AnnounceScope::Local),
        ];
        let announce = self.word("announce", &announce);
        let introduce = self.introduce();
        let watch_edges = self.watch_edges(introduce);
        let audit_interval = self.duration("audit-interval", Duration::from_secs(1));
        let dialects = [
            ("libcluster", Dialect::Libcluster),
            ("heartbeat", Dialect::Heartbeat),
        ];
        let dialect = self.word("dialect", &dialects);
        let prune = self.word("prune", &[("no", false), ("yes", true)]);
        let allow = self.allow();
        let peers = self.peers();
        let modes = [
            EpmdMode::Auto,
            EpmdMode::External,
            EpmdMode::Embedded,
            EpmdMode::None,
        ];
        let epmd = self.word("epmd", &modes.map(|mode| (mode.as_str(), mode)));
        let listen = self.listen(epmd, name.as_ref());
        let dist_port = self.dist_port(epmd, listen.as_ref());
        let epmd_port = self.keep(epmd_port());
        let epmd_addresses = self.keep(epmd_addresses());
        let tls = self.tls();
        let net_ticktime = self.duration("net-ticktime", Duration::from_secs(1));
        let setup_timeout = self.duration("setup-timeout", Duration::from_millis(100));
        let max_frame = self.max_frame();
        let http = self.parsed("http", "write an address and a port, like 127.0.0.1:4380");
        let min_cluster = self.parsed("min-cluster", "write a number");
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = self.word("log-format", &formats);
        let log = self.parsed("log", "write error, warn, info, debug or trace");
        let (cookie, cookie_warning) = cookie?;
        let (database, database_warnings) = database?;
        let (epmd_host, epmd_addresses) = epmd_addresses?;
        let name = name?;
        let settings = RunSettings {
            socket: self.socket(&name),
            name,
            cookie,
            cookie_source: cookie_source.ok()?,
            database,
            announce_interval: announce_interval?,
            expiry: expiry?,
            join: join?,
            announce: announce?,
            introduce: introduce?,
            watch_edges: watch_edges?,
            audit_interval: audit_interval?,
            dialect: dialect?,
            prune: prune?,
            allow: allow?,
            peers: peers?,
            listen: listen?,
            epmd: epmd?,
            epmd_port: epmd_port?,
            dist_port: dist_port?,
            epmd_host,
            epmd_addresses,
            tls: tls?,
            net_ticktime: net_ticktime?,
            setup_timeout: setup_timeout?,
            max_frame: max_frame?,
            http,
            min_cluster: min_cluster?,
            log_format: log_format?,
            log: log?,
            warnings: cookie_warning
                .into_iter()
                .chain(self.exposed_file())
                .chain(database_warnings)
                .chain(unknown_variables())
                .collect(),
            raw: self.raw.clone(),
        };
        Some(settings.keep_cookie_secret())
    }

    /// Without EPMD nobody could find a port that the system chooses.
    fn listen(&mut self, epmd: Option<EpmdMode>, name: Option<&NodeName>) -> Option<Listen> {
        let parse = |text: &str| {
            let wrong = |error: ListenError| format!("{error}: {}", error.remedy());
            text.parse().map_err(wrong)
        };
        let listen: Listen = match self.read("listen", parse) {
            Some(given) => given?,
            None => everywhere(name).into(),
        };
        if epmd == Some(EpmdMode::None) && listen.port() == 0 {
            let problem = "has no fixed port, which --epmd none needs";
            let remedy = "give one, like 0.0.0.0:4370";
            let wrong = ConfigError::new("--listen", &listen.to_string(), problem, remedy);
            return self.keep(Err(wrong));
        }
        Some(listen)
    }

    /// As rebar3's releases have it: `ERL_DIST_PORT` unless it is given. Without EPMD and
    /// both, everybody listens where we do.
    fn dist_port(
        &mut self,
        epmd: Option<EpmdMode>,
        listen: Option<&Listen>,
    ) -> Option<Option<u16>> {
        if let Some(value) = self.raw.get("dist-port") {
            let port = parse_port(&self.raw.shown("dist-port"), &value.text);
            return self.keep(port).map(Some);
        }
        if epmd != Some(EpmdMode::None) {
            return Some(None);
        }
        let Ok(text) = std::env::var("ERL_DIST_PORT") else {
            return Some(listen.map(Listen::port));
        };
        self.keep(parse_port("ERL_DIST_PORT", &text)).map(Some)
    }

    fn tls(&mut self) -> Option<Option<TlsConfig>> {
        let text = |setting: &str| self.raw.get(setting).map(|value| value.text.to_string());
        let config = tls_config(text, |setting| self.raw.shown(setting));
        self.keep(config)
    }

    fn introduce(&mut self) -> Option<IntroduceScope> {
        let words = [
            ("none", IntroduceScope::None),
            ("local", IntroduceScope::Local),
            ("all", IntroduceScope::All),
        ];
        self.word("introduce", &words)
    }

    /// Who introduces nobody leaves nothing on anybody's node unless told to.
    fn watch_edges(&mut self, introduce: Option<IntroduceScope>) -> Option<bool> {
        let heals = introduce.is_none_or(|scope| scope != IntroduceScope::None);
        let words = [("auto", heals), ("on", true), ("off", false)];
        self.word("watch-edges", &words)
    }

    fn name(&mut self) -> Option<NodeName> {
        match self.raw.get("name") {
            Some(_) => self.read("name", |text| {
                text.parse::<NodeName>().map_err(|e| e.to_string())
            })?,
            None => {
                let own = format!("pgmesh@{}", short_host());
                let no_name = |_| {
                    let problem = "not given, and this host's name makes no node name";
                    ConfigError::without_value("--name", problem, "give --name alive@host")
                };
                self.keep(own.parse().map_err(no_name))
            }
        }
    }

    fn cookie(&mut self) -> Option<(Cookie, Option<Warning>)> {
        if self.cookie_file().is_none() && self.file_is_missing {
            return None;
        }
        let shown = self.raw.shown("cookie-file");
        self.keep(read_cookie(self.cookie_file(), &shown))
    }

    fn cookie_file(&self) -> Option<&str> {
        self.raw.get("cookie-file").map(|value| value.text.as_str())
    }

    fn allow(&mut self) -> Option<AllowList> {
        let Some(value) = self.raw.get("allow") else {
            return Some(AllowList::default());
        };
        match AllowList::parse(value.text.split(',').map(str::trim)) {
            Ok(list) => Some(list),
            Err(errors) => {
                let wrong = |error: pgmesh_name::AllowError| {
                    ConfigError::without_value(
                        &self.raw.shown("allow"),
                        &error.to_string(),
                        "quote globs in a shell",
                    )
                };
                self.errors.extend(errors.into_iter().map(wrong));
                None
            }
        }
    }

    fn peers(&mut self) -> Option<PeerMap> {
        let mut peers = PeerMap::default();
        let Some(value) = self.raw.get("peers") else {
            return Some(peers);
        };
        let before = self.errors.len();
        for entry in value.text.split(',').map(str::trim) {
            let wrong = |error: PeerError| {
                let shown = self.raw.shown("peers");
                ConfigError::new(&shown, entry, &error.to_string(), &error.remedy())
            };
            let added = peers.add(entry).map_err(wrong);
            self.keep(added);
        }
        (self.errors.len() == before).then_some(peers)
    }

    fn socket(&self, name: &NodeName) -> PathBuf {
        match self.raw.get("socket") {
            Some(value) => PathBuf::from(value.text.as_str()),
            None => default_socket(name),
        }
    }

    fn max_frame(&mut self) -> Option<usize> {
        self.read("max-frame", |text| {
            let size = parse_size(text)?;
            if size < LEAST_FRAME {
                return Err("give at least 64KiB".to_owned());
            }
            Ok(size)
        })
        .flatten()
    }

    /// Unless given, it scales with the announcements; fewer than a handful of
    /// lost ones must not forget a node.
    fn expiry(&mut self, announce_interval: Option<Duration>) -> Option<Duration> {
        if self.raw.get("expiry").is_none() {
            return announce_interval.map(|interval| interval * EXPIRY_INTERVALS);
        }
        let least = announce_interval.unwrap_or_default() * LEAST_EXPIRY_INTERVALS;
        self.duration("expiry", least.max(Duration::from_secs(1)))
    }

    fn duration(&mut self, setting: &str, least: Duration) -> Option<Duration> {
        self.read(setting, |text| {
            let duration = parse_duration(text)?;
            if duration < least {
                return Err(format!("give at least {least:?}"));
            }
            Ok(duration)
        })
        .flatten()
    }

    fn word<T: Copy>(&mut self, setting: &str, words: &[(&str, T)]) -> Option<T> {
        self.read(setting, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("write {}", known.join(" or "))
            })
        })
        .flatten()
    }

    fn parsed<T: FromStr>(&mut self, setting: &str, remedy: &str) -> Option<T> {
        self.read(setting, |text| text.parse().map_err(|_| remedy.to_owned()))
            .flatten()
    }

    /// `None` if the setting is absent; `Some(None)` if it is wrong.
    fn read<T>(
        &mut self,
        setting: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        debug_assert!(TABLE.iter().any(|known| known.name == setting));
        let value = self.raw.get(setting)?;
        let shown = self.raw.shown(setting);
        let wrong =
            |remedy: String| ConfigError::new(&shown, &value.text, "is not usable", &remedy);
        let parsed = parse(&value.text).map_err(wrong);
        Some(self.keep(parsed))
    }

    fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

/// On all addresses of the family that others find in our name.
fn everywhere(name: Option<&NodeName>) -> SocketAddr {
    let is_ipv6 = name
        .and_then(NodeName::host_ip)
        .is_some_and(|ip| ip.is_ipv6());
    let any: IpAddr = if is_ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    SocketAddr::new(any, 0)
}

/// Variables that look like settings and are none: a misspelt one is easily missed.
fn unknown_variables() -> impl Iterator<Item = Warning> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let is_known = |name: &str| {
        name == "PGMESH_COOKIE" || TABLE.iter().any(|setting| setting.variable() == name)
    };
    names
        .filter(move |name| name.starts_with("PGMESH_") && !is_known(name))
        .map(|name| {
            let message = format!("the variable {name} is no setting (see pgmesh run --help)");
            Warning::new("unknown_variable", &[], message)
        })
}

/// This host's name up to the first dot.
pub(crate) fn short_host() -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    host.split('.').next().unwrap_or("localhost").to_owned()
}
