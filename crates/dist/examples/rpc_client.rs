//! Calls a function of an Erlang node, and tells its result from its failure.
//!
//!     $ erl -sname app -setcookie secret
//!
//! And beside it:
//!
//!     $ export PGMESH_COOKIE=secret
//!     $ cargo run -p pgmesh-dist --example rpc_client -- app@$(hostname -s) lists seq 1 5
//!     [1,2,3,4,5]
//!     $ cargo run -p pgmesh-dist --example rpc_client -- app@$(hostname -s) erlang list_to_atom oops
//!     list_to_atom raised error: 'badarg'
//!
//! Arguments are integers, or else atoms. EPMD's port is in `ERL_EPMD_PORT` if it is not
//! the usual one.
//! It takes its name from the first node that it dials, which needs OTP 24.

mod common;

use std::env;
use std::error::Error;
use std::time::Duration;

use pgmesh_dist::terms::{Atom, FixInteger, Term};
use pgmesh_dist::{CallLimits, ErpcError, Node};
use pgmesh_name::NodeName;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 1024 * 1024,
};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let (Some(peer), Some(module), Some(function)) = (words.next(), words.next(), words.next())
    else {
        return Err("usage: rpc_client NODE MODULE FUNCTION [ARGUMENT...]".into());
    };
    let args = words.map(|word| argument(&word)).collect();
    let peer: NodeName = peer.parse()?;
    // It only dials, and the node that it dials gives it a name.
    let config = common::config(&format!("rpc_client@{}", peer.host()))?;
    let (node, _) = Node::dynamic(config);
    let called = node.erpc_call(&peer, &module, &function, args, LIMITS);
    match called.await {
        Ok(result) => println!("{result}"),
        Err(ErpcError::Raised { raised, .. }) => println!("{function} raised {raised}"),
        Err(error) => println!("{error}"),
    }
    node.stop();
    Ok(())
}

fn argument(word: &str) -> Term {
    match word.parse::<i32>() {
        Ok(number) => Term::from(FixInteger::from(number)),
        Err(_) => Term::from(Atom::from(word)),
    }
}
