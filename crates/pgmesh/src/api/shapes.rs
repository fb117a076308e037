//! The JSON shapes. Scripts depend on them: fields may be added, never changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What `/api/v1/status` and `pgmesh status --json` say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) creation: u32,
    pub(crate) uptime_s: f64,
    pub(crate) frozen: bool,
    /// Whether, with `--introduce all`, it is we that heal at once.
    pub(crate) leader: bool,
    pub(crate) scopes: Scopes,
    pub(crate) postgres: Postgres,
    pub(crate) epmd: Epmd,
    pub(crate) counts: Counts,
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
    /// Pairs of nodes that should be connected and are not.
    pub(crate) missing: usize,
    /// Pairs of which nobody knows.
    pub(crate) unknown: usize,
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
            unknown: matrix.unknown,
            excluded: matrix.excluded,
            age_s: matrix.age.as_secs_f64(),
            links: Some(matrix.links),
        }
    }
}
