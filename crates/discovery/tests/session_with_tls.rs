//! One session over TLS, while certificates, roots and primaries are replaced.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use pgmesh_discovery::{
    Announcer, Channel, Conninfo, Dialect, Environment, Event, Events, PostgresErrorKind, Settings,
    spawn,
};
use pgmesh_testkit::{Certificates, ScratchPostgres, ServerCertificate};

const LIMIT: Duration = Duration::from_secs(20);

fn settings(url: &str) -> Settings {
    Settings {
        conninfo: Conninfo::parse(url, &Environment::default()).unwrap(),
        channel: Channel::new("secret").unwrap(),
        own: "m@h".parse().unwrap(),
        // Longer than a test: none of them is about deafness.
        announce_interval: Duration::from_secs(60),
        silent: false,
        dialect: Dialect::Libcluster,
        elect: false,
    }
}

fn server(certificates: &Certificates) -> ScratchPostgres {
    let builder = ScratchPostgres::builder();
    builder.tls(certificates, ServerCertificate::Good).start()
}

fn verified(postgres: &ScratchPostgres, root: &str) -> String {
    let port = postgres.port();
    format!("postgres://postgres@localhost:{port}/?sslmode=verify-full&sslrootcert={root}")
}

async fn event(what: &str, events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let found = async { while !wanted(&events.recv().await.unwrap()) {} };
    let found = tokio::time::timeout(LIMIT, found).await;
    found.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"));
}

async fn up(events: &mut Events) {
    event("up", events, |event| matches!(event, Event::Up)).await;
}

async fn refused(kind: PostgresErrorKind, events: &mut Events) {
    let is_it = |event: &Event| matches!(event, Event::Down(error) if error.kind() == kind);
    event(kind.as_str(), events, is_it).await;
}

async fn echo(announcer: &Announcer, events: &mut Events) {
    announcer.announce(&["m@h".parse().unwrap()]);
    event("echo", events, |event| matches!(event, Event::Echo { .. })).await;
}

#[tokio::test]
async fn certificate_may_be_replaced_under_a_session() {
    let certificates = Certificates::make();
    let postgres = server(&certificates);
    let url = verified(&postgres, &certificates.path("root.crt"));
    let (announcer, mut events) = spawn(settings(&url));
    up(&mut events).await;
    echo(&announcer, &mut events).await;
    postgres.use_certificate(&certificates, ServerCertificate::Chain);
    echo(&announcer, &mut events).await;
    postgres.stop();
    postgres.resume();
    up(&mut events).await;
    echo(&announcer, &mut events).await;
}

#[tokio::test]
async fn waits_for_a_certificate_that_is_good() {
    let certificates = Certificates::make();
    let postgres = server(&certificates);
    postgres.use_certificate(&certificates, ServerCertificate::Expired);
    let url = verified(&postgres, &certificates.path("root.crt"));
    let (announcer, mut events) = spawn(settings(&url));
    refused(PostgresErrorKind::TlsCertificate, &mut events).await;
    postgres.use_certificate(&certificates, ServerCertificate::WrongHost);
    refused(PostgresErrorKind::TlsCertificate, &mut events).await;
    postgres.use_certificate(&certificates, ServerCertificate::Good);
    up(&mut events).await;
    echo(&announcer, &mut events).await;
}

#[tokio::test]
async fn notices_that_its_own_files_are_replaced() {
    let certificates = Certificates::make();
    let postgres = server(&certificates);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.crt");
    let (_announcer, mut events) = spawn(settings(&verified(&postgres, root.to_str().unwrap())));
    refused(PostgresErrorKind::TlsFiles, &mut events).await;
    std::fs::copy(certificates.path("other_root.crt"), &root).unwrap();
    refused(PostgresErrorKind::TlsCertificate, &mut events).await;
    std::fs::copy(certificates.path("root.crt"), &root).unwrap();
    up(&mut events).await;
}

#[tokio::test]
async fn follows_the_primary() {
    let certificates = Certificates::make();
    let primary = server(&certificates);
    let standby = primary.start_standby();
    let url = format!(
        "postgres://postgres@localhost:{},localhost:{}/\
         ?target_session_attrs=primary&sslmode=verify-full&sslrootcert={}",
        standby.port(),
        primary.port(),
        certificates.path("root.crt")
    );
    let (announcer, mut events) = spawn(settings(&url));
    up(&mut events).await;
    echo(&announcer, &mut events).await;
    primary.stop();
    refused(PostgresErrorKind::Standby, &mut events).await;
    standby.promote();
    up(&mut events).await;
    echo(&announcer, &mut events).await;
}
