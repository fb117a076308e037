//! One session against a real Postgres that comes and goes.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use pgmesh_discovery::{
    Announcer, Channel, Conninfo, Dialect, Environment, Event, Events, PostgresErrorKind, Reached,
    Role, Settings, examine, spawn,
};
use pgmesh_name::NodeName;
use pgmesh_testkit::ScratchPostgres;

const LIMIT: Duration = Duration::from_secs(20);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn conninfo(url: &str) -> Conninfo {
    Conninfo::parse(url, &Environment::default()).unwrap()
}

fn settings(postgres: &ScratchPostgres) -> Settings {
    Settings {
        conninfo: conninfo(&postgres.url()),
        channel: Channel::new("Se\"cret").unwrap(),
        own: name("m@h"),
        announce_interval: Duration::from_millis(200),
        silent: false,
        dialect: Dialect::Libcluster,
        elect: false,
    }
}

/// The first event that `wanted` takes; others are passed over.
async fn event<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(LIMIT, found)
        .await
        .expect("no such event")
}

async fn up(events: &mut Events) {
    event(events, |event| matches!(event, Event::Up).then_some(())).await;
}

async fn down(events: &mut Events) -> PostgresErrorKind {
    event(events, |event| match event {
        Event::Down(error) => Some(error.kind()),
        _ => None,
    })
    .await
}

