//! Where names are said: Postgres and the channel, neither of which may show a secret.

use pgmesh_discovery::{Channel, Conninfo, Environment};
use pgmesh_dist::Cookie;

use super::{ConfigError, Reader, RunSettings, Warning};
use crate::settings::raw::Source;

/// What a [`Database`] is made of, and every warning about one.
const OF_DATABASE: &[&str] = &["database-url", "channel", "cookie-file"];

/// Where names are said.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) conninfo: Conninfo,
    pub(crate) channel: Channel,
    /// The channel then is as secret as the cookie.
    pub(crate) channel_from_cookie: bool,
}

impl Database {
    /// The channel, where it may be shown.
    pub(crate) fn shown_channel(&self) -> Option<String> {
        (!self.channel_from_cookie).then(|| self.channel.to_string())
    }
}

impl RunSettings {
    /// A channel that shows the cookie is not shown where it was given, of use or not.
    pub(super) fn keep_cookie_secret(mut self) -> Self {
        let given = self.raw.get("channel");
        if given.is_some_and(|given| shows_cookie(&given.text, &self.cookie)) {
            self.raw.keep_secret("channel");
        }
        self
    }
}

impl Reader<'_> {
    /// Beside it the warnings. `Some((None, _))` when no database was given, which is
    /// no error.
    pub(super) fn database(
        &mut self,
        cookie: Option<&Cookie>,
    ) -> Option<(Option<Database>, Vec<Warning>)> {
        let environment = Environment::of_process();
        let url = self.raw.get("database-url");
        if url.is_none() && !environment.names_a_database() {
            // Whoever names the nodes can do without.
            if self.raw.get("peers").is_some() {
                return Some((None, Vec::new()));
            }
            let message = "no database: only this host's nodes and those that dial us are \
                           found, and nobody hears of them (give --database-url)";
            return Some((
                None,
                vec![Warning::new("no_database", OF_DATABASE, message)],
            ));
        }
        let conninfo = self.conninfo(url.map_or("", |url| &url.text), &environment);
        let cookie = cookie?;
        let channel = self.channel(cookie)?;
        let given = self.raw.get("channel");
        let channel_from_cookie = given.is_none_or(|given| shows_cookie(&given.text, cookie));
        let conninfo = conninfo?;
        let warnings = conninfo.warnings().iter();
        let warnings = warnings.map(|message| Warning::new("database_url", OF_DATABASE, message));
        let of_channel = self.channel_warning(&channel, channel_from_cookie);
        let warnings = warnings.chain(of_channel).collect();
        let database = Database {
            conninfo,
            channel,
            channel_from_cookie,
        };
        Some((Some(database), warnings))
    }

    fn conninfo(&mut self, text: &str, environment: &Environment) -> Option<Conninfo> {
        let shown = match self.raw.get("database-url") {
            Some(_) => self.raw.shown("database-url"),
            None => "PGHOST and its companions".to_owned(),
        };
        match Conninfo::parse(text, environment) {
            Ok(conninfo) => Some(conninfo),
            Err(errors) => {
                let wrong = |error: pgmesh_discovery::ConninfoError| {
                    ConfigError::without_value(&shown, error.problem(), error.remedy())
                };
                self.errors.extend(errors.0.into_iter().map(wrong));
                None
            }
        }
    }

    /// A password that stands in the file, and not in a variable or `~/.pgpass`.
    pub(super) fn exposed_file(&self) -> Option<Warning> {
        let url = self.raw.get("database-url");
        let url = url.filter(|url| matches!(url.source, Source::File { .. }))?;
        let file = self.raw.file()?;
        let mode = file.exposed()?;
        let alone = Conninfo::parse(&url.text, &Environment::default());
        let message = format!(
            "{} holds a database password and can be read by everybody (mode {mode:03o}): \
             chmod 640 it",
            file.path().display()
        );
        let holds_password = alone.is_ok_and(|conninfo| conninfo.has_password());
        holds_password.then(|| Warning::new("config_file_exposed", &[], message))
    }

    fn channel(&mut self, cookie: &Cookie) -> Option<Channel> {
        let channel = match self.raw.get("channel") {
            Some(value) => Channel::new(&value.text),
            None => Channel::from_cookie(cookie.expose()),
        };
        let unusable = |error: pgmesh_discovery::ChannelError| {
            ConfigError::without_value(
                &self.raw.shown("channel"),
                &error.to_string(),
                "it is libcluster_postgres' channel_name",
            )
        };
        self.keep(channel.map_err(unusable))
    }

    fn channel_warning(&self, channel: &Channel, is_from_cookie: bool) -> Option<Warning> {
        let is_given = self.raw.get("channel").is_some();
        let (kind, message) = match (channel.was_cut(), is_given) {
            (true, false) => (
                "channel_cut",
                "the cookie makes a channel of more than 63 bytes: Postgres cuts it, and BEAM \
                 nodes with it say their names but hear nothing (give --channel, and the nodes \
                 the same channel_name)",
            ),
            (true, true) => (
                "channel_cut",
                "the channel has more than 63 bytes: Postgres cuts it, and BEAM nodes with \
                 that channel say their names but hear nothing (give all a shorter one)",
            ),
            (false, _) if is_from_cookie => (
                "channel_shows_cookie",
                "the channel is the cookie: whoever sees Postgres' activity or logs sees the \
                 cookie (give --channel another name, and the nodes the same channel_name)",
            ),
            (false, _) => return None,
        };
        Some(Warning::new(kind, OF_DATABASE, message))
    }
}

/// Whether a channel was copied from what Postgres shows of a node without one of its own.
fn shows_cookie(channel: &str, cookie: &Cookie) -> bool {
    let cookie = cookie.expose();
    let made = Channel::from_cookie(cookie).ok();
    let given = Channel::new(channel).ok();
    let same = |(made, given): (Channel, Channel)| made.as_str() == given.as_str();
    channel == cookie || made.zip(given).is_some_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_made_from_the_cookie_is_not_shown() {
        let database = |channel_from_cookie| Database {
            conninfo: Conninfo::parse("postgres://u@h", &Environment::default()).unwrap(),
            channel: Channel::new("secret").unwrap(),
            channel_from_cookie,
        };
        assert_eq!(database(true).shown_channel(), None);
        assert_eq!(database(false).shown_channel().as_deref(), Some("secret"));
    }
}
