//! The loop: one await, then the mesh decides, then effects that never wait.

use std::collections::HashMap;
use std::time::Instant;

use pgmesh_discovery as discovery;
use pgmesh_discovery::Announcer;
use pgmesh_dist::{FailureKind, LinkId, Node, NodeEvent, NodeEvents};
use pgmesh_mesh::{DialId, Failure, Input, Mesh, Peer, Time};
use pgmesh_name::NodeName;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::Stop;
use super::epmd::{Embedded, HostEpmd};
use super::event_log::{self, EventLog};
use super::local_names;
use super::metrics::Metrics;
use super::news::News;
use super::reload::Reloading;
use super::service_manager::ServiceManager;
use super::view::View;
use crate::api::events::EventStream;
use crate::api::{Question, Questions};
use crate::settings::{ConfigErrors, RunSettings};

/// Everything that the loop hears.
pub(super) struct Sources {
    pub(super) node_events: NodeEvents,
    pub(super) names: Option<discovery::Events>,
    pub(super) questions: Questions,
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
    /// This host's visible nodes.
    LocalNames(Vec<NodeName>),
    /// This host has an EPMD again; it may be ours.
    EpmdFound(Option<Embedded>),
    /// The settings, read again.
    Reread(Box<Result<RunSettings, ConfigErrors>>),
    /// Something that the mesh alone wants to know.
    Mesh(Input),
}

