//! What SIGHUP changes in a daemon that runs, and what takes a restart.

use super::raw::RawValue;
use super::table::Setting;
use super::{RunSettings, Warning};

/// A setting that has another value than before. Values are as they may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) setting: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Whether it was taken over; if not, it takes a restart.
    pub(crate) taken: bool,
}

impl RunSettings {
    /// Takes over what can change while the daemon runs, and tells everything that
    /// is another value than before. To be called when all of `new` is good.
    pub(crate) fn take_over(&mut self, new: Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (setting, value) in new.raw.rows() {
            let before = self.raw.get(setting.name);
            let same = text(before) == text(value);
            if !same || (setting.name == "cookie-file" && self.has_other_cookie(&new)) {
                changes.push(Change {
                    setting: setting.name,
                    from: shown(setting, before),
                    to: shown(setting, value),
                    taken: setting.reloads,
                });
            }
            if setting.reloads {
                self.raw.replace(setting, &new.raw);
            }
        }
        self.take_warnings(&new, &changes);
        self.take_values(new);
        changes
    }

    /// Who waits for a restart runs with the old value, and its warnings stay true.
    fn take_warnings(&mut self, new: &Self, changes: &[Change]) {
        let waits = |setting: &&str| changes.iter().any(|c| c.setting == *setting && !c.taken);
        let stays = |warning: &Warning| warning.about.iter().any(waits);
        self.warnings.retain(stays);
        let taken = new.warnings.iter().filter(|warning| !stays(warning));
        self.warnings.extend(taken.cloned());
    }

    /// Those that the table says are reloaded; a test compares.
    fn take_values(&mut self, new: Self) {
        self.announce_interval = new.announce_interval;
        self.expiry = new.expiry;
        self.join = new.join;
        self.announce = new.announce;
        self.introduce = new.introduce;
        self.watch_edges = new.watch_edges;
        self.audit_interval = new.audit_interval;
        self.prune = new.prune;
        self.allow = new.allow;
        self.peers = new.peers;
        self.min_cluster = new.min_cluster;
        self.log = new.log;
    }

    fn has_other_cookie(&self, new: &Self) -> bool {
        self.cookie.expose() != new.cookie.expose()
    }
}

fn text(value: Option<&RawValue>) -> Option<&str> {
    value.map(|value| value.text.as_str())
}

