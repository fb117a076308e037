//! Every setting of `pgmesh run`, once: flags, help, defaults and the README's
//! table come from here.

/// A setting. Its variable is `PGMESH_` and the name in capitals.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value_name: &'static str,
    pub(crate) default: Option<&'static str>,
    pub(crate) help: &'static str,
    /// Given several times, or once with commas between.
    pub(crate) repeats: bool,
    /// In a file it may be a table, each of its pairs one value.
    pub(crate) pairs: bool,
    /// Its value is never shown.
    pub(crate) secret: bool,
    /// The words for true and false, where a file may say those.
    pub(crate) switch: Option<(&'static str, &'static str)>,
    /// Whether SIGHUP changes it in a daemon that runs.
    pub(crate) reloads: bool,
}

impl Setting {
    const fn new(
        name: &'static str,
        value_name: &'static str,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            value_name,
            default,
            help,
            repeats: false,
            pairs: false,
            secret: false,
            switch: None,
            reloads: false,
        }
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    const fn pairs(mut self) -> Self {
        self.pairs = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn switch(mut self, yes: &'static str, no: &'static str) -> Self {
        self.switch = Some((yes, no));
        self
    }

    const fn reloads(mut self) -> Self {
        self.reloads = true;
        self
    }

    /// Whether it names a file, which in a configuration file lies beside that one.
    pub(crate) fn is_path(&self) -> bool {
        self.value_name == "PATH"
    }

    /// The variable that gives this setting.
    pub(crate) fn variable(&self) -> String {
        variable_of(self.name)
    }
}

/// The variable that gives the setting of this name.
pub(crate) fn variable_of(setting: &str) -> String {
    format!("PGMESH_{}", setting.to_uppercase().replace('-', "_"))
}

/// All settings, in the order of the help.
#[rustfmt::skip]
pub(crate) static TABLE: &[Setting] = &[
    Setting::new("config", "FILE", None,
        "TOML file with the settings below; a flag or a variable wins over it"),
    Setting::new("name", "ALIVE@HOST", None,
        "Our node name; an address or a dot in the host makes it a long name [default: pgmesh@ and the short host name]"),
    Setting::new("cookie-file", "PATH", None,
        "File with the cluster's cookie; without it PGMESH_COOKIE, else ~/.erlang.cookie"),
    Setting::new("database-url", "URL", None,
        "Postgres, as psql or Ecto takes it (also PGHOST and its companions), connected to directly and not through a pooler; without it only this host's nodes are found").secret(),
    Setting::new("channel", "NAME", None,
        "Channel on which names are said [default: the cookie, cleaned as libcluster_postgres does it]"),
    Setting::new("announce-interval", "DURATION", Some("5s"),
        "How often names are announced, give or take a fifth").reloads(),
    Setting::new("expiry", "DURATION", None,
        "How long a name without a link must be silent before it is forgotten [default: 12 announce intervals]").reloads(),
    Setting::new("join", "SCOPE", Some("all"),
        "Whom we link to: local (this host's nodes) or all").reloads(),
    Setting::new("announce", "SCOPE", Some("local"),
        "Whose names we say: local (our own and those of this host's nodes) or none (a silent observer)").reloads(),
    Setting::new("introduce", "SCOPE", Some("local"),
        "Whom we connect to each other: none, local (this host's nodes to every other) or all").reloads(),
    Setting::new("watch-edges", "MODE", Some("auto"),
        "Whether a small process on each node tells us of every edge at once: on, off, or auto (on unless --introduce none)").switch("on", "off").reloads(),
    Setting::new("audit-interval", "DURATION", Some("30s"),
        "How often each node is asked for its connections, give or take a fifth").reloads(),
    Setting::new("dialect", "NAME", Some("libcluster"),
        "How names are said: libcluster (bare names) or heartbeat (heartbeat:NAME and goodbye:NAME); both are heard"),
    Setting::new("prune", "WORD", Some("no"),
        "yes: when a name is forgotten, all nodes are told to disconnect from it").switch("yes", "no").reloads(),
    Setting::new("allow", "PATTERN", None,
        "Names and addresses that may be dialled: globs like 'app_*@*' and networks like 10.0.0.0/8, with commas between or given several times. Globs alone allow any address, public ones too [default: every name on private addresses]").repeats().reloads(),
    Setting::new("peers", "NAME=[ADDR:]PORT", None,
        "Where these nodes listen, instead of asking EPMD, and DNS where an address is given; with commas between or given several times, in the file a table. They are dialled without having been heard, and never forgotten").repeats().pairs().reloads(),
    Setting::new("listen", "ADDR:PORT", None,
        "Where we listen for other nodes; several with one port, like 127.0.0.1:0,[::1]:0, with commas between or given several times; port 0 lets the system choose [default: 0.0.0.0:0, or [::]:0 if the host of --name is an IPv6 address]").repeats(),
    Setting::new("epmd", "MODE", Some("auto"),
        "Which EPMD: auto (the one that answers, else epmd -daemon, else embedded; and again when it dies), external (another program), embedded (ours, within the daemon) or none"),
    Setting::new("dist-port", "PORT", None,
        "Port at which every other peer listens, instead of asking EPMD [default with --epmd none: ERL_DIST_PORT, else the port of --listen]"),
    Setting::new("tls-optfile", "PATH", None,
        "Links go over TLS, with the options in this file: that of the nodes' -ssl_dist_optfile"),
    Setting::new("tls-cert", "PATH", None,
        "Links go over TLS, and this is our certificate with its chain (PEM), whoever dials"),
    Setting::new("tls-key", "PATH", None,
        "Its key [default: in the same file]"),
    Setting::new("tls-ca", "PATH", None,
        "Who may have signed the nodes' certificates (PEM)"),
    Setting::new("tls-verify", "WORD", None,
        "Whose certificate is verified, with --tls-cert: mutual (who dials and who is dialled), server (who is dialled) or none [default: mutual]"),
    Setting::new("net-ticktime", "DURATION", Some("60s"),
        "How long a peer may be silent; give the nodes' own net_ticktime"),
    Setting::new("setup-timeout", "DURATION", Some("7s"),
        "How long each step of setting up a link may take"),
    Setting::new("max-frame", "SIZE", Some("64MiB"),
        "Longest message taken from a peer"),
    Setting::new("socket", "PATH", None,
        "Control socket [default: $XDG_RUNTIME_DIR/pgmesh/NAME.sock, or below /run/pgmesh]"),
    Setting::new("http", "ADDR:PORT", None,
        "Serve health, state and metrics, read only, over HTTP"),
    Setting::new("min-cluster", "N", Some("0"),
        "Not ready before this many nodes have been linked at once").reloads(),
    Setting::new("log-format", "FORMAT", Some("text"),
        "text or json"),
    Setting::new("log", "LEVEL", Some("info"),
        "error, warn, info, debug or trace").reloads(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_shows_every_setting() {
        let readme = include_str!("../../../../README.md");
        for setting in TABLE {
            let row = format!("| `--{}` |", setting.name);
            assert!(readme.contains(&row), "README has no row {row}");
            if let Some(default) = setting.default {
                let line = readme.lines().find(|line| line.starts_with(&row));
                let shown = line.unwrap().contains(&format!("| `{default}` |"));
                assert!(shown, "README shows another default than {default}: {row}");
            }
        }
        for row in readme.lines().filter_map(|line| line.strip_prefix("| `--")) {
            let name = row.split('`').next().unwrap();
            let is_known = TABLE.iter().any(|setting| setting.name == name);
            assert!(is_known, "README has a row for {name}, which is no setting");
        }
    }

    #[test]
    fn variables_follow_the_names() {
        let interval = TABLE.iter().find(|s| s.name == "announce-interval");
        assert_eq!(interval.unwrap().variable(), "PGMESH_ANNOUNCE_INTERVAL");
    }
}