/// Announces until the echo comes, as the daemon does at each interval.
async fn echo(announcer: &Announcer, events: &mut Events) {
    announcer.announce(&[name("m@h")]);
    event(events, |event| {
        matches!(event, Event::Echo { .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn hears_names_its_own_echo_and_nonsense() {
    let postgres = ScratchPostgres::start();
    let (announcer, mut events) = spawn(settings(&postgres));
    up(&mut events).await;
    announcer.announce(&[name("m@h"), name("local@h")]);
    event(&mut events, |event| {
        matches!(event, Event::Echo { .. }).then_some(())
    })
    .await;
    let heard = |event| match event {
        Event::Heard(name) => Some(name),
        _ => None,
    };
    assert_eq!(event(&mut events, heard).await, name("local@h"));
    postgres.execute("NOTIFY \"Se\"\"cret\", 'a@h'; NOTIFY \"Se\"\"cret\", 'nonsense'");
    assert_eq!(event(&mut events, heard).await, name("a@h"));
    event(&mut events, |event| {
        matches!(event, Event::BadPayload { .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tells_what_was_said_and_when_it_came_back() {
    let postgres = ScratchPostgres::start();
    let (announcer, mut events) = spawn(settings(&postgres));
    up(&mut events).await;
    announcer.announce(&[name("m@h"), name("local@h")]);
    let (mut said, mut after) = (None, None);
    while said.is_none() || after.is_none() {
        match event(&mut events, Some).await {
            Event::Said { names } => said = Some(names),
            Event::Echo { after: time } => after = time,
            _ => {}
        }
    }
    assert_eq!(said, Some(2));
    // Somebody else says our name: nobody knows when.
    postgres.execute("NOTIFY \"Se\"\"cret\", 'm@h'");
    let echo = |event| match event {
        Event::Echo { after } => Some(after),
        _ => None,
    };
    assert_eq!(event(&mut events, echo).await, None);
}

#[tokio::test]
async fn outlives_postgres_and_starts_before_it() {
    let postgres = ScratchPostgres::start();
    postgres.stop();
    let (announcer, mut events) = spawn(settings(&postgres));
    assert_eq!(down(&mut events).await, PostgresErrorKind::Unreachable);
    for _ in 0..2 {
        postgres.resume();
        up(&mut events).await;
        echo(&announcer, &mut events).await;
        postgres.stop();
        down(&mut events).await;
    }
}

#[tokio::test]
async fn session_that_echoes_nothing_is_deaf_and_replaced() {
    let postgres = ScratchPostgres::start();
    let (_announcer, mut events) = spawn(settings(&postgres));
    up(&mut events).await;
    // Nobody announces, so nothing comes back.
    assert_eq!(down(&mut events).await, PostgresErrorKind::Deaf);
    up(&mut events).await;
}

#[tokio::test]
async fn silent_observer_hears_itself_without_being_heard() {
    let postgres = ScratchPostgres::start();
    let silent = Settings {
        own: name("silent@h"),
        silent: true,
        ..settings(&postgres)
    };
    let (_other, mut other_events) = spawn(settings(&postgres));
    up(&mut other_events).await;
    let (_announcer, mut events) = spawn(silent);
    up(&mut events).await;
    for _ in 0..3 {
        event(&mut events, |event| {
            matches!(event, Event::Echo { .. }).then_some(())
        })
        .await;
    }
    while let Ok(event) = other_events.try_recv() {
        assert!(!matches!(event, Event::Heard(_)), "{event:?}");
    }
}

#[tokio::test]
async fn role_changes_while_the_session_stands() {
    let postgres = ScratchPostgres::start();
    let patient = Settings {
        announce_interval: Duration::from_secs(3600),
        ..settings(&postgres)
    };
    let (announcer, mut events) = spawn(patient);
    up(&mut events).await;
    let role = Role {
        announce_interval: Duration::from_millis(200),
        silent: true,
        elect: true,
    };
    announcer.take_role(role);
    let mut next = async || tokio::time::timeout(LIMIT, events.recv()).await.unwrap();
    assert!(matches!(next().await, Some(Event::Up)), "a new session");
    assert!(
        matches!(next().await, Some(Event::Echo { .. })),
        "nobody announces"
    );
    while !matches!(next().await, Some(Event::Leads)) {}
    let (silent, elect) = (false, false);
    announcer.take_role(Role {
        silent,
        elect,
        ..role
    });
    while !matches!(next().await, Some(Event::Up)) {}
    // Now nobody says what could come back.
    assert_eq!(down(&mut events).await, PostgresErrorKind::Deaf);
}

/// Waits for an event that must come before the session's end.
async fn in_the_same_session(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let found = event(events, |event| {
        let ends = matches!(event, Event::Up | Event::Down(_));
        (ends || wanted(&event)).then_some(event)
    });
    let found = found.await;
    assert!(wanted(&found), "{found:?}");
}

#[tokio::test]
async fn shorter_interval_leaves_a_silent_observer_its_ears() {
    let postgres = ScratchPostgres::start();
    let role = Role {
        announce_interval: Duration::from_millis(200),
        silent: true,
        elect: false,
    };
    let (announcer, mut events) = spawn(Settings {
        announce_interval: Duration::from_secs(3600),
        silent: true,
        ..settings(&postgres)
    });
    let is_echo = |event: &Event| matches!(event, Event::Echo { .. });
    up(&mut events).await;
    in_the_same_session(&mut events, is_echo).await;
    announcer.take_role(role);
    in_the_same_session(&mut events, is_echo).await;
}

#[tokio::test]
async fn session_that_stands_stands_for_leader_once_it_is_told_to() {
    let postgres = ScratchPostgres::start();
    let silent = Settings {
        silent: true,
        ..settings(&postgres)
    };
    let role = Role {
        announce_interval: silent.announce_interval,
        silent: true,
        elect: true,
    };
    let (announcer, mut events) = spawn(silent);
    up(&mut events).await;
    announcer.take_role(role);
    in_the_same_session(&mut events, |event| matches!(event, Event::Leads)).await;
}

#[tokio::test]
async fn what_is_wrong_has_its_kind() {
    let postgres = ScratchPostgres::start();
    let kind = async |url: String| {
        let wrong = Settings {
            conninfo: conninfo(&url),
            ..settings(&postgres)
        };
        let (_announcer, mut events) = spawn(wrong);
        down(&mut events).await
    };
    let unknown = postgres
        .url()
        .replace("/postgres", "/nosuch")
        .replace("//nosuch", "//postgres");
    assert_eq!(kind(unknown).await, PostgresErrorKind::UnknownDatabase);
    let tls = format!("{}?sslmode=require", postgres.url());
    assert_eq!(kind(tls).await, PostgresErrorKind::TlsNotOffered);
}

#[tokio::test]
async fn every_server_is_examined_as_far_as_it_can_be_reached() {
    let postgres = ScratchPostgres::start();
    let (user, port) = ("postgres", postgres.port());
    let gone = {
        let stopped = ScratchPostgres::start();
        stopped.port()
    };
    let url = format!("postgres://{user}@127.0.0.1:{gone},127.0.0.1:{port}/postgres");
    let channel = settings(&postgres).channel;
    let examined = examine(&conninfo(&url), &channel, "examiner").await;
    let [dead, alive] = examined.try_into().unwrap();
    assert_eq!(dead.reached, Reached::Resolved(vec![[127, 0, 0, 1].into()]));
    let error = dead.outcome.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Unreachable);
    assert_eq!(alive.server, format!("127.0.0.1:{port}"));
    assert!(matches!(alive.reached, Reached::Connected(_)));
    let settled = alive.outcome.unwrap();
    assert!(!settled.indirect && !settled.identity.standby);
    assert_eq!(settled.identity.application_name, "examiner");
}

#[tokio::test]
async fn examiner_hears_who_speaks_and_which_daemons_are_there_and_says_nothing() {
    let postgres = ScratchPostgres::start();
    let (announcer, mut events) = spawn(settings(&postgres));
    up(&mut events).await;
    echo(&announcer, &mut events).await;
    let channel = settings(&postgres).channel;
    let [examined] = examine(&conninfo(&postgres.url()), &channel, "examiner")
        .await
        .try_into()
        .unwrap();
    let mut listener = examined.outcome.unwrap().listener;
    postgres.execute("NOTIFY \"Se\"\"cret\", 'a@h'; NOTIFY \"Se\"\"cret\", 'heartbeat:b@h'");
    let heard = listener.hear_for(Duration::from_millis(200)).await.unwrap();
    assert!(heard.bare.contains(&name("a@h")) && heard.prefixed.contains(&name("b@h")));
    assert_eq!(listener.daemons().await.unwrap(), ["m@h"]);
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::BadPayload { .. }), "{event:?}");
    }
}
