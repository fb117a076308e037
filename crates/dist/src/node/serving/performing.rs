//! One call: from its bytes to its outcome, in a task that may panic.

use eetf::{Binary, FixInteger};

use super::functions::{Exception, Function, Functions};
use super::outcome::{self, Outcome};
use crate::node::abstract_code::{atom, tuple};
use crate::terms::{RawTerm, Term};

/// A call as it came.
pub(super) struct Call<'a> {
    pub(super) module: RawTerm<'a>,
    pub(super) function: RawTerm<'a>,
    /// The list of arguments.
    pub(super) args: RawTerm<'a>,
}

impl<'a> Call<'a> {
    pub(super) fn of([module, function, args]: [RawTerm<'a>; 3]) -> Self {
        Self {
            module,
            function,
            args,
        }
    }

    /// Looks the function up and runs it. `held` is kept until the function is gone.
    ///
    /// Cancel safe: dropped, it ends the function at its next await.
    pub(super) async fn perform(
        &self,
        functions: &Functions,
        held: impl Send + 'static,
    ) -> Outcome {
        let names = self.module.atom().zip(self.function.atom());
        let found = names.and_then(|(module, function)| functions.get(module, function));
        let Some(function) = found else {
            let stack = self.stack(self.args.bytes());
            return Outcome::of(&Err(Exception::undef()), stack);
        };
        match arguments(self.args) {
            Some(args) => {
                let arity = i32::try_from(args.len()).unwrap_or(i32::MAX);
                let result = run(function, args, held).await;
                let [a, b, c, d] = arity.to_be_bytes();
                Outcome::of(&result, self.stack(&[98, a, b, c, d]))
            }
            None => Outcome::badarg(self.stack(self.args.bytes())),
        }
    }

    fn stack(&self, arity: &[u8]) -> Vec<u8> {
        outcome::stack(self.module.bytes(), self.function.bytes(), arity)
    }
}

/// The elements of a list of arguments, if it is one that we read.
pub(super) fn arguments(args: RawTerm<'_>) -> Option<Vec<Term>> {
    match args.decode().ok()? {
        Term::List(list) => Some(list.elements),
        Term::ByteList(list) => {
            let integer = |byte| Term::from(FixInteger::from(byte));
            Some(list.bytes.into_iter().map(integer).collect())
        }
        _ => None,
    }
}

/// Runs a function apart, so that its panic is its own. `held` is kept as long as it
/// runs, also if nobody waits for it any more.
pub(super) async fn run(
    function: Function,
    args: Vec<Term>,
    held: impl Send + 'static,
) -> Result<Term, Exception> {
    let mut task = Apart(tokio::spawn(async move {
        let _held = held;
        function(args).await
    }));
    match (&mut task.0).await {
        Ok(result) => result,
        Err(error) => Err(panicked(error)),
    }
}

/// Ends its task with itself.
struct Apart<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `error({panicked, Text})`
fn panicked(error: tokio::task::JoinError) -> Exception {
    let text = match error.try_into_panic() {
        Ok(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&str>() {
                Ok(text) => (*text).to_owned(),
                Err(_) => String::new(),
            },
        },
        Err(_) => "the node stops".to_owned(),
    };
    let text = Term::from(Binary::from(text.into_bytes()));
    Exception::error(tuple(vec![atom("panicked"), text]))
}
