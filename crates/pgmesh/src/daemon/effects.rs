//! Carries out what the mesh wants. Nothing here waits: what takes time runs by
//! itself and reports back.

use std::time::Duration;

use pgmesh_dist::terms::Term;
use pgmesh_dist::{CallLimits, Introduced, LinkId};
use pgmesh_mesh::{
    Action, DialId, Failure, Input, IntroductionId, IntroductionOutcome, Retry, State,
};
use pgmesh_name::NodeName;
use tokio::sync::mpsc;

use super::event_log;
use super::run_loop::{Daemon, Outcome};

/// For lists of nodes.
const LIST_LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 4 * 1024 * 1024,
};
/// A node waits seven seconds for a silent address (net_setuptime).
const INTRODUCTION_LIMIT: Duration = Duration::from_secs(8);

/// For what a node is asked in passing: whatever it answers must cost nothing.
const ASK_LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 256,
};

/// The kind of a dial that a bug broke off.
pub(super) const INTERNAL: &str = "internal";

impl Daemon {
    pub(super) fn take(&mut self, action: Action) {
        match action {
            Action::Dial { name, dial } => {
                self.metrics.dial();
                let node = self.node.clone();
                let answer = DialAnswer::new(self.outcomes.clone(), &name, dial);
                let task = tokio::spawn(async move {
                    let dialled = node.connect(&name, false).await;
                    answer.give(dialled.map_err(|e| event_log::failure(e.kind(), &e)));
                });
                self.dials.insert(dial, task.abort_handle());
            }
            Action::CancelDial(dial) => {
                if let Some(task) = self.dials.remove(&dial) {
                    task.abort();
                }
            }
            Action::Announce(names) => {
                if let Some(announcer) = &self.announcer {
                    announcer.announce(&names);
                }
            }
            Action::Goodbye(names) => {
                if let Some(announcer) = &self.announcer {
                    announcer.goodbye(&names);
                }
            }
            Action::Watch { name, link } => self.watch(name, link),
            Action::Unwatch { name, .. } => self.node.unwatch(&name),
            Action::Audit { name, link } => self.audit(name, link),
            Action::Introduce { id, to, peer } => self.introduce(id, to, peer),
            Action::Disconnect { at, peer } => self.disconnect(at, &peer),
        }
    }

    fn watch(&self, name: NodeName, link: pgmesh_mesh::LinkId) {
        let outcomes = self.outcomes.clone();
        // Begun here and not by the task: what ends it may be the next action.
        let watching = self.node.watch(&name, LIST_LIMITS);
        tokio::spawn(async move {
            if let Err(error) = watching.await {
                tracing::debug!(node = %name, kind = error.kind(), "cannot watch {name}: {error}");
                let _ = outcomes.send(Outcome::Mesh(Input::WatchFailed { name, link }));
            }
        });
    }

    fn audit(&self, name: NodeName, link: pgmesh_mesh::LinkId) {
        let (node, outcomes) = (self.node.clone(), self.outcomes.clone());
        tokio::spawn(async move {
            let input = match node.visible_peers(&name, LIST_LIMITS).await {
                Ok(peers) => Input::Audited { name, link, peers },
                Err(error) => {
                    tracing::debug!(
                        node = %name,
                        kind = error.kind(),
                        "{name} does not say whom it is connected to: {error}"
                    );
                    Input::AuditFailed { name, link }
                }
            };
            let _ = outcomes.send(Outcome::Mesh(input));
        });
    }

    fn introduce(&self, id: IntroductionId, to: NodeName, peer: NodeName) {
        let node = self.node.clone();
        let answer = IntroductionAnswer {
            outcomes: self.outcomes.clone(),
            id,
            outcome: IntroductionOutcome::Failed,
        };
        tokio::spawn(async move {
            let outcome = match node.introduce(&to, &peer, INTRODUCTION_LIMIT).await {
                Ok(Introduced::Connected) => IntroductionOutcome::Connected,
                Ok(Introduced::Refused) => IntroductionOutcome::Refused,
                Ok(Introduced::Stopping(name)) => IntroductionOutcome::Stopping(name),
                Err(error) => {
                    tracing::debug!(
                        node = %to,
                        %peer,
                        kind = error.kind(),
                        "cannot introduce {peer} to {to}: {error}"
                    );
                    IntroductionOutcome::Failed
                }
            };
            answer.give(outcome);
        });
    }

