//! The end of a daemon: goodbye is said while the links still stand, and whoever asks
//! meanwhile is told that we are stopping.

use std::pin::pin;
use std::time::Duration;

use pgmesh_mesh::Input;
use tokio::task::AbortHandle;

use super::run_loop::{Daemon, Sources, next};
use crate::api::Question;

/// How long a stop waits for the last words.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

impl Daemon {
    /// Says goodbye, then closes every link and leaves EPMD. Takes a second at most;
    /// cut short, it leaves words unsaid and nothing else undone.
    pub(super) async fn leave(mut self: Box<Self>, sources: Sources) {
        let now = self.now();
        self.mesh.handle(now, Input::Shutdown);
        self.drain();
        self.dials.values().for_each(AbortHandle::abort);
        self.say_goodbye(sources).await;
        self.node.stop();
    }

    async fn say_goodbye(&mut self, mut sources: Sources) {
        let Some(announcer) = self.announcer.take() else {
            return;
        };
        let mut said = pin!(announcer.finish(GOODBYE_LIMIT));
        loop {
            tokio::select! {
                () = &mut said => return,
                Some(question) = sources.questions.recv() => self.answer_last(question),
                // The session waits for whoever does not take its events.
                Some(_) = next(&mut sources.names) => {}
            }
        }
    }

    /// A question that is dropped counts as refused: we are stopping.
    fn answer_last(&mut self, question: Question) {
        if !question.is_about_changes() {
            self.answer(self.now(), question);
        }
    }
}
