//! What is counted as it happens: what the loop hears, it tells here first.

use std::time::Duration;

use pgmesh_discovery as discovery;
use pgmesh_dist::{Direction, FailureKind, NodeEvent};
use pgmesh_mesh::{Event, IgnoredName, Input};

use super::{Metrics, table};

impl Metrics {
    pub(in crate::daemon) fn on_mesh_event(&self, event: &Event) {
        match event {
            Event::EdgeUp(..) => self.add(&table::EDGE_CHANGES, &["up"], 1),
            Event::EdgeDown(..) => self.add(&table::EDGE_CHANGES, &["down"], 1),
            Event::Introduced { .. } => self.add(&table::INTRODUCTIONS, &[], 1),
            Event::Healed { after, .. } => {
                self.add(&table::EDGES_HEALED, &[], 1);
                self.observe(&table::HEAL_SECONDS, &[], after.as_secs_f64());
            }
            Event::Ignored(_, why) => self.add(&table::NAMES_REFUSED, &[why.kind()], 1),
            // Such a name was never dialled.
            Event::DialFailed { failure, .. } if failure.kind == NOT_ALLOWED.kind() => {
                self.add(&table::NAMES_REFUSED, &[failure.kind], 1);
            }
            _ => {}
        }
    }

    pub(in crate::daemon) fn on_node_event(&self, event: &NodeEvent) {
        match event {
            NodeEvent::LinkUp { peer, after, .. } => self.link_up(peer.direction, *after),
            NodeEvent::LinkDown { error, .. } => self.link_closed(error.kind()),
            NodeEvent::CookieRejected { .. } => self.add(&table::COOKIE_REJECTIONS, &[], 1),
            _ => {}
        }
    }

    fn link_up(&self, direction: Direction, after: Duration) {
        let direction = [direction.as_str()];
        self.add(&table::LINKS_OPENED, &direction, 1);
        self.observe(&table::HANDSHAKE_SECONDS, &direction, after.as_secs_f64());
    }

    /// A link is told to be gone, unless another took its place.
    pub(in crate::daemon) fn link_closed(&self, kind: FailureKind) {
        self.add(&table::LINKS_CLOSED, &[kind.as_str()], 1);
    }

    pub(in crate::daemon) fn on_discovery_event(&self, event: &discovery::Event) {
        match event {
            discovery::Event::Up => self.add(&table::POSTGRES_SESSIONS, &[], 1),
            discovery::Event::Down(error) => {
                self.add(&table::POSTGRES_RECONNECTS, &[], 1);
                self.add(&table::POSTGRES_FAILURES, &[error.kind().as_str()], 1);
            }
            discovery::Event::Said { names } => {
                let names = u64::try_from(*names).unwrap_or(u64::MAX);
                self.add(&table::NAMES_SAID, &[], names);
            }
            discovery::Event::Echo { after: Some(after) } => {
                self.observe(&table::ECHO_SECONDS, &[], after.as_secs_f64());
            }
            discovery::Event::Heard(_) => self.add(&table::NAMES_HEARD, &[], 1),
            discovery::Event::Goodbye(_) => self.add(&table::GOODBYES_HEARD, &[], 1),
            _ => {}
        }
    }

    pub(in crate::daemon) fn dial(&self) {
        self.add(&table::DIALS, &[], 1);
    }

    pub(in crate::daemon) fn dial_failed(&self, kind: &'static str) {
        self.add(&table::DIALS_FAILED, &[kind], 1);
    }

    /// What an effect reports to the mesh.
    pub(in crate::daemon) fn on_report(&self, input: &Input) {
        if let Input::IntroductionEnded { outcome, .. } = input {
            self.add(&table::INTRODUCTION_RESULTS, &[outcome.kind()], 1);
        }
    }
}

const NOT_ALLOWED: IgnoredName = IgnoredName::NotAllowed;
