//! What is known of the Postgres session, and which of its changes are news.

use std::collections::BTreeMap;
use std::time::Instant;

use pgmesh_discovery::{PostgresError, PostgresErrorKind};
use tracing::Level;

use super::news::News;
use crate::api::shapes::{Error, seconds};

/// The session, as the last of its events left it.
pub(super) struct PostgresView {
    state: PostgresState,
    error: Option<Error>,
    bad_payloads: BTreeMap<&'static str, u64>,
    outage: Option<Outage>,
}

/// Since we last heard.
#[derive(Clone, Copy)]
struct Outage {
    began_at: Instant,
    /// Sessions that failed, the one that was lost included.
    failures: u32,
}

/// Whether we hear, and if not why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostgresState {
    /// There is no database.
    Off,
    /// There is no session yet, or none of our words came back on it yet.
    Connecting,
    /// We hear.
    Listening,
    /// The session stands, and our words no longer come back.
    Deaf,
    /// There is no session.
    Down,
}

impl PostgresState {
    /// Every state, for tables and metrics.
    pub(super) const ALL: [Self; 5] = [
        Self::Off,
        Self::Connecting,
        Self::Listening,
        Self::Deaf,
        Self::Down,
    ];

    /// The word of the JSON shapes.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Listening => "listening",
            Self::Deaf => "deaf",
            Self::Down => "down",
        }
    }

    pub(super) fn labels() -> Vec<&'static str> {
        Self::ALL.iter().map(|state| state.as_str()).collect()
    }
}

impl PostgresView {
    pub(super) fn new(has_database: bool) -> Self {
        Self {
            state: if has_database {
                PostgresState::Connecting
            } else {
                PostgresState::Off
            },
            error: None,
            bad_payloads: BTreeMap::new(),
            outage: None,
        }
    }

    pub(super) fn state(&self) -> PostgresState {
        self.state
    }

    pub(super) fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// What was said on the channel and is no name, counted by kind.
    pub(super) fn bad_payloads(&self) -> &BTreeMap<&'static str, u64> {
        &self.bad_payloads
    }

    pub(super) fn bad_payload(&mut self, kind: &'static str) {
        *self.bad_payloads.entry(kind).or_default() += 1;
    }

    /// The session listens; only an echo proves that it hears. Until then the last
    /// error stands.
    pub(super) fn up(&mut self) {
        self.state = PostgresState::Connecting;
    }

    /// Repeated failures of one kind are no news.
    pub(super) fn down(&mut self, error: &PostgresError) -> Option<News> {
        let kind = error.kind();
        self.state = match kind {
            PostgresErrorKind::Deaf => PostgresState::Deaf,
            _ => PostgresState::Down,
        };
        let known = self.error.as_ref();
        let is_news = known.is_none_or(|known| known.kind != kind.as_str());
        let outage = self.outage.get_or_insert_with(|| Outage {
            began_at: Instant::now(),
            failures: 0,
        });
        outage.failures += 1;
        self.error = Some(Error {
            kind: kind.as_str().to_owned(),
            message: error.to_string(),
        });
        let news = || News::warn("postgres", error.to_string()).kind(kind.as_str());
        is_news.then(|| news().state(self.state.as_str()))
    }

    /// Only a bug can bring that about.
    pub(super) fn ended(&mut self) -> News {
        self.state = PostgresState::Down;
        let message = "postgres: the session broke off (please report this)";
        let news = News::new(Level::ERROR, "postgres", message).kind("internal");
        news.state(self.state.as_str())
    }

    /// Our own words came back: news if we did not hear before.
    pub(super) fn echo(&mut self) -> Option<News> {
        let is_news = self.state != PostgresState::Listening;
        self.state = PostgresState::Listening;
        self.error = None;
        let outage = self.outage.take();
        is_news.then(|| {
            let news = outage.map_or_else(first_heard, heard_again);
            news.state(self.state.as_str())
        })
    }
}

fn first_heard() -> News {
    News::info("postgres", "postgres: listening")
}

fn heard_again(outage: Outage) -> News {
    let (after, failures) = (outage.began_at.elapsed(), outage.failures);
    let message = format!(
        "postgres: listening again, after {:.1} s and {failures} failures",
        after.as_secs_f64()
    );
    let mut news = News::info("postgres", message);
    news.event.after_s = Some(seconds(after));
    news.event.attempts = Some(failures);
    news
}
