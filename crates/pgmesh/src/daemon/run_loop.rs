//! The loop: one await, then the mesh decides, then effects that never wait.

use std::collections::HashMap;
use std::time::Instant;

use pgmesh_discovery as discovery;
use pgmesh_discovery::Announcer;
use pgmesh_dist::{LinkId, Node, NodeEvent, NodeEvents};
use pgmesh_mesh::{DialId, Failure, Input, Mesh, Peer, Time};
use pgmesh_name::NodeName;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::Stop;
use super::event_log::{self, EventLog};
use super::view::View;
use crate::api::{Question, Questions};
use crate::settings::RunSettings;

/// Everything that the loop hears.
pub(super) struct Sources {
    pub(super) node_events: NodeEvents,
    pub(super) names: Option<discovery::Events>,
    pub(super) questions: Questions,
    pub(super) stop: Stop,
}

/// What an effect reports when it is done.
pub(super) enum Outcome {
    DialFailed {
        name: NodeName,
        dial: DialId,
        failure: Failure,
    },
    /// The link is told of by the node's own event.
    Dialled(DialId),
    Otp {
        link: LinkId,
        name: NodeName,
        release: String,
    },
}

pub(super) struct Daemon {
    pub(super) mesh: Mesh,
    pub(super) node: Node,
    pub(super) announcer: Option<Announcer>,
    pub(super) dials: HashMap<DialId, AbortHandle>,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
    pub(super) view: View,
    log: EventLog,
    finished: mpsc::UnboundedReceiver<Outcome>,
    started_at: Instant,
}

/// What woke the loop.
enum Wake {
    Node(NodeEvent),
    Name(discovery::Event),
    /// The Postgres session is gone for good, which only a bug can bring about.
    NamesEnded,
    Outcome(Outcome),
    Question(Question),
    Timeout,
    Stop(&'static str),
}

impl Daemon {
    pub(super) fn new(
        settings: RunSettings,
        mesh: Mesh,
        node: Node,
        announcer: Option<Announcer>,
    ) -> Self {
        let (outcomes, finished) = mpsc::unbounded_channel();
        Self {
            mesh,
            view: View::new(settings, node.creation().unwrap_or_default()),
            node,
            announcer,
            dials: HashMap::new(),
            outcomes,
            log: EventLog::new(),
            finished,
            started_at: Instant::now(),
        }
    }

    /// Runs until it is told to stop; then closes every link and leaves EPMD.
    pub(super) async fn run(mut self, mut sources: Sources) {
        loop {
            let wake = self.wait(&mut sources).await;
            let now = self.now();
            match wake {
                Wake::Stop(signal) => {
                    tracing::info!(signal, "stopping");
                    break;
                }
                Wake::Question(question) => self.view.answer(question, now, &self.mesh),
                Wake::Node(event) => self.on_node_event(now, event),
                Wake::Name(event) => self.on_discovery_event(now, event),
                Wake::NamesEnded => {
                    tracing::error!(
                        event = "postgres",
                        "postgres: the session broke off (please report this)"
                    );
                    self.view.postgres_ended();
                    self.mesh.handle(now, Input::PostgresDown);
                }
                Wake::Outcome(outcome) => self.on_outcome(now, outcome),
                Wake::Timeout => self.mesh.handle(now, Input::Timeout),
            }
            self.drain();
        }
        let now = self.now();
        self.mesh.handle(now, Input::Shutdown);
        self.dials.values().for_each(AbortHandle::abort);
        self.node.stop();
    }

    async fn wait(&mut self, sources: &mut Sources) -> Wake {
        let timeout = self.mesh.poll_timeout();
        let timeout_at = timeout.map(|at| self.started_at + at.since_start());
        tokio::select! {
            signal = sources.stop.requested() => Wake::Stop(signal),
            Some(event) = sources.node_events.recv() => Wake::Node(event),
            Some(outcome) = self.finished.recv() => Wake::Outcome(outcome),
            event = next(&mut sources.names) => match event {
                Some(event) => Wake::Name(event),
                None => {
                    sources.names = None;
                    Wake::NamesEnded
                }
            },
            Some(question) = sources.questions.recv() => Wake::Question(question),
            () = until(timeout_at) => Wake::Timeout,
        }
    }

    fn now(&self) -> Time {
        Time::from_start(self.started_at.elapsed())
    }

    fn drain(&mut self) {
        while let Some(event) = self.mesh.poll_event() {
            self.log.log(&event);
        }
        while let Some(action) = self.mesh.poll_action() {
            self.take(action);
        }
        self.view.note_cluster(&self.mesh);
    }

    fn on_node_event(&mut self, now: Time, event: NodeEvent) {
        match event {
            NodeEvent::LinkUp { peer, link } => {
                self.view.link_up(&peer, link);
                if !peer.hidden {
                    self.ask_otp(link, peer.name.clone());
                }
                let peer = Peer {
                    name: peer.name,
                    creation: peer.creation,
                    hidden: peer.hidden,
                };
                let link = pgmesh_mesh::LinkId(link.0);
                self.mesh.handle(now, Input::LinkUp { peer, link });
            }
            NodeEvent::LinkDown { name, link, error } => {
                self.view.link_down(&name, link);
                let failure = event_log::failure(error.kind(), &error);
                let link = pgmesh_mesh::LinkId(link.0);
                let input = Input::LinkDown {
                    name,
                    link,
                    failure,
                };
                self.mesh.handle(now, input);
            }
            NodeEvent::CookieRejected { address, detail } => {
                self.log.cookie_rejected(address, &detail);
            }
            NodeEvent::Registered => self.view.epmd_up(),
            NodeEvent::Unregistered => self.view.epmd_down(),
            // No node is watched yet.
            NodeEvent::PeersSeen { .. } | NodeEvent::EdgeUp { .. } | NodeEvent::EdgeDown { .. } => {
            }
        }
    }

    fn on_discovery_event(&mut self, now: Time, event: discovery::Event) {
        match event {
            discovery::Event::Up => {
                self.view.postgres_up();
                self.mesh.handle(now, Input::PostgresUp);
            }
            discovery::Event::Down(error) => {
                self.view.postgres_down(&error);
                self.mesh.handle(now, Input::PostgresDown);
            }
            discovery::Event::Echo => {
                self.view.echo_heard();
                self.mesh.handle(now, Input::EchoHeard);
            }
            discovery::Event::Heard(name) => self.mesh.handle(now, Input::HeardName(name)),
            discovery::Event::Goodbye(name) => self.mesh.handle(now, Input::HeardGoodbye(name)),
            discovery::Event::BadPayload { start, error } => {
                self.view.bad_payload(error.kind());
                self.log.bad_payload(&start, &error);
            }
        }
    }

    fn on_outcome(&mut self, now: Time, outcome: Outcome) {
        match outcome {
            Outcome::Dialled(dial) => {
                self.dials.remove(&dial);
            }
            Outcome::DialFailed {
                name,
                dial,
                failure,
            } => {
                self.dials.remove(&dial);
                let input = Input::DialFailed {
                    name,
                    dial,
                    failure,
                };
                self.mesh.handle(now, input);
            }
            Outcome::Otp {
                link,
                name,
                release,
            } => self.view.otp_known(&name, link, release),
        }
    }
}

async fn next(names: &mut Option<discovery::Events>) -> Option<discovery::Event> {
    match names {
        Some(names) => names.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
