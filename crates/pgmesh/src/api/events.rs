//! Events as they happen, to whoever listens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use super::http::stopping;
use super::shapes::Event;
use super::timestamp::rfc3339;
use super::{Asker, Question};

/// How far behind a reader may be before it misses events.
const KEPT: usize = 1024;
/// How many of the latest are kept for those who come later.
const LATEST: usize = 200;
/// How many may read over one listener: each costs a connection with its buffers.
const MAX_READERS: usize = 64;

/// Where events are told. Telling never waits.
#[derive(Debug)]
pub(crate) struct EventStream {
    live: broadcast::Sender<Arc<str>>,
    latest: VecDeque<Arc<str>>,
}

/// What one reader reads: some of the latest events, then all that come.
#[derive(Debug)]
pub(crate) struct EventReader {
    earlier: VecDeque<Arc<str>>,
    live: broadcast::Receiver<Arc<str>>,
}

impl EventStream {
    pub(crate) fn new() -> Self {
        Self {
            live: broadcast::Sender::new(KEPT),
            latest: VecDeque::with_capacity(LATEST),
        }
    }

    /// Tells all readers, now.
    pub(crate) fn tell(&mut self, event: Event) {
        let json = written(event);
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(json.clone());
        // There may be no reader.
        let _ = self.live.send(json);
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        self.live.receiver_count()
    }

    /// Begins with up to `last` of the latest 200 events.
    pub(crate) fn reader(&self, last: usize) -> EventReader {
        let known = self.latest.len();
        let earlier = self.latest.range(known - last.min(known)..);
        EventReader {
            earlier: earlier.cloned().collect(),
            live: self.live.subscribe(),
        }
    }
}

impl EventReader {
    /// The next event as JSON; `None` at the daemon's end. Cancel safe.
    async fn next(&mut self) -> Option<Arc<str>> {
        if let Some(json) = self.earlier.pop_front() {
            return Some(json);
        }
        match self.live.recv().await {
            Ok(json) => Some(json),
            Err(RecvError::Lagged(count)) => Some(written(missed(count))),
            Err(RecvError::Closed) => None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    /// How many of the latest events to begin with.
    last: Option<usize>,
}

/// `/api/v1/events`: server-sent events, from now on or from some before. To be called
/// for each listener, so that the readers of one take no place on another.
pub(super) fn route() -> MethodRouter<Asker> {
    let places = Arc::new(Semaphore::new(MAX_READERS));
    get(|State(asker): State<Asker>, Query(query): Query<EventsQuery>| serve(asker, query, places))
}

async fn serve(asker: Asker, query: EventsQuery, places: Arc<Semaphore>) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let text = format!("{MAX_READERS} readers of events are enough (end one of them)\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let last = query.last.unwrap_or_default();
    match asker.ask(|answer| Question::Events { last, answer }).await {
        Some(reader) => Sse::new(unfold((reader, place), sent))
            .keep_alive(KeepAlive::default())
            .into_response(),
        None => stopping(),
    }
}

/// Who reads, and the place that is given back at the end.
type Reading = (EventReader, OwnedSemaphorePermit);

async fn sent((mut reader, place): Reading) -> Option<(Result<sse::Event, Infallible>, Reading)> {
    let json = reader.next().await?;
    Some((Ok(sse::Event::default().data(json)), (reader, place)))
}

fn missed(count: u64) -> Event {
    Event {
        event: "missed".into(),
        level: Some("warn".into()),
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

    async fn next_node(reader: &mut EventReader) -> String {
        read(&reader.next().await.unwrap()).node.unwrap()
    }

    #[tokio::test]
    async fn slow_reader_learns_how_much_it_missed_and_goes_on() {
        let mut stream = EventStream::new();
        let mut reader = stream.reader(0);
        let last = KEPT + 6;
        for n in 0..=last {
            stream.tell(event(&format!("n{n}@h")));
        }
        let told = read(&reader.next().await.unwrap());
        assert_eq!((told.event.as_ref(), told.count), ("missed", Some(7)));
        assert_eq!(next_node(&mut reader).await, "n7@h");
    }

    #[tokio::test]
    async fn who_comes_later_begins_with_the_latest_and_misses_none() {
        let mut stream = EventStream::new();
        for n in 0..LATEST + 3 {
            stream.tell(event(&format!("n{n}@h")));
        }
        let mut all = stream.reader(usize::MAX);
        assert_eq!(all.earlier.len(), LATEST, "no more than that is kept");
        assert_eq!(next_node(&mut all).await, "n3@h");
        let mut two = stream.reader(2);
        stream.tell(event("new@h"));
        for expected in ["n201@h", "n202@h", "new@h"] {
            assert_eq!(next_node(&mut two).await, expected);
        }
    }

    #[tokio::test]
    async fn readers_end_with_the_stream() {
        let stream = EventStream::new();
        let mut reader = stream.reader(0);
        drop(stream);
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn readers_are_bounded_and_make_room_when_they_go() {
        let (asker, mut questions) = Asker::new();
        tokio::spawn(async move {
            let stream = EventStream::new();
            while let Some(Question::Events { last, answer }) = questions.recv().await {
                let _ = answer.send(stream.reader(last));
            }
        });
        let places = Arc::new(Semaphore::new(MAX_READERS));
        let ask = || serve(asker.clone(), EventsQuery { last: None }, places.clone());
        let mut answers = Vec::new();
        for _ in 0..MAX_READERS {
            answers.push(ask().await);
        }
        assert!(
            answers
                .iter()
                .all(|answer| answer.status() == StatusCode::OK)
        );
        assert_eq!(ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
        answers.pop();
        assert_eq!(ask().await.status(), StatusCode::OK);
    }

    #[test]
    fn what_an_event_has_not_is_left_out() {
        let value: serde_json::Value = serde_json::from_str(&written(event("a@h"))).unwrap();
        let fields: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["at", "event", "node"]);
    }
}
