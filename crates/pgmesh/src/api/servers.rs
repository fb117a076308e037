//! The servers behind the sockets, which end together.

use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::server::serve;

/// How long answers under way may take once the daemon ends.
const LAST_ANSWERS_LIMIT: Duration = Duration::from_millis(500);

/// Servers that are running.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    tasks: JoinSet<()>,
    end: CancellationToken,
}

impl Servers {
    /// Serves these routes to whoever connects. Must be called within a tokio runtime.
    pub(crate) fn spawn<L: Listener>(&mut self, listener: L, routes: Router) {
        self.tasks.spawn(serve(listener, routes, self.end.clone()));
    }

    /// Takes no more connections, and waits a moment for the answers under way.
    pub(crate) async fn finish(self) {
        self.end.cancel();
        let _ = timeout(LAST_ANSWERS_LIMIT, self.tasks.join_all()).await;
    }
}