fn shown(setting: &Setting, value: Option<&RawValue>) -> String {
    value
        .map_or("default", |value| setting.shown(value))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::TABLE;

    /// A folder with cookies, for files that are read one after the other.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cookie"), "c").unwrap();
        std::fs::write(folder.path().join("other-cookie"), "c").unwrap();
        std::fs::write(folder.path().join("optfile"), "[{server, []}].").unwrap();
        folder
    }

    /// What a file says that has these lines, and what every file needs.
    fn settings(folder: &tempfile::TempDir, lines: &str) -> RunSettings {
        let needed = [
            "name = 'a@h'\n",
            "cookie-file = 'cookie'\n",
            "database-url = 'postgres://u@h/d'\n",
        ];
        let key = |line: &str| line.split(' ').next().unwrap().to_owned();
        let missing = |line: &&&str| !lines.starts_with(&key(line));
        let needed: String = needed.iter().filter(missing).copied().collect();
        read(folder, &format!("{lines}\n{needed}"))
    }

    fn read(folder: &tempfile::TempDir, text: &str) -> RunSettings {
        let file = folder.path().join("pgmesh.toml");
        std::fs::write(&file, text).unwrap();
        let line = ["pgmesh", "run", "--config", file.to_str().unwrap()];
        let matches = crate::cli::command().get_matches_from(line);
        RunSettings::read(matches.subcommand().unwrap().1).unwrap()
    }

    const OTHER_VALUES: &[(&str, &str)] = &[
        ("name", "'b@h'"),
        ("cookie-file", "'other-cookie'"),
        ("database-url", "'postgres://v@h/d'"),
        ("channel", "'other'"),
        ("announce-interval", "'9s'"),
        ("expiry", "'99s'"),
        ("join", "'local'"),
        ("announce", "'none'"),
        ("introduce", "'none'"),
        ("watch-edges", "false"),
        ("audit-interval", "'9s'"),
        ("dialect", "'heartbeat'"),
        ("prune", "true"),
        ("allow", "['*@x']"),
        ("peers", "{ 'c@h' = 9100 }"),
        ("listen", "['127.0.0.1:0', '[::1]:0']"),
        ("epmd", "'external'"),
        ("dist-port", "4371"),
        ("tls-optfile", "'optfile'"),
        ("tls-cert", "'c'\ntls-ca = 'a'"),
        ("tls-key", "'k'\ntls-cert = 'c'\ntls-ca = 'a'"),
        ("tls-ca", "'a'\ntls-cert = 'c'"),
        ("tls-verify", "'none'\ntls-cert = 'c'"),
        ("net-ticktime", "'9s'"),
        ("setup-timeout", "'9s'"),
        ("max-frame", "'1MiB'"),
        ("socket", "'other'"),
        ("http", "'127.0.0.1:1'"),
        ("min-cluster", "9"),
        ("log-format", "'json'"),
        ("log", "'debug'"),
    ];

    #[test]
    fn what_the_table_says_is_reloaded_is_taken_over_and_nothing_else() {
        let is_tried = |name| OTHER_VALUES.iter().any(|(other, _)| *other == name);
        let names = TABLE.iter().map(|setting| setting.name);
        let untried: Vec<_> = names.filter(|name| !is_tried(*name)).collect();
        assert_eq!(untried, ["config"]);
        let folder = folder();
        for (name, value) in OTHER_VALUES {
            let mut old = settings(&folder, "");
            let new = settings(&folder, &format!("{name} = {value}"));
            let before = format!("{old:?}");
            old.take_values(new);
            let changed = format!("{old:?}") != before;
            let setting = TABLE.iter().find(|setting| setting.name == *name);
            assert_eq!(changed, setting.unwrap().reloads, "{name}");
        }
    }

    /// The kinds of the warnings after a reload.
    fn warned(mut running: RunSettings, new: RunSettings) -> Vec<&'static str> {
        running.take_over(new);
        let kinds = running.warnings.iter().map(|warning| warning.kind);
        // Those are the test's own.
        kinds.filter(|kind| *kind != "unknown_variable").collect()
    }

    #[test]
    fn warnings_are_about_what_runs() {
        let folder = folder();
        let cookie = folder.path().join("cookie");
        let chmod = |mode| std::fs::set_permissions(&cookie, PermissionsExt::from_mode(mode));
        let with = |lines| settings(&folder, lines);
        chmod(0o400).unwrap();
        let channel = "channel = 'x'";
        assert_eq!(warned(with(""), with(channel)), ["channel_shows_cookie"]);
        assert_eq!(warned(with(channel), with("")), [""; 0]);
        let without_database = read(&folder, "name = 'a@h'\ncookie-file = 'cookie'\n");
        assert_eq!(warned(with(channel), without_database), [""; 0]);
        chmod(0o444).unwrap();
        let exposed = with(channel);
        assert_eq!(warned(exposed, with(channel)), ["cookie_file_exposed"]);
        let exposed = with(channel);
        chmod(0o400).unwrap();
        assert_eq!(warned(exposed, with(channel)), [""; 0]);
    }

    #[test]
    fn channel_that_was_copied_from_what_the_cookie_makes_is_not_shown() {
        let folder = folder();
        let write = |cookie: &str| std::fs::write(folder.path().join("cookie"), cookie).unwrap();
        let shown = |channel: &str| {
            let settings = settings(&folder, &format!("channel = '{channel}'"));
            let shown = settings.database.as_ref().unwrap().shown_channel();
            let warned = settings
                .warnings
                .iter()
                .any(|w| w.kind == "channel_shows_cookie");
            assert_eq!(warned, shown.is_none());
            assert_eq!(warned, !settings.raw.summary().contains(channel));
            shown
        };
        write("geheimer-keks");
        assert_eq!(shown("geheimer_keks"), None);
        assert_eq!(shown("geheimer-keks"), None);
        assert_eq!(shown("keks").as_deref(), Some("keks"));
        write(&"x".repeat(80));
        assert_eq!(shown(&"x".repeat(63)), None, "as Postgres cuts it");
        let needed = "name = 'a@h'\ncookie-file = 'cookie'\n";
        write("keks");
        let of_no_use = read(&folder, &format!("channel = 'keks'\n{needed}"));
        assert!(!of_no_use.raw.summary().contains("keks"));
    }

    #[test]
    fn changes_are_told_with_both_values_and_without_secrets() {
        let folder = folder();
        let mut running = settings(&folder, "database-url = 'postgres://u:hunter2@h/d'");
        let new = "database-url = 'postgres://u:hunter3@h/d'\nlog = 'debug'\nhttp = '127.0.0.1:1'";
        let new = || settings(&folder, new);
        let change = |setting, from: &str, to: &str, taken| Change {
            setting,
            from: from.to_owned(),
            to: to.to_owned(),
            taken,
        };
        let expected = [
            change("database-url", "…", "…", false),
            change("http", "default", "127.0.0.1:1", false),
            change("log", "info", "debug", true),
        ];
        assert_eq!(running.take_over(new()), expected);
        let still_to_come = running.take_over(new());
        assert_eq!(still_to_come, expected[..2], "not restarted yet");
        std::fs::write(folder.path().join("cookie"), "d").unwrap();
        let cookie = folder.path().join("cookie").display().to_string();
        let changes = running.take_over(new());
        assert_eq!(changes[0], change("cookie-file", &cookie, &cookie, false));
    }
}
