//! A process in Rust, among BEAM nodes: whoever sends `{Pid, Message}` to `echo` gets
//! the message back.
//!
//!     PGMESH_COOKIE=secret cargo run -p pgmesh-dist --example echo -- echo@$(hostname -s)
//!
//! And beside it:
//!
//!     $ erl -sname x -setcookie secret
//!     1> {echo, 'echo@myhost'} ! {self(), hello}.
//!     2> flush().
//!     Shell got hello
//!
//! EPMD's port is in `ERL_EPMD_PORT` if it is not the usual one.

mod common;

use std::env;
use std::error::Error;

use pgmesh_dist::terms::{Pid, Term};
use pgmesh_dist::{Mailbox, Node, Received};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).ok_or("usage: echo NAME@HOST")?;
    let (node, _) = Node::start(common::config(&name)?).await?;
    let mailbox = node.register("echo")?;
    println!("{{echo, '{name}'}} answers {{Pid, Message}}");
    loop {
        match mailbox.recv().await? {
            Received::Message(message) => answer(&mailbox, message.decode()?).await,
            other => println!("received {other:?}"),
        }
    }
}

#[allow(clippy::print_stdout)]
async fn answer(mailbox: &Mailbox, message: Term) {
    println!("received {message}");
    if let Some((pid, message)) = question(message)
        && let Err(error) = mailbox.send(pid, &message).await
    {
        println!("{error}");
    }
}

/// The parts of `{Pid, Message}`.
fn question(term: Term) -> Option<(Pid, Term)> {
    let Term::Tuple(tuple) = term else {
        return None;
    };
    match <[Term; 2]>::try_from(tuple.elements) {
        Ok([Term::Pid(pid), message]) => Some((pid, message)),
        _ => None,
    }
}
