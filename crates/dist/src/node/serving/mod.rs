//! Being called: functions of ours that other nodes call with `rpc` and `erpc`.
//!
//! Two ways lead here: a spawn request for `erpc:execute_call/4`, whose answer is
//! the reason with which the process ends; and a message to `rex`. Sources: erpc.erl,
//! rpc.erl; erl_dist_protocol, "Protocol Extensions".

mod functions;
mod outcome;
mod performing;
mod rex;
mod spawned;

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Inner, Node};
use crate::RegisterError;
pub use functions::{Class, Exception, Functions};

/// What a node serves, and how much of it at one time.
pub(super) struct Served {
    functions: Functions,
    calls: Arc<Semaphore>,
    argument_bytes: Arc<Semaphore>,
    inner: Weak<Inner>,
    runtime: Handle,
}

/// The room that a call has taken, until it is over.
struct Place {
    _call: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Served {
    fn new(functions: Functions, inner: &Arc<Inner>) -> Self {
        let semaphore = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Self {
            calls: semaphore(functions.max_calls),
            argument_bytes: semaphore(functions.max_arguments),
            functions,
            inner: Arc::downgrade(inner),
            runtime: Handle::current(),
        }
    }

    /// Room for a call with arguments of so many bytes, if there is some.
    fn place(&self, bytes: usize) -> Option<Place> {
        let bytes = u32::try_from(bytes).ok()?;
        Some(Place {
            _call: self.calls.clone().try_acquire_owned().ok()?,
            _bytes: self
                .argument_bytes
                .clone()
                .try_acquire_many_owned(bytes)
                .ok()?,
        })
    }

    /// Carries a call until it is over or the node stops.
    fn spawn(&self, inner: &Inner, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = inner.stopped.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task => {}
            }
        });
    }
}

impl Node {
    /// Lets other nodes call functions of ours, from now until the node stops: with
    /// `rpc:call`, `rpc:cast`, `rpc:multicall`, their like in `erpc`, `erpc:send_request`,
    /// `spawn`, `spawn_request`, and with `erl_call` and `ei_rpc`.
    ///
    /// What they get is what a BEAM gives: results, exceptions of all three classes
    /// with a stack trace, `undef` for what is not in the table, and `system_limit`
    /// beyond the bounds of [`Functions`]. A function that panics raises
    /// `error({panicked, Text})`. Called by `erpc`, it runs in a process: whoever knows
    /// its pid can monitor it, link to it and end it. Other processes than these cannot
    /// be spawned here: that is refused with `notsup`. A caller that reads its answers
    /// slowly keeps the room of its calls until there is room for them, but for no longer
    /// than [`net_ticktime`](crate::NodeConfig::net_ticktime).
    ///
    /// The name `rex` is taken from then on. Must be called within a tokio runtime; the
    /// functions run on it.
    ///
    /// ```no_run
    /// # async fn serve(node: pgmesh_dist::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmesh_dist::terms::{Atom, Term};
    /// use pgmesh_dist::Functions;
    ///
    /// // rpc:call('rust@127.0.0.1', greeter, hello, []) is `hello`.
    /// let hello = async |_args| Ok(Term::from(Atom::from("hello")));
    /// node.serve(Functions::new().with("greeter", "hello", hello))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When it serves already, a mailbox has the name `rex`, a
    /// [`dynamic`](Self::dynamic) node has no name yet, or the node was stopped.
    pub fn serve(&self, functions: Functions) -> Result<(), RegisterError> {
        let inner = &self.inner;
        let rex = inner.open_rex()?;
        let served = Arc::new(Served::new(functions, inner));
        inner.links().served = Some(served.clone());
        self.spawn(rex::answer_all(inner.clone(), served, rex));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, FixInteger};
    use outcome::Outcome;
    use performing::Call;

    use crate::node::processes::raw;
    use crate::terms::{RawTerm, Term};

    /// What `m:Function(Args)` gives, where `args` is a list as bytes.
    async fn called(functions: &Functions, function: &str, args: &[u8]) -> Outcome {
        let (module, function) = (raw(Atom::from("m")), raw(Atom::from(function)));
        let parts = [&module[..], &function, args].map(RawTerm::unscanned);
        Call::of(parts).perform(functions, ()).await
    }

    fn functions() -> Functions {
        Functions::new()
            .with("m", "count", async |args: Vec<Term>| {
                let count = i32::try_from(args.len()).map_err(|_| Exception::badarg())?;
                Ok(Term::from(FixInteger::from(count)))
            })
            .with("m", "panic", async |_| panic!("oh no"))
            .with("m", "early", |_| -> std::future::Ready<_> {
                panic!("{} no", "oh")
            })
    }

    #[tokio::test]
    async fn every_kind_of_list_is_a_list_of_arguments() {
        let functions = functions();
        for (args, count) in [
            (&[106][..], 0),
            (&[107, 0, 2, 1, 2], 2),
            (&[108, 0, 0, 0, 1, 106, 106], 1),
        ] {
            let outcome = called(&functions, "count", args).await;
            assert_eq!(outcome, Outcome::Return(vec![97, count]), "{args:?}");
        }
        for args in [&[97, 1][..], &[108, 0, 0, 0, 1, 97, 1, 97, 2], &[255]] {
            let outcome = called(&functions, "count", args).await;
            assert!(
                matches!(outcome, Outcome::Error { reason, .. } if reason == b"\x77\x06badarg"),
                "{args:?}"
            );
        }
    }

    #[tokio::test]
    async fn panic_is_an_error_of_that_call() {
        let functions = functions();
        for function in ["panic", "early"] {
            let Outcome::Error { reason, .. } = called(&functions, function, &[106]).await else {
                panic!("no error");
            };
            let expected = b"\x68\x02\x77\x08panicked\x6d\0\0\0\x05oh no";
            assert_eq!(reason, expected);
        }
    }

    #[tokio::test]
    async fn unknown_functions_are_undefined_with_their_arguments() {
        let outcome = called(&functions(), "nosuch", &[107, 0, 1, 9]).await;
        let expected = outcome::stack(b"\x77\x01m", b"\x77\x06nosuch", &[107, 0, 1, 9]);
        assert_eq!(
            outcome,
            Outcome::Error {
                reason: b"\x77\x05undef".to_vec(),
                stack: expected
            }
        );
    }
}
