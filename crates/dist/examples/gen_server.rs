//! A `gen_server` in Rust: a store that Erlang nodes put values into and get them from.
//!
//!     PGMESH_COOKIE=secret cargo run -p pgmesh-dist --example gen_server -- store@$(hostname -s)
//!
//! And beside it:
//!
//!     $ erl -sname x -setcookie secret
//!     1> Store = {store, 'store@myhost'}.
//!     2> gen_server:cast(Store, {put, colour, blue}).
//!     ok
//!     3> gen_server:call(Store, {get, colour}).
//!     {ok,blue}
//!     4> gen_server:call(Store, {get, shape}).
//!     error
//!     5> gen_server:stop(Store).
//!     ok
//!     6> gen_server:call(Store, {get, colour}).
//!     error
//!
//! EPMD's port is in `ERL_EPMD_PORT` if it is not the usual one.

mod common;

use std::env;
use std::error::Error;

use pgmesh_dist::terms::{Atom, Term, Tuple};
use pgmesh_dist::{Answer, Caller, GenServer, Mailbox, Node, Turn};

/// Keys and values: terms have no order, and a few need none.
#[derive(Default)]
struct Store(Vec<(Term, Term)>);

impl GenServer for Store {
    async fn handle_call(&mut self, request: Term, _: Caller, _: &Mailbox) -> Answer {
        let found = match elements(&request) {
            [get, key] if *get == atom("get") => self.0.iter().find(|(known, _)| known == key),
            _ => None,
        };
        Answer::Reply(match found {
            Some((_, value)) => Term::from(Tuple::from(vec![atom("ok"), value.clone()])),
            None => atom("error"),
        })
    }

    async fn handle_cast(&mut self, request: Term, _: &Mailbox) -> Turn {
        if let [put, key, value] = elements(&request)
            && *put == atom("put")
        {
            self.0.retain(|(known, _)| known != key);
            self.0.push((key.clone(), value.clone()));
        }
        Turn::Continue
    }

    #[allow(clippy::print_stdout)]
    async fn terminate(&mut self, reason: &Term, _: &Mailbox) {
        println!("stopped: {reason}; forgets {} values", self.0.len());
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).ok_or("usage: gen_server NAME@HOST")?;
    let (node, _) = Node::start(common::config(&name)?).await?;
    println!("{{store, '{name}'}} is a gen_server");
    // As a supervisor would: a server that was stopped begins anew.
    loop {
        let mailbox = node.register("store")?;
        mailbox.run(Store::default()).await?;
    }
}

fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

/// The elements of a tuple; of anything else there are none.
fn elements(term: &Term) -> &[Term] {
    match term {
        Term::Tuple(tuple) => &tuple.elements,
        _ => &[],
    }
}
