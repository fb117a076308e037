//! The `pgmesh run` under our name, if one runs here, and what it knows.

use std::io;
use std::path::{Path, PathBuf};

use pgmesh_name::NodeName;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::check::{Check, Group, counted};
use super::trouble::cause_and_remedy;
use crate::api::shapes::{Member, Status};
use crate::commands::daemon_client::{DaemonClient, LIMIT, socket_of};
use crate::commands::table::age;
use crate::settings::{Database, RunSettings};

const GROUP: Group = Group::Daemon;
const SAME_SETTINGS: &str = "give doctor the settings that the daemon was started with";

/// What answers at the control socket.
#[derive(Debug)]
pub(super) enum DaemonFacts {
    /// Nobody.
    Absent,
    /// Somebody, of whom we learn nothing: why.
    Silent(String),
    /// A daemon of this name, which is not ours.
    Other(String),
    Runs(Box<Running>),
}

/// A daemon that answers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: Option<i32>,
    pub(super) status: Status,
    pub(super) members: Vec<Member>,
}

/// Where the daemon of these settings is to be asked: from a user's session, too, if it
/// runs as a service.
pub(super) fn socket(settings: &RunSettings) -> PathBuf {
    let given = settings.given_socket().map(Path::to_owned);
    given.unwrap_or_else(|| socket_of(&settings.name))
}

impl DaemonFacts {
    pub(super) async fn gather(own: &NodeName, socket: &Path) -> Self {
        let pid = match pid_behind(socket).await {
            Ok(pid) => pid,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Self::Silent(error.to_string());
            }
            Err(_) => return Self::Absent,
        };
        let client = DaemonClient::at(socket.to_owned());
        match client.within(LIMIT, Running::ask(&client, pid)).await {
            Ok(running) if running.status.node != own.as_str() => Self::Other(running.status.node),
            Ok(running) => Self::Runs(Box::new(running)),
            Err(error) => Self::Silent(format!("{error:#}")),
        }
    }

    /// The daemon that these settings mean.
    pub(super) fn running(&self) -> Option<&Running> {
        match self {
            Self::Runs(running) => Some(running),
            Self::Absent | Self::Silent(_) | Self::Other(_) => None,
        }
    }

    /// Whether a daemon of ours is there, even if it does not say so itself.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Runs(_) | Self::Silent(_))
    }

    /// What the daemon has of a node.
    pub(super) fn member(&self, node: &str) -> Option<&Member> {
        let mut members = self.running()?.members.iter();
        members.find(|member| member.node == node)
    }
}

