//! Real `erl` nodes, and what they say.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use pgmesh_dist::terms::Term;
use pgmesh_dist::{CallLimits, Cookie, Node, NodeConfig, NodeEvents};
use pgmesh_name::NodeName;
use tokio::io::AsyncReadExt as _;

use crate::place::{Place, placed, unplaced};

pub(crate) const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(10),
    answer_bytes: 1024 * 1024,
};

pub(crate) fn name(text: &str) -> NodeName {
    placed(text).parse().unwrap()
}

/// A real `erl`, or the program that `OTP_ERL` names, of another release say; ended when dropped, and when this process ends.
pub(crate) struct Beam {
    pub(crate) name: NodeName,
    _process: tokio::process::Child,
}

impl Beam {
    pub(crate) async fn start(place: &Place, full_name: &str, flags: &[&str]) -> Self {
        let program = env::var_os("OTP_ERL").unwrap_or_else(|| "erl".into());
        let mut command = tokio::process::Command::new(program);
        command
            .args(["-noshell", "-start_epmd", "false", "-setcookie", "secret"])
            .args(["-name", &placed(full_name)])
            .args(place.flags())
            .args(flags)
            // The end of its input is the end of whoever started it.
            .args(["-eval", "io:nl(), io:get_line(''), halt()."])
            .env("ERL_EPMD_PORT", place.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("erl is not to be started");
        // It writes this once all of kernel is up: rex is later than EPMD.
        let read = async { process.stdout.as_mut().unwrap().read_u8().await };
        let written = tokio::time::timeout(LIMITS.time, read).await;
        written.expect("erl is not up in time").unwrap();
        Self {
            name: name(full_name),
            _process: process,
        }
    }
}

pub(crate) async fn our_node(place: &Place, full_name: &str) -> (Node, NodeEvents) {
    our_node_with(place, full_name, |_| ()).await
}

pub(crate) async fn our_node_with(
    place: &Place,
    full_name: &str,
    change: impl FnOnce(&mut NodeConfig),
) -> (Node, NodeEvents) {
    let mut config = NodeConfig::new(name(full_name), Cookie::new("secret"));
    place.configure(&mut config);
    change(&mut config);
    Node::start(config).await.unwrap()
}

/// What Erlang code gives, as text.
pub(crate) async fn evaluate(node: &Node, at: &NodeName, code: &str) -> String {
    let binary = |text: &str| Term::from(eetf::Binary::from(text.as_bytes()));
    let call = async |module, function, args| {
        let result = node.call(at, module, function, args, LIMITS);
        result.await.unwrap()
    };
    let list = call("erlang", "binary_to_list", vec![binary(&placed(code))]).await;
    let scanned = call("erl_scan", "string", vec![list]).await;
    let parsed = call("erl_parse", "parse_exprs", vec![element(&scanned, 1)]).await;
    let nothing = Term::from(eetf::List::nil());
    let exprs = vec![element(&parsed, 1), nothing];
    let value = element(&call("erl_eval", "exprs", exprs).await, 1);
    unplaced(&value.to_string())
}

fn element(tuple: &Term, at: usize) -> Term {
    match tuple {
        Term::Tuple(tuple) => tuple.elements[at].clone(),
        other => panic!("no tuple: {other}"),
    }
}
