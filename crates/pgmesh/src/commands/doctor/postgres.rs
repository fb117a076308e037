//! Postgres: which step towards a session that hears comes to nothing.

use std::time::Duration;

use pgmesh_discovery::{Examination, Identity, Listener, PostgresErrorKind, Reached, examine};

use super::check::{Check, Group, listed};
use super::trouble::PostgresTrouble;
use crate::settings::{Database, RunSettings};

const GROUP: Group = Group::Postgres;
/// An interval that keeps no database awake: providers let one sleep after five
/// minutes.
const LETS_SLEEP: Duration = Duration::from_secs(300);
/// Hosts of providers whose databases go to sleep when nobody asks them anything.
const SERVERLESS: [&str; 4] = [".neon.tech", ".supabase.co", ".prisma.io", ".xata.sh"];

/// One server of the connection string.
#[derive(Debug)]
pub(super) struct ServerFacts {
    server: String,
    reached: Reached,
    outcome: Result<SessionFacts, PostgresTrouble>,
}

/// A session that hears.
#[derive(Clone, Debug)]
struct SessionFacts {
    identity: Identity,
    indirect: bool,
    echo: Duration,
}

/// The steps towards a session, in order. Those before the one that failed have
/// succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Dns,
    Tcp,
    Tls,
    /// It answers, and may refuse for reasons of its own.
    Server,
    Login,
    Database,
    Role,
    Listen,
}

/// Examines every server; the first that will do goes on listening.
pub(super) async fn gather(
    settings: &RunSettings,
    database: &Database,
) -> (Vec<ServerFacts>, Option<Listener>) {
    let name = format!("pgmesh-doctor/{}", settings.name);
    let examined = examine(&database.conninfo, &database.channel, &name).await;
    let (mut servers, mut listener) = (Vec::new(), None);
    for examination in examined {
        let (facts, its) = ServerFacts::of(examination);
        servers.push(facts);
        listener = listener.or(its);
    }
    (servers, listener)
}

impl ServerFacts {
    fn of(examination: Examination) -> (Self, Option<Listener>) {
        let (outcome, listener) = match examination.outcome {
            Ok(settled) => {
                let session = SessionFacts {
                    identity: settled.identity,
                    indirect: settled.indirect,
                    echo: settled.echo,
                };
                (Ok(session), Some(settled.listener))
            }
            Err(error) => (Err(PostgresTrouble::from(&error)), None),
        };
        let facts = Self {
            server: examination.server,
            reached: examination.reached,
            outcome,
        };
        (facts, listener)
    }
}

pub(super) fn checks(settings: &RunSettings, servers: &[ServerFacts]) -> Vec<Check> {
    let works = servers.iter().any(|server| server.outcome.is_ok());
    let of_one = servers
        .iter()
        .flat_map(|server| server_checks(server, works));
    let serverless = servers
        .iter()
        .find_map(|server| serverless_check(&server.server, settings.announce_interval));
    of_one.chain(serverless).collect()
}

/// Without any database there is nothing to examine; the settings warn of that.
pub(super) fn without_database() -> Check {
    GROUP.unchecked("dns", "Postgres, without --database-url")
}

/// Of several servers, one that will do is enough.
fn server_checks(facts: &ServerFacts, another_works: bool) -> Vec<Check> {
    let failed_at = facts.outcome.as_ref().err();
    let failed_at = failed_at.map(|trouble| step_of(trouble.kind, &facts.reached));
    let passed = |step: &Step| failed_at.is_none_or(|failed_at| *step < failed_at);
    let steps = [
        Step::Dns,
        Step::Tcp,
        Step::Login,
        Step::Database,
        Step::Role,
        Step::Listen,
    ];
    let mut checks: Vec<_> = steps
        .into_iter()
        .filter(passed)
        .filter_map(|step| facts.passed(step))
        .collect();
    if let (Some(step), Err(trouble)) = (failed_at, &facts.outcome) {
        let failed = facts.failed(step, trouble);
        checks.push(if another_works {
            failed.only_warns()
        } else {
            failed
        });
    }
    checks
}

