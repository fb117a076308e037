//! Functions in Rust that Erlang nodes call.
//!
//!     PGMESH_COOKIE=secret cargo run -p pgmesh-dist --example rpc_server -- calc@$(hostname -s)
//!
//! And beside it:
//!
//!     $ erl -sname x -setcookie secret
//!     1> rpc:call('calc@myhost', calc, add, [1, 2]).
//!     3
//!     2> erpc:call('calc@myhost', calc, divide, [1, 0]).
//!     ** exception error: {exception,badarith,[{calc,divide,2,[]}]}
//!     3> rpc:call('calc@myhost', calc, nosuch, []).
//!     {badrpc,{'EXIT',{undef,[{calc,nosuch,[],[]}]}}}
//!
//! EPMD's port is in `ERL_EPMD_PORT` if it is not the usual one.

mod common;

use std::env;
use std::error::Error;

use pgmesh_dist::terms::{Atom, FixInteger, Term};
use pgmesh_dist::{Exception, Functions, Node};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).ok_or("usage: rpc_server NAME@HOST")?;
    let (node, _) = Node::start(common::config(&name)?).await?;
    let functions = Functions::new()
        .with("calc", "add", add)
        .with("calc", "divide", divide);
    node.serve(functions)?;
    println!("'{name}' has calc:add/2 and calc:divide/2");
    // Until Ctrl-C.
    std::future::pending().await
}

async fn add(args: Vec<Term>) -> Result<Term, Exception> {
    let (a, b) = two(&args)?;
    a.checked_add(b).map(integer).ok_or_else(badarith)
}

async fn divide(args: Vec<Term>) -> Result<Term, Exception> {
    let (a, b) = two(&args)?;
    a.checked_div(b).map(integer).ok_or_else(badarith)
}

fn two(args: &[Term]) -> Result<(i32, i32), Exception> {
    match args {
        [Term::FixInteger(a), Term::FixInteger(b)] => Ok((a.value, b.value)),
        [_, _] => Err(Exception::badarg()),
        _ => Err(Exception::undef()),
    }
}

fn integer(value: i32) -> Term {
    Term::from(FixInteger::from(value))
}

fn badarith() -> Exception {
    Exception::error(Atom::from("badarith"))
}
