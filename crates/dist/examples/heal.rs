//! Links to some nodes, and connects those of them that are apart.
//!
//!     cargo run -p pgmesh-dist --example heal -- app1@127.0.0.1 app2@127.0.0.1 app3@127.0.0.1
//!
//! The cookie is in `PGMESH_COOKIE`, EPMD's port in `ERL_EPMD_PORT` if it is not
//! the usual one.
//! It takes its name from the first node that it dials, which needs OTP 24.

mod common;

use std::env;
use std::error::Error;
use std::time::Duration;

use pgmesh_dist::{CallLimits, Node};
use pgmesh_name::NodeName;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 1024 * 1024,
};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = env::args()
        .skip(1)
        .map(|name| name.parse())
        .collect::<Result<Vec<NodeName>, _>>()?;
    // It only dials, and the first peer gives it a name.
    let (node, _) = Node::dynamic(common::config("heal@127.0.0.1")?);
    for name in &nodes {
        node.connect(name, true).await?;
    }
    for name in &nodes {
        let seen = node.visible_peers(name, LIMITS).await?;
        // The smaller name of each pair is told, so that no pair is told twice.
        let apart = nodes
            .iter()
            .filter(|peer| *peer > name && !seen.contains(peer));
        for peer in apart {
            let outcome = node.introduce(name, peer, LIMITS.time).await?;
            println!("{name} and {peer} were apart: {outcome:?}");
        }
    }
    println!("looked at {} nodes", nodes.len());
    node.stop();
    Ok(())
}
