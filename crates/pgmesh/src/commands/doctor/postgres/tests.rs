//! Every text about Postgres, and what they depend on.

use super::*;

fn identity(standby: bool) -> Identity {
    Identity {
        user: "app".to_owned(),
        database: "app_prod".to_owned(),
        tls: true,
        port: Some(5432),
        application_name: String::new(),
        search_path: String::new(),
        standby,
    }
}

fn works(indirect: bool) -> ServerFacts {
    let session = SessionFacts {
        identity: identity(false),
        indirect,
        echo: Duration::from_micros(1300),
    };
    ServerFacts {
        server: "db:5432".to_owned(),
        reached: Reached::Connected(vec![[10, 0, 0, 5].into()]),
        outcome: Ok(session),
    }
}

/// What sessions say, in short.
fn detail(kind: PostgresErrorKind) -> &'static str {
    use PostgresErrorKind as Kind;
    match kind {
        Kind::UnknownHost => "host is unknown: Name or service not known",
        Kind::Unreachable => "Connection refused (os error 111)",
        Kind::Timeout => "no session within 5s",
        Kind::Closed => "the server ended the session",
        Kind::TlsNotOffered => "error performing TLS handshake: server does not support TLS",
        Kind::TlsFiles => "sslrootcert /etc/ca.pem cannot be read: No such file or directory",
        Kind::Tls => "TLS failed: no shared cipher",
        Kind::TlsCertificate => "its certificate is not accepted: certificate has expired",
        Kind::NotReady => "the server says: the database system is starting up",
        Kind::TooManyConnections => "the server says: sorry, too many clients already",
        Kind::TlsRequired => {
            "the server says: no pg_hba.conf entry for host \"10.0.0.9\", user \"app\", \
             database \"app_prod\", no encryption"
        }
        Kind::ClientCertificate => {
            "the server says: connection requires a valid client certificate"
        }
        Kind::NotPermitted => {
            "the server says: no pg_hba.conf entry for host \"10.0.0.9\", user \"app\", \
             database \"app_prod\", SSL encryption"
        }
        Kind::Authentication => "the server says: password authentication failed for user \"app\"",
        Kind::UnknownDatabase => "the server says: database \"app_prod\" does not exist",
        Kind::Other => "the server says: out of memory",
        Kind::WrongTarget => "it takes no writes",
        Kind::Standby => "the server says: cannot execute LISTEN during recovery",
        Kind::Pooler => {
            "what another session says is not heard: a pooler in transaction mode is between"
        }
        Kind::QueueFull => "the server says: too many notifications in the NOTIFY queue",
        Kind::Deaf => "nothing heard of our own announcements for 2.0 s",
    }
}

fn fails(kind: PostgresErrorKind, reached: Reached) -> ServerFacts {
    ServerFacts {
        server: "db:5432".to_owned(),
        reached,
        outcome: Err(PostgresTrouble {
            kind,
            detail: detail(kind).to_owned(),
        }),
    }
}

fn reached_before(kind: PostgresErrorKind) -> Reached {
    match kind {
        PostgresErrorKind::UnknownHost => Reached::Nothing,
        PostgresErrorKind::Unreachable => Reached::Resolved(vec![[10, 0, 0, 5].into()]),
        _ => Reached::Connected(vec![[10, 0, 0, 5].into()]),
    }
}

/// A server that works, and the failure of every kind.
pub(in super::super) fn samples() -> Vec<Check> {
    let mut samples = server_checks(&works(true), true);
    for kind in PostgresErrorKind::ALL {
        let checks = server_checks(&fails(kind, reached_before(kind)), false);
        samples.extend(checks.last().cloned());
    }
    let standby = fails(PostgresErrorKind::Standby, Reached::Connected(vec![]));
    samples.extend(server_checks(&standby, true));
    let interval = Duration::from_secs(5);
    samples.extend(serverless_check("ep-1.eu.aws.neon.tech:5432", interval));
    samples.push(without_database());
    samples
}

#[test]
fn steps_that_succeeded_are_shown_before_the_one_that_failed() {
    let steps = |kind| {
        let checks = server_checks(&fails(kind, reached_before(kind)), false);
        checks.iter().map(|c| c.check).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(steps(PostgresErrorKind::UnknownHost), "dns");
    assert_eq!(steps(PostgresErrorKind::Unreachable), "dns tcp");
    assert_eq!(steps(PostgresErrorKind::TlsRequired), "dns tcp tls");
    assert_eq!(steps(PostgresErrorKind::Authentication), "dns tcp login");
    assert_eq!(
        steps(PostgresErrorKind::UnknownDatabase),
        "dns tcp login database"
    );
    assert_eq!(
        steps(PostgresErrorKind::Standby),
        "dns tcp login database role"
    );
    assert_eq!(
        steps(PostgresErrorKind::Pooler),
        "dns tcp login database role listen"
    );
}

#[test]
fn silence_counts_for_the_step_after_what_was_reached() {
    let step = |reached| step_of(PostgresErrorKind::Timeout, &reached);
    assert_eq!(step(Reached::Nothing), Step::Dns);
    assert_eq!(step(Reached::Resolved(vec![])), Step::Tcp);
    assert_eq!(step(Reached::Connected(vec![])), Step::Server);
}

#[test]
fn one_server_that_works_is_enough() {
    let standby = fails(PostgresErrorKind::Standby, Reached::Connected(vec![]));
    let is_failure = |check: &Check| check.outcome == super::super::check::Outcome::Failed;
    assert!(server_checks(&standby, false).iter().any(is_failure));
    assert!(!server_checks(&standby, true).iter().any(is_failure));
    assert!(!server_checks(&works(false), true).iter().any(is_failure));
}

#[test]
fn only_databases_that_sleep_are_warned_about() {
    let warned = |server, seconds| serverless_check(server, Duration::from_secs(seconds)).is_some();
    assert!(warned("ep-1.neon.tech:5432", 5));
    assert!(!warned("ep-1.neon.tech:5432", 600));
    assert!(!warned("db.example.org:5432", 5));
}
