//! What changes the mesh: by POST, and on the control socket only.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Json;
use axum::routing::post;
use pgmesh_name::NodeName;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::refusal::Refusal;
use super::shapes::{Connect, Connected, Disconnect, Forget, Forgotten, Held};
use super::timestamp::rfc3339;
use super::{Asker, Connection, Question};

/// How long a connect waits to see the two connected.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The clocks have room for that; nobody means more.
const LONGEST_HOLD: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const MAX_BODY: usize = 16 * 1024;

pub(super) fn routes() -> Router<Asker> {
    Router::new()
        .route("/api/v1/connect", post(connect))
        .route("/api/v1/disconnect", post(disconnect))
        .route("/api/v1/forget", post(forget))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn connect(State(asker): State<Asker>, body: Bytes) -> Result<Json<Connected>, Refusal> {
    let wanted: Connect = read(&body)?;
    let (a, b) = (name("a", &wanted.a)?, name("b", &wanted.b)?);
    let connected = see_connected(&asker, &a, &b).await?;
    Ok(Json(Connected {
        a: wanted.a,
        b: wanted.b,
        connected,
    }))
}

/// Has two nodes told to connect, and waits a while until they are.
async fn see_connected(asker: &Asker, a: &NodeName, b: &NodeName) -> Result<bool, Refusal> {
    let give_up = Instant::now() + CONNECT_LIMIT;
    let mut connection = tell_to_connect(asker, a, b).await?;
    while connection != Connection::Stands && Instant::now() < give_up {
        sleep(LOOK_AGAIN).await;
        let now = connection_of(asker, a, b).await?;
        // One of them was held, and could be told nothing before its link was up.
        connection = match (connection, now) {
            (Connection::NotLinked, Connection::Missing) => tell_to_connect(asker, a, b).await?,
            _ => now,
        };
    }
    Ok(connection == Connection::Stands)
}

async fn tell_to_connect(asker: &Asker, a: &NodeName, b: &NodeName) -> Result<Connection, Refusal> {
    let (a, b) = (a.clone(), b.clone());
    let told = asker.ask(|answer| Question::Connect { a, b, answer });
    told.await.ok_or(Refusal::Stopping)?
}

async fn connection_of(asker: &Asker, a: &NodeName, b: &NodeName) -> Result<Connection, Refusal> {
    let (a, b) = (a.clone(), b.clone());
    let asked = asker.ask(|answer| Question::Connection { a, b, answer });
    asked.await.ok_or(Refusal::Stopping)
}

async fn disconnect(State(asker): State<Asker>, body: Bytes) -> Result<Json<Held>, Refusal> {
    let wanted: Disconnect = read(&body)?;
    let node = name("node", &wanted.node)?;
    let hold = wanted.for_s.map(hold).transpose()?;
    let held = asker.ask(|answer| Question::Disconnect { node, hold, answer });
    held.await.ok_or(Refusal::Stopping)??;
    Ok(Json(Held {
        node: wanted.node,
        held_until: hold.map(|hold| rfc3339(SystemTime::now() + hold)),
    }))
}

async fn forget(State(asker): State<Asker>, body: Bytes) -> Result<Json<Forgotten>, Refusal> {
    let wanted: Forget = read(&body)?;
    let node = name("node", &wanted.node)?;
    let forgotten = asker.ask(|answer| Question::Forget { node, answer });
    forgotten.await.ok_or(Refusal::Stopping)??;
    Ok(Json(Forgotten { node: wanted.node }))
}

/// JSON, whatever type the sender calls it: `curl -d` says it is a form.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let unusable =
        |error| Refusal::BadRequest(format!("the body is not what is expected: {error}"));
    serde_json::from_slice(body).map_err(unusable)
}

fn name(field: &str, text: &str) -> Result<NodeName, Refusal> {
    let unusable =
        |error| Refusal::BadRequest(format!("{field} {text:?} is no node name: {error}"));
    text.parse().map_err(unusable)
}

fn hold(seconds: f64) -> Result<Duration, Refusal> {
    let hold = Duration::try_from_secs_f64(seconds).ok();
    let hold = hold.filter(|hold| !hold.is_zero() && *hold <= LONGEST_HOLD);
    hold.ok_or_else(|| {
        let text = "for_s cannot be used (write seconds, more than 0 and a year at most)";
        Refusal::BadRequest(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_last_more_than_nothing_and_a_year_at_most() {
        assert_eq!(hold(0.25), Ok(Duration::from_millis(250)));
        for wrong in [0.0, -1.0, 1e9, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(hold(wrong).unwrap_err().kind(), "bad_request", "{wrong}");
        }
    }

    #[test]
    fn bodies_are_read_or_refused_with_a_reason() {
        assert!(read::<Forget>(br#"{"node": "a@h"}"#).is_ok());
        for wrong in [
            "",
            "[]",
            r#"{"name": "a@h"}"#,
            r#"{"node": "a@h", "now": 1}"#,
        ] {
            let refusal = read::<Forget>(wrong.as_bytes()).unwrap_err();
            assert_eq!(refusal.kind(), "bad_request", "{wrong}");
        }
        let message = name("a", "b").unwrap_err().to_string();
        assert!(
            message.starts_with("a \"b\" is no node name: "),
            "{message}"
        );
    }
}
