//! Events as they happen, to whoever listens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::shapes::Event;
use super::timestamp::rfc3339;

/// How far behind a reader may be before it misses events.
const KEPT: usize = 1024;
/// Each reader costs a connection with its buffers.
const MAX_READERS: usize = 64;

/// Where events are told. Cheap to clone; telling never waits.
#[derive(Clone, Debug)]
pub(crate) struct EventStream(broadcast::Sender<Arc<str>>);

impl EventStream {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }

    /// Tells all readers, now. Costs nothing while there are none.
    pub(crate) fn tell(&self, event: Event) {
        if self.0.receiver_count() > 0 {
            // The last reader may have gone this moment.
            let _ = self.0.send(written(event));
        }
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        self.0.receiver_count()
    }

    /// `None` if there are as many readers as there may be.
    fn reader(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        (self.0.receiver_count() < MAX_READERS).then(|| self.0.subscribe())
    }
}

/// `/api/v1/events`: server-sent events, from now on.
pub(super) async fn serve(State(stream): State<EventStream>) -> Response {
    match stream.reader() {
        Some(reader) => Sse::new(unfold(reader, next))
            .keep_alive(KeepAlive::default())
            .into_response(),
        None => {
            let text = format!("{MAX_READERS} readers of events are enough (end one of them)\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

type Reader = broadcast::Receiver<Arc<str>>;

async fn next(mut reader: Reader) -> Option<(Result<sse::Event, Infallible>, Reader)> {
    let json = match reader.recv().await {
        Ok(json) => json,
        Err(RecvError::Lagged(count)) => written(missed(count)),
        Err(RecvError::Closed) => return None,
    };
    Some((Ok(sse::Event::default().data(json)), reader))
}

fn missed(count: u64) -> Event {
    Event {
        event: "missed".into(),
        count: Some(count),
        message: Some(format!("{count} events were missed: reading is too slow")),
        ..Event::default()
    }
}

fn written(mut event: Event) -> Arc<str> {
    event.at = rfc3339(SystemTime::now());
    // Texts and numbers only: that always can be written.
    serde_json::to_string(&event).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(node: &str) -> Event {
        Event {
            event: "heard".into(),
            node: Some(node.to_owned()),
            ..Event::default()
        }
    }

    fn read(json: &str) -> Event {
        serde_json::from_str(json).unwrap()
    }

    #[tokio::test]
    async fn slow_reader_learns_how_much_it_missed_and_goes_on() {
        let stream = EventStream::new();
        let mut reader = stream.reader().unwrap();
        let last = KEPT + 6;
        for n in 0..=last {
            stream.tell(event(&format!("n{n}@h")));
        }
        let Err(RecvError::Lagged(count)) = reader.recv().await else {
            panic!("nothing was missed");
        };
        assert_eq!(count, 7);
        let told = read(&written(missed(count)));
        assert_eq!((told.event.as_ref(), told.count), ("missed", Some(7)));
        assert_eq!(read(&reader.recv().await.unwrap()).node.unwrap(), "n7@h");
    }

    #[test]
    fn readers_are_bounded_and_make_room_when_they_go() {
        let stream = EventStream::new();
        let mut readers: Vec<_> = (0..MAX_READERS).map(|_| stream.reader().unwrap()).collect();
        assert!(stream.reader().is_none());
        readers.pop();
        assert!(stream.reader().is_some());
    }

    #[test]
    fn what_an_event_has_not_is_left_out() {
        let value: serde_json::Value = serde_json::from_str(&written(event("a@h"))).unwrap();
        let fields: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["at", "event", "node"]);
    }
}