async fn pid_behind(socket: &Path) -> io::Result<Option<i32>> {
    let connected = timeout(LIMIT, UnixStream::connect(socket)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(stream.peer_cred()?.pid())
}

impl Running {
    async fn ask(client: &DaemonClient, pid: Option<i32>) -> anyhow::Result<Self> {
        let status = client.get("/api/v1/status").await?.expect_ok()?;
        let members = client.get("/api/v1/members").await?.expect_ok()?;
        Ok(Self {
            pid,
            status: serde_json::from_slice(&status.body)?,
            members: serde_json::from_slice(&members.body)?,
        })
    }
}

/// What is to be said of whoever answers, or does not, at this socket.
pub(super) fn checks(settings: &RunSettings, socket: &Path, facts: &DaemonFacts) -> Vec<Check> {
    let (own, socket) = (settings.name.as_str(), socket.display());
    match facts {
        DaemonFacts::Absent => {
            let message = format!("no pgmesh runs here as {own}: a node of ours stands in for it");
            vec![GROUP.ok("running", message)]
        }
        DaemonFacts::Silent(cause) => {
            let message = format!("the daemon at {socket} cannot be asked: {cause}");
            let remedy = "run pgmesh doctor as the user that pgmesh runs as, or see its log";
            vec![GROUP.warning("running", message, remedy)]
        }
        DaemonFacts::Other(node) => {
            let message = format!("the daemon at {socket} is {node}, not {own}");
            vec![GROUP.failed("running", message, SAME_SETTINGS)]
        }
        DaemonFacts::Runs(running) => {
            let mut checks = running_checks(running);
            checks.extend(channel_check(settings.database.as_ref(), &running.status));
            checks
        }
    }
}

fn running_checks(running: &Running) -> Vec<Check> {
    let status = &running.status;
    let mut checks = vec![GROUP.ok("running", described(running))];
    checks.extend(version_check(status));
    checks.extend(postgres_check(status));
    checks.extend(epmd_check(status));
    checks.extend(mesh_check(status));
    checks
}

fn described(running: &Running) -> String {
    let status = &running.status;
    let pid = running
        .pid
        .map_or_else(String::new, |pid| format!(", pid {pid}"));
    let members = counted(status.counts.heard, "name");
    format!(
        "pgmesh runs here{pid}, up {}: {members} known, {} up",
        age(Some(status.uptime_s)),
        status.counts.up,
    )
}

fn version_check(status: &Status) -> Option<Check> {
    let own = env!("CARGO_PKG_VERSION");
    (status.version != own).then(|| {
        let message = format!("the daemon is pgmesh {}, and this is {own}", status.version);
        GROUP.warning("version", message, "restart the daemon")
    })
}

fn postgres_check(status: &Status) -> Option<Check> {
    let postgres = &status.postgres;
    let error = postgres
        .error
        .as_ref()
        .filter(|_| postgres.state != "listening")?;
    let (cause, remedy) = cause_and_remedy(&error.message);
    let remedy = remedy.unwrap_or("see the daemon's log");
    let message = format!("the daemon does not hear Postgres: {cause}");
    let failed = GROUP.failed("postgres", message, remedy);
    Some(failed.kind(error.kind.clone()))
}

/// Doctor looks where its own settings say: at something else than the daemon does?
fn channel_check(database: Option<&Database>, status: &Status) -> Option<Check> {
    let theirs = (status.postgres.state != "off").then(|| status.postgres.channel.clone());
    let ours = database.map(Database::shown_channel);
    (ours != theirs).then(|| {
        let shown = |channel: Option<Option<String>>| match channel {
            Some(Some(channel)) => format!("the channel {channel}"),
            Some(None) => "the channel made from the cookie".to_owned(),
            None => "no database".to_owned(),
        };
        let message = format!(
            "the daemon has {}, and these settings {}",
            shown(theirs),
            shown(ours)
        );
        GROUP.warning("channel", message, SAME_SETTINGS)
    })
}

fn epmd_check(status: &Status) -> Option<Check> {
    status.epmd.lacks_us().then(|| {
        let message = "the daemon is not registered at EPMD: other nodes cannot dial it";
        let remedy = "it registers within a second of EPMD's return: see EPMD below";
        GROUP
            .failed("registered", message, remedy)
            .kind("name_unknown")
    })
}

fn mesh_check(status: &Status) -> Option<Check> {
    let missing = status.counts.missing + status.counts.one_way;
    (missing > 0).then(|| {
        let are = if missing == 1 { "pair is" } else { "pairs are" };
        let message = format!("{missing} {are} not connected that should be");
        GROUP.warning("mesh", message, "see pgmesh matrix, and the nodes below")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::shapes::Error;

    /// A daemon for which all is well.
    pub(in super::super) fn running(members: Vec<Member>) -> Running {
        let status = serde_json::json!({
            "node": "pgmesh@10.0.0.9", "version": env!("CARGO_PKG_VERSION"), "creation": 4,
            "uptime_s": 300.0, "frozen": false, "leader": false,
            "scopes": {"join": "all", "announce": "local", "introduce": "local"},
            "postgres": {"state": "listening", "channel": "cluster",
                "channel_from_cookie": false, "last_echo_s": 0.4, "bad_payloads": {},
                "error": null},
            "epmd": {"mode": "external", "registered": true},
            "counts": {"heard": 5, "dialing": 0, "up": 5, "down": 0, "refused": 0, "left": 0,
                "held": 0, "hidden": 0, "missing": 0, "unknown": 0},
        });
        Running {
            pid: Some(4711),
            status: serde_json::from_value(status).unwrap(),
            members,
        }
    }

    pub(in super::super) fn samples(settings: &RunSettings) -> Vec<Check> {
        let mut ill = running(vec![]);
        ill.status.version = "0.0.9".to_owned();
        ill.status.postgres.state = "down".to_owned();
        ill.status.postgres.error = Some(Error {
            kind: "authentication".to_owned(),
            message: "postgres: db:5432: the server says: password authentication failed \
                      (check user and password in the URL, PGPASSWORD or ~/.pgpass)"
                .to_owned(),
        });
        ill.status.postgres.channel = Some("other".to_owned());
        ill.status.epmd.registered = false;
        ill.status.counts.missing = 2;
        let socket = &settings.socket;
        let facts = [
            DaemonFacts::Absent,
            DaemonFacts::Silent("permission denied".to_owned()),
            DaemonFacts::Other("other@10.0.0.9".to_owned()),
            DaemonFacts::Runs(Box::new(ill)),
        ];
        facts
            .iter()
            .flat_map(|facts| checks(settings, socket, facts))
            .collect()
    }

    #[test]
    fn healthy_daemon_is_one_line() {
        let checks = running_checks(&running(vec![]));
        let messages: Vec<_> = checks.iter().map(|check| check.message.as_str()).collect();
        assert_eq!(
            messages,
            ["pgmesh runs here, pid 4711, up 5 min: 5 names known, 5 up"]
        );
    }
}