    /// Whether it could be done is seen by watchers and audits.
    fn disconnect(&self, at: Vec<NodeName>, peer: &NodeName) {
        for name in at {
            let (node, peer) = (self.node.clone(), peer.clone());
            tokio::spawn(async move {
                if let Err(error) = node.disconnect_at(&name, &peer, ASK_LIMITS).await {
                    tracing::debug!(
                        node = %name,
                        %peer,
                        kind = error.kind(),
                        "cannot disconnect {name} from {peer}: {error}"
                    );
                }
            });
        }
        self.node.disconnect(peer);
    }

    /// Warns where an intended partial mesh would be made a full one.
    pub(super) fn ask_intent(&self, name: NodeName) {
        let node = self.node.clone();
        tokio::spawn(async move {
            let intent = node.mesh_intent(&name, ASK_LIMITS.time).await;
            if intent.is_ok_and(|intent| intent.partial) {
                tracing::warn!(
                    node = %name,
                    "{name} connects only where it is told to (connect_all false or \
                     dist_auto_connect never), and --introduce all connects it to everybody"
                );
            }
        });
    }

    /// Asks every visible node that we are linked to.
    pub(super) fn ask_intents(&self) {
        for (name, member) in self.mesh.members() {
            if matches!(member.state(), State::Up(_)) && !member.is_hidden() {
                self.ask_intent(name.clone());
            }
        }
    }

    /// Asks a node for its OTP release, for people to see.
    pub(super) fn ask_otp(&self, link: LinkId, name: NodeName) {
        let (node, outcomes) = (self.node.clone(), self.outcomes.clone());
        tokio::spawn(async move {
            let item = Term::from(eetf::Atom::from("otp_release"));
            let answer = node
                .call(&name, "erlang", "system_info", vec![item], ASK_LIMITS)
                .await;
            // A release is a text like "27"; anything else stays unknown.
            if let Ok(Term::ByteList(text)) = answer
                && let Ok(release) = String::from_utf8(text.bytes)
            {
                let _ = outcomes.send(Outcome::Otp {
                    link,
                    name,
                    release,
                });
            }
        });
    }
}

/// Answers a dial when it is dropped, so that every dial is answered: also one
/// whose task was aborted (the mesh no longer waits for that) or broke.
struct DialAnswer {
    outcomes: mpsc::UnboundedSender<Outcome>,
    name: NodeName,
    dial: DialId,
    /// `None` until the dial is over.
    dialled: Option<Result<(), Failure>>,
}

impl DialAnswer {
    fn new(outcomes: mpsc::UnboundedSender<Outcome>, name: &NodeName, dial: DialId) -> Self {
        Self {
            outcomes,
            name: name.clone(),
            dial,
            dialled: None,
        }
    }

    /// Says how the dial went.
    fn give(mut self, dialled: Result<(), Failure>) {
        self.dialled = Some(dialled);
    }

    fn broke_off(&self) -> Failure {
        let name = &self.name;
        Failure {
            kind: INTERNAL,
            message: format!("cannot dial {name}: the attempt broke off (please report this)"),
            retry: Retry::Slowly,
        }
    }
}

impl Drop for DialAnswer {
    fn drop(&mut self) {
        let dial = self.dial;
        let dialled = self.dialled.take();
        let outcome = match dialled.unwrap_or_else(|| Err(self.broke_off())) {
            Ok(()) => Outcome::Dialled(dial),
            Err(failure) => Outcome::DialFailed {
                name: self.name.clone(),
                dial,
                failure,
            },
        };
        // The loop is gone only when the daemon stops.
        let _ = self.outcomes.send(outcome);
    }
}

/// Answers an introduction when it is dropped, so that every one is answered.
struct IntroductionAnswer {
    outcomes: mpsc::UnboundedSender<Outcome>,
    id: IntroductionId,
    outcome: IntroductionOutcome,
}

impl IntroductionAnswer {
    /// Says what came of it.
    fn give(mut self, outcome: IntroductionOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for IntroductionAnswer {
    fn drop(&mut self) {
        let ended = Input::IntroductionEnded {
            id: self.id,
            outcome: self.outcome.clone(),
        };
        // The loop is gone only when the daemon stops.
        let _ = self.outcomes.send(Outcome::Mesh(ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dial_whose_task_breaks_is_answered_all_the_same() {
        let (outcomes, mut finished) = mpsc::unbounded_channel();
        let name: NodeName = "a@h".parse().unwrap();
        let answer = DialAnswer::new(outcomes, &name, DialId(7));
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            answer.give(Ok(()));
        });
        task.abort();
        let Some(Outcome::DialFailed { dial, failure, .. }) = finished.recv().await else {
            panic!("no answer");
        };
        assert_eq!((dial, failure.kind), (DialId(7), "internal"));
    }
}
