//! The JSON shapes. Scripts depend on them: fields may be added, never changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// In seconds, to the millisecond.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What `/api/v1/status` and `pgmesh status --json` say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) creation: u32,
    pub(crate) uptime_s: f64,
    pub(crate) frozen: bool,
    /// As `/readyz` has it.
    #[serde(default)]
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) not_ready_because: Option<String>,
    /// Whether, with `--introduce all`, it is we that heal at once.
    pub(crate) leader: bool,
    pub(crate) scopes: Scopes,
    pub(crate) postgres: Postgres,
    pub(crate) epmd: Epmd,
    pub(crate) counts: Counts,
    /// What in the settings is probably not meant.
    #[serde(default)]
    pub(crate) warnings: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scopes {
    pub(crate) join: String,
    pub(crate) announce: String,
    pub(crate) introduce: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Postgres {
    /// `off`, `connecting`, `listening`, `deaf` or `down`.
    pub(crate) state: String,
    /// `null` without Postgres, and where it would show the cookie.
    pub(crate) channel: Option<String>,
    /// Whether no `--channel` was given: the channel is then made from the cookie.
    pub(crate) channel_from_cookie: bool,
    pub(crate) last_echo_s: Option<f64>,
    /// What was said on the channel and is no name, counted by kind.
    pub(crate) bad_payloads: BTreeMap<String, u64>,
    pub(crate) error: Option<Error>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epmd {
    pub(crate) mode: String,
    pub(crate) registered: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Names known, whatever their state.
    pub(crate) heard: usize,
    pub(crate) dialing: usize,
    pub(crate) up: usize,
    pub(crate) down: usize,
    pub(crate) refused: usize,
    pub(crate) left: usize,
    pub(crate) held: usize,
    /// Hidden nodes known, which count nowhere else.
    pub(crate) hidden: usize,
    /// Pairs of linked nodes, as the matrix and `pgmesh_pairs` have them: should be
    /// connected, and both say that they are not.
    pub(crate) missing: usize,
    /// One says that they are connected, the other that they are not.
    #[serde(default)]
    pub(crate) one_way: usize,
    /// One has not told what it sees.
    pub(crate) unknown: usize,
    /// Apart on purpose.
    #[serde(default)]
    pub(crate) excluded: usize,
}

/// One row of `/api/v1/members` and `pgmesh members --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) node: String,
    /// `heard`, `dialing`, `up`, `down`, `refused`, `left` or `held`.
    pub(crate) state: String,
    pub(crate) hidden: bool,
    /// Whether it lives on our host.
    pub(crate) local: bool,
    /// How long it has been linked; without a link, how long it has had none.
    #[serde(default)]
    pub(crate) since_s: f64,
    /// Which life of that name answered last; `null` if none ever did.
    #[serde(default)]
    pub(crate) creation: Option<u32>,
    pub(crate) otp: Option<String>,
    /// `initiator` if we dialled, `acceptor` if it did; `null` without a link.
    pub(crate) direction: Option<String>,
    pub(crate) last_heard_s: Option<f64>,
    pub(crate) attempts: u32,
    pub(crate) error: Option<Error>,
}

/// What is wrong: a kind from a closed set, and a text for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Error {
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// What `/api/v1/matrix` and `pgmesh matrix --json` say. Pairs are indices into
/// `nodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Matrix {
    pub(crate) nodes: Vec<String>,
    /// How many pairs are linked.
    pub(crate) linked: usize,
    pub(crate) missing: Vec<(usize, usize)>,
    pub(crate) one_way: Vec<(usize, usize)>,
    /// For each of `one_way`, which of the two says that they are linked.
    #[serde(default)]
    pub(crate) one_way_seen_by: Vec<usize>,
    /// Pairs of which one node has not told what it sees.
    pub(crate) unknown: Vec<(usize, usize)>,
    /// Held, stopping, or of releases that refuse each other.
    pub(crate) excluded: Vec<(usize, usize)>,
    pub(crate) age_s: f64,
    /// With `?full=1` only: the pairs that are linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) links: Option<Vec<(usize, usize)>>,
}

impl From<pgmesh_mesh::Matrix> for Matrix {
    fn from(matrix: pgmesh_mesh::Matrix) -> Self {
        Self {
            nodes: matrix.nodes.iter().map(ToString::to_string).collect(),
            linked: matrix.links.len(),
            missing: matrix.missing,
            one_way: matrix.one_way,
            one_way_seen_by: matrix.one_way_seen_by,
            unknown: matrix.unknown,
            excluded: matrix.excluded,
            age_s: seconds(matrix.age),
            links: Some(matrix.links),
        }
    }
}

/// What `/api/v1/events` and `pgmesh watch --json` say, one by one. An event has
/// those fields that mean something for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    /// When, as RFC 3339 writes it.
    pub(crate) at: String,
    /// `heard`, `nodeup`, `nodedown`, `edgeup`, `edgedown`, `introduced`, `healed`,
    /// `forgotten`, `goodbye`, `held`, `released`, `postgres`, `epmd`, `refused` or
    /// `missed`.
    pub(crate) event: Cow<'static, str>,
    /// How much it matters, as in the log: `debug`, `info`, `warn` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Cow<'static, str>>,
    /// Whom it happened to; our own name for `postgres` and `epmd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The other end of an edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    /// Why, from a closed set. An `introduced` with a kind brought nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Cow<'static, str>>,
    /// `listening`, `deaf` or `down` for `postgres`, `registered` or `gone` for `epmd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hidden: Option<bool>,
    /// Whether a `nodeup` is another life of a node that was linked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restarted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u32>,
    /// How long the two of a `healed` were apart, or Postgres was not heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after_s: Option<f64>,
    /// How many events a slow reader has missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// The body of `POST /api/v1/connect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    pub(crate) a: String,
    pub(crate) b: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Connected {
    pub(crate) a: String,
    pub(crate) b: String,
    /// Whether both say that they are, five seconds later at the latest.
    pub(crate) connected: bool,
}

/// The body of `POST /api/v1/disconnect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disconnect {
    pub(crate) node: String,
    /// Without it the node is held until it is to be connected again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) for_s: Option<f64>,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) node: String,
    /// As RFC 3339 writes it; `null`: until it is to be connected again.
    pub(crate) held_until: Option<String>,
}

/// The body of `POST /api/v1/forget`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forget {
    pub(crate) node: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) node: String,
}

/// The answer to a request that is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) error: Error,
}