impl ServerFacts {
    fn failed(&self, step: Step, trouble: &PostgresTrouble) -> Check {
        // Several parts of the session's beginning name the server already.
        let detail = trouble.detail.as_str();
        let named = format!("{}: ", self.server);
        let detail = detail.strip_prefix(&named).unwrap_or(detail);
        let message = format!("{named}{detail}");
        let failed = GROUP.failed(step.as_str(), message, trouble.kind.remedy());
        failed.kind(trouble.kind.as_str())
    }

    /// What a step has shown; nothing if another step's line says it.
    fn passed(&self, step: Step) -> Option<Check> {
        let session = self.outcome.as_ref().ok();
        let server = &self.server;
        let text = match (step, session) {
            (Step::Dns, _) => self.known_addresses()?,
            (Step::Tcp, _) => format!("{server} takes connections"),
            (Step::Login, Some(session)) => logged_in(&session.identity),
            (Step::Login, None) => format!("{server} lets us in"),
            (Step::Database, Some(_)) | (Step::Tls | Step::Server, _) => return None,
            (Step::Database, None) => "the database is there".to_owned(),
            (Step::Role, Some(session)) => role(&session.identity).to_owned(),
            (Step::Role, None) => "it is of the kind that can LISTEN".to_owned(),
            (Step::Listen, session) => heard(session?),
        };
        Some(GROUP.ok(step.as_str(), text))
    }

    fn known_addresses(&self) -> Option<String> {
        let (Reached::Resolved(addresses) | Reached::Connected(addresses)) = &self.reached else {
            return None;
        };
        let known = !addresses.is_empty();
        known.then(|| format!("{} is {}", self.server, listed(addresses)))
    }
}

fn logged_in(identity: &Identity) -> String {
    let tls = if identity.tls {
        "with TLS"
    } else {
        "without TLS"
    };
    let (user, database) = (&identity.user, &identity.database);
    format!("logged in as {user} to the database {database}, {tls}")
}

fn role(identity: &Identity) -> &'static str {
    if identity.standby {
        "it is a standby"
    } else {
        "it is a primary"
    }
}

fn heard(session: &SessionFacts) -> String {
    let ms = session.echo.as_secs_f64() * 1000.0;
    let through = if session.indirect {
        "; something that is not Postgres stands between, and passes on what others say"
    } else {
        ""
    };
    format!("LISTEN and NOTIFY work: our own words came back after {ms:.1} ms{through}")
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Server => "server",
            Self::Login => "login",
            Self::Database => "database",
            Self::Role => "role",
            Self::Listen => "listen",
        }
    }
}

/// What cannot be told by the kind alone happened right after what was reached.
fn step_of(kind: PostgresErrorKind, reached: &Reached) -> Step {
    use PostgresErrorKind as Kind;
    match kind {
        Kind::UnknownHost => Step::Dns,
        Kind::Unreachable => Step::Tcp,
        Kind::Timeout | Kind::Closed => match reached {
            Reached::Nothing => Step::Dns,
            Reached::Resolved(_) => Step::Tcp,
            Reached::Connected(_) => Step::Server,
        },
        Kind::TlsNotOffered
        | Kind::TlsFiles
        | Kind::Tls
        | Kind::TlsCertificate
        | Kind::TlsRequired
        | Kind::ClientCertificate => Step::Tls,
        Kind::NotReady | Kind::TooManyConnections | Kind::Other => Step::Server,
        Kind::NotPermitted | Kind::Authentication => Step::Login,
        Kind::UnknownDatabase => Step::Database,
        Kind::WrongTarget | Kind::Standby => Step::Role,
        Kind::Pooler | Kind::QueueFull | Kind::Deaf => Step::Listen,
    }
}

fn serverless_check(server: &str, interval: Duration) -> Option<Check> {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let sleeps = SERVERLESS.iter().any(|provider| host.ends_with(provider));
    (sleeps && interval < LETS_SLEEP).then(|| {
        let message = format!(
            "an announcement every {interval:?} keeps {host} awake, which such providers bill"
        );
        let remedy = "--announce-interval 10m lets it sleep; whatever waits for an announcement \
                      then waits longer";
        GROUP.warning("serverless", message, remedy)
    })
}

#[cfg(test)]
pub(super) mod tests;
