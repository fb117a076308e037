//! What the daemon tells, in which shapes, and over which sockets.

mod answer;
mod connections;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod refusal;
mod server;
pub(crate) mod servers;
pub(crate) mod shapes;
pub(crate) mod socket;
mod timestamp;
mod verdict;

use std::time::Duration;

use pgmesh_name::NodeName;
use tokio::sync::{mpsc, oneshot};

use events::EventReader;
use refusal::Refusal;
use shapes::{Matrix, Member, Status};

/// A question to the daemon's loop, with a place for its answer.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Status>),
    Members(oneshot::Sender<Vec<Member>>),
    Matrix(oneshot::Sender<Matrix>),
    /// What Prometheus reads.
    Metrics(oneshot::Sender<String>),
    Ready {
        postgres: bool,
        answer: oneshot::Sender<Readiness>,
    },
    Events {
        last: usize,
        answer: oneshot::Sender<EventReader>,
    },
    Connection {
        a: NodeName,
        b: NodeName,
        answer: oneshot::Sender<Connection>,
    },
    /// End the holds on two nodes, and have them told to connect.
    Connect {
        a: NodeName,
        b: NodeName,
        answer: oneshot::Sender<Result<Connection, Refusal>>,
    },
    /// Have a node disconnected and left alone, for this long or until a connect.
    Disconnect {
        node: NodeName,
        hold: Option<Duration>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    Forget {
        node: NodeName,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
}

impl Question {
    /// Whether it changes the mesh, or waits for a change.
    pub(crate) fn is_about_changes(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::Members(_)
            | Self::Matrix(_)
            | Self::Metrics(_)
            | Self::Events { .. }
            | Self::Ready { .. } => false,
            Self::Connection { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Forget { .. } => true,
        }
    }
}

/// Whether the daemon is ready, and what it waits for if not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness(pub(crate) Result<(), &'static str>);

/// Whether two nodes are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Both say so.
    Stands,
    /// Not, as far as is known.
    Missing,
    /// We are not linked to both, and so cannot see it.
    NotLinked,
}

/// Asks the daemon's loop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Asker(mpsc::Sender<Question>);

/// The questions, as the loop gets them.
pub(crate) type Questions = mpsc::Receiver<Question>;

impl Asker {
    pub(crate) fn new() -> (Self, Questions) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// `None` while the daemon is stopping.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Option<T> {
        let (answer, receiver) = oneshot::channel();
        self.0.send(question(answer)).await.ok()?;
        receiver.await.ok()
    }
}