pub(super) struct Daemon {
    pub(super) mesh: Mesh,
    pub(super) node: Node,
    pub(super) announcer: Option<Announcer>,
    pub(super) dials: HashMap<DialId, AbortHandle>,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
    pub(super) view: View,
    pub(super) stream: EventStream,
    pub(super) metrics: Metrics,
    pub(super) reloading: Reloading,
    local_names: Option<local_names::Asking>,
    epmd: HostEpmd,
    log: EventLog,
    pub(super) service: Option<ServiceManager>,
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
    /// Lines were left out of the log.
    SumUp,
    /// The service manager waits for a word.
    Service,
    Stop(&'static str),
}

impl Daemon {
    pub(super) fn new(
        settings: RunSettings,
        mesh: Mesh,
        node: Node,
        epmd: HostEpmd,
        announcer: Option<Announcer>,
        metrics: Metrics,
        reloading: Reloading,
    ) -> Self {
        let (outcomes, finished) = mpsc::unbounded_channel();
        Self {
            mesh,
            view: View::new(settings, node.creation().unwrap_or_default()),
            node,
            announcer,
            dials: HashMap::new(),
            outcomes,
            reloading,
            local_names: None,
            epmd,
            stream: EventStream::new(),
            metrics,
            log: EventLog::new(),
            service: ServiceManager::of_process(Instant::now()),
            finished,
            started_at: Instant::now(),
        }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(
        &mut self,
        sources: &mut Sources,
        stop: &mut Stop,
        hangup: Option<Signal>,
    ) {
        self.ask_local_names();
        self.epmd.bring_back(self.outcomes.clone());
        if let Some(hangup) = hangup {
            self.reloading.listen(hangup, self.outcomes.clone());
        }
        self.service.iter().for_each(ServiceManager::ready);
        loop {
            let wake = self.wait(sources, stop).await;
            let now = self.now();
            match wake {
                Wake::Stop(signal) => return self.note_stop(signal),
                Wake::Service => self.tell_service(now),
                Wake::Question(question) => self.answer(now, question),
                Wake::Node(event) => self.on_node_event(now, event),
                Wake::Name(event) => self.on_discovery_event(now, event),
                Wake::NamesEnded => {
                    let news = self.view.postgres_ended();
                    self.tell(news);
                    self.mesh.handle(now, Input::Leader(false));
                    self.mesh.handle(now, Input::PostgresDown);
                }
                Wake::Outcome(outcome) => self.on_outcome(now, outcome),
                Wake::Timeout => self.mesh.handle(now, Input::Timeout),
                Wake::SumUp => self.log.sum_up(),
            }
            self.drain();
        }
    }

    async fn wait(&mut self, sources: &mut Sources, stop: &mut Stop) -> Wake {
        let timeout = self.mesh.poll_timeout();
        let timeout_at = timeout.map(|at| self.started_at + at.since_start());
        let service_at = self.service.as_ref().map(ServiceManager::poll_timeout);
        tokio::select! {
            signal = stop.requested() => Wake::Stop(signal),
            () = until(timeout_at) => Wake::Timeout,
            () = until(self.log.sum_up_at()) => Wake::SumUp,
            () = until(service_at) => Wake::Service,
            Some(event) = sources.node_events.recv() => Wake::Node(event),
            Some(outcome) = self.finished.recv() => Wake::Outcome(outcome),
            Some(question) = sources.questions.recv() => Wake::Question(question),
            event = next(&mut sources.names) => match event {
                Some(event) => Wake::Name(event),
                None => {
                    sources.names = None;
                    Wake::NamesEnded
                }
            },
        }
    }

    fn note_stop(&mut self, signal: &'static str) {
        tracing::info!(signal, "stopping");
        if let Some(service) = &self.service {
            service.stopping(signal);
        }
        self.view.stopping();
    }

    fn tell_service(&mut self, now: Time) {
        if let Some(service) = &mut self.service {
            let status = self.view.status(now, &self.mesh);
            service.on_timeout(Instant::now(), &status);
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::from_start(self.started_at.elapsed())
    }

    /// Takes what the mesh has decided.
    pub(super) fn drain(&mut self) {
        while let Some(event) = self.mesh.poll_event() {
            self.metrics.on_mesh_event(&event);
            self.tell(News::of(&event));
        }
        while let Some(action) = self.mesh.poll_action() {
            self.take(action);
        }
        self.view.note_cluster(&self.mesh);
    }

    /// To the log, and to whoever watches.
    fn tell(&mut self, news: News) {
        self.log.write(&news);
        if !news.log_only {
            self.stream.tell(news.event);
        }
    }

    fn on_node_event(&mut self, now: Time, event: NodeEvent) {
        self.metrics.on_node_event(&event);
        match event {
            NodeEvent::LinkUp { peer, link, .. } => {
                if self.view.link_up(&peer, link) {
                    self.metrics.link_closed(FailureKind::Replaced);
                }
                if !peer.hidden {
                    self.ask_otp(link, peer.name.clone());
                    if self.view.introduces_all() {
                        self.ask_intent(peer.name.clone());
                    }
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
            NodeEvent::PeersSeen { name, link, peers } => {
                let link = pgmesh_mesh::LinkId(link.0);
                self.mesh
                    .handle(now, Input::PeersSeen { name, link, peers });
            }
            NodeEvent::EdgeUp { name, link, peer } => {
                let link = pgmesh_mesh::LinkId(link.0);
                self.mesh.handle(now, Input::EdgeUp { name, link, peer });
            }
            NodeEvent::EdgeDown { name, link, peer } => {
                let link = pgmesh_mesh::LinkId(link.0);
                self.mesh.handle(now, Input::EdgeDown { name, link, peer });
            }
            NodeEvent::Registered => {
                let news = self.view.epmd_up();
                self.tell(news);
                self.mesh.handle(now, Input::EpmdUp);
            }
            NodeEvent::Unregistered => {
                let news = self.view.epmd_down();
                self.tell(news);
                self.mesh.handle(now, Input::EpmdDown);
                self.epmd.bring_back(self.outcomes.clone());
            }
        }
    }

    fn on_discovery_event(&mut self, now: Time, event: discovery::Event) {
        self.metrics.on_discovery_event(&event);
        match event {
            discovery::Event::Up => {
                self.view.postgres_up();
                self.mesh.handle(now, Input::Leader(false));
                self.mesh.handle(now, Input::PostgresUp);
            }
            discovery::Event::Down(error) => {
                if let Some(news) = self.view.postgres_down(&error) {
                    self.tell(news);
                }
                self.mesh.handle(now, Input::Leader(false));
                self.mesh.handle(now, Input::PostgresDown);
            }
            discovery::Event::Leads => {
                self.tell(self.view.leads());
                self.mesh.handle(now, Input::Leader(true));
            }
            discovery::Event::Said { .. } => {}
            discovery::Event::Echo { .. } => {
                if let Some(news) = self.view.echo_heard() {
                    self.tell(news);
                }
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
                // What was given up says so, too, and nobody waits for it.
                if self.dials.remove(&dial).is_some() {
                    self.metrics.dial_failed(failure.kind);
                }
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
            } => self.on_otp(now, &name, link, release),
            Outcome::LocalNames(names) => {
                self.log.local_names(&names, self.view.introduces());
                self.mesh.handle(now, Input::LocalNames(names));
            }
            Outcome::Mesh(input) => {
                self.metrics.on_report(&input);
                self.mesh.handle(now, input);
            }
            Outcome::EpmdFound(embedded) => self.view.epmd_is(self.epmd.take(embedded)),
            Outcome::Reread(read) => self.on_reread(now, *read),
        }
    }
}

impl Daemon {
    /// Starts to ask who lives on this host, once it matters.
    pub(super) fn ask_local_names(&mut self) {
        if !self.view.wants_local_names() {
            return;
        }
        self.local_names.get_or_insert_with(|| {
            let (node, outcomes) = (self.node.clone(), self.outcomes.clone());
            local_names::spawn(
                self.view.epmd_address(),
                self.view.own_alive(),
                node,
                outcomes,
            )
        });
    }

    fn on_otp(&mut self, now: Time, name: &NodeName, link: LinkId, release: String) {
        if let Ok(number) = release.parse() {
            let otp = Input::OtpKnown {
                name: name.clone(),
                link: pgmesh_mesh::LinkId(link.0),
                release: number,
            };
            self.mesh.handle(now, otp);
        }
        self.view.otp_known(name, link, release);
    }
}

/// The next name heard; never, without Postgres. Cancel safe.
pub(super) async fn next(names: &mut Option<discovery::Events>) -> Option<discovery::Event> {
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
