//! Calls of servers of one name on many nodes at once.
//!
//! Source: gen_server.erl, `multi_call/4`.

use pgmesh_name::NodeName;
use tokio::task::JoinSet;

use super::{CallLimits, Node};
use crate::CallError;
use crate::terms::Term;

/// What many servers of one name said, in the order in which the nodes were given.
#[derive(Debug, Default)]
pub struct MultiReplies {
    /// Who replied what.
    pub replies: Vec<(NodeName, Term)>,
    /// Who did not, and why.
    pub bad_nodes: Vec<(NodeName, CallError)>,
}

impl Node {
    /// Calls the server of this name on each node, as `gen_server:multi_call/4` does, and
    /// collects the replies. Dials the nodes that are not linked; all at once, so that the
    /// time of the limits is that of all together. Each server is monitored: one that is
    /// not there is known at once.
    ///
    /// ```no_run
    /// # async fn ask(node: pgmesh_dist::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use pgmesh_dist::CallLimits;
    /// use pgmesh_dist::terms::{Atom, Term};
    ///
    /// let limits = CallLimits { time: Duration::from_secs(5), answer_bytes: 64 * 1024 };
    /// let which = Term::from(Atom::from("which_children"));
    /// let said = node.gen_multi_call(&node.linked(), "kernel_sup", &which, limits).await;
    /// for (peer, children) in said.replies {
    ///     println!("{peer}: {children}");
    /// }
    /// for (peer, error) in said.bad_nodes {
    ///     println!("{peer}: {error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safe, but the servers may handle the request all the same. A late reply is
    /// dropped.
    pub async fn gen_multi_call(
        &self,
        nodes: &[NodeName],
        name: &str,
        request: &Term,
        limits: CallLimits,
    ) -> MultiReplies {
        let mut calls = JoinSet::new();
        for (at, peer) in nodes.iter().enumerate() {
            let (node, peer) = (self.clone(), peer.clone());
            let (name, request) = (name.to_owned(), request.clone());
            calls.spawn(async move {
                let server = (&name[..], &peer);
                (at, node.gen_call(server, &request, limits).await)
            });
        }
        let mut outcomes: Vec<_> = nodes.iter().map(|_| None).collect();
        while let Some(ended) = calls.join_next().await {
            if let Ok((at, outcome)) = ended {
                outcomes[at] = Some(outcome);
            }
        }
        let mut said = MultiReplies::default();
        for (peer, outcome) in nodes.iter().zip(outcomes) {
            let peer = peer.clone();
            match outcome.unwrap_or_else(|| Err(CallError::LinkLost(peer.clone()))) {
                Ok(reply) => said.replies.push((peer, reply)),
                Err(error) => said.bad_nodes.push((peer, error)),
            }
        }
        said
    }
}
