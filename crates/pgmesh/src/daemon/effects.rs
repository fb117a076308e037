//! Carries out what the mesh wants. Nothing here waits: what takes time runs by
//! itself and reports back.

use std::time::Duration;

use pgmesh_dist::terms::Term;
use pgmesh_dist::{CallLimits, LinkId};
use pgmesh_mesh::Action;
use pgmesh_name::NodeName;

use super::run_loop::{Daemon, Outcome};

/// For what a node is asked in passing: whatever it answers must cost nothing.
const ASK_LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 256,
};

impl Daemon {
    pub(super) fn take(&mut self, action: Action) {
        match action {
            Action::Dial { name, dial } => {
                let (node, outcomes) = (self.node.clone(), self.outcomes.clone());
                let task = tokio::spawn(async move {
                    let outcome = match node.connect(&name, false).await {
                        Ok(()) => Outcome::Dialled(dial),
                        Err(error) => Outcome::DialFailed { name, dial, error },
                    };
                    // The loop is gone only when the daemon stops.
                    let _ = outcomes.send(outcome);
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
                    announcer.announce(names);
                }
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
