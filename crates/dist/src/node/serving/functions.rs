//! The functions that others may call here, and how they fail.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use eetf::Atom;

use crate::node::term_text;
use crate::terms::Term;

/// How many calls run at one time, unless it is said otherwise.
const MAX_CALLS: usize = 1024;
/// What their arguments may weigh together, unless it is said otherwise.
const MAX_ARGUMENTS: usize = 64 * 1024 * 1024;

type Returned = Pin<Box<dyn Future<Output = Result<Term, Exception>> + Send>>;
pub(super) type Function = Arc<dyn Fn(Vec<Term>) -> Returned + Send + Sync>;

/// Functions of ours by module and name, for [`Node::serve`](crate::Node::serve).
///
/// A function takes its arguments, however many came, and says itself which it does
/// not take ([`Exception::undef`], [`Exception::badarg`]).
///
/// Bounded: beyond 1,024 calls at one time ([`max_calls`](Self::max_calls)), or 64 MiB
/// of arguments as they came over the wire
/// ([`max_argument_bytes`](Self::max_argument_bytes)), a call is answered at once with
/// `system_limit`, as by a BEAM that can have no more processes.
///
/// ```
/// use pgmesh_dist::terms::{FixInteger, Term};
/// use pgmesh_dist::{Exception, Functions};
///
/// async fn first(args: Vec<Term>) -> Result<Term, Exception> {
///     args.into_iter().next().ok_or_else(Exception::badarg)
/// }
///
/// let functions = Functions::new()
///     .with("demo", "first", first)
///     .with("demo", "count", async |args: Vec<Term>| {
///         let count = i32::try_from(args.len()).map_err(|_| Exception::badarg())?;
///         Ok(Term::from(FixInteger::from(count)))
///     });
/// # drop(functions);
/// ```
pub struct Functions {
    table: HashMap<(String, String), Function>,
    pub(super) max_calls: usize,
    pub(super) max_arguments: usize,
}

impl Functions {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            table: HashMap::new(),
            max_calls: MAX_CALLS,
            max_arguments: MAX_ARGUMENTS,
        }
    }

    /// Enters a function; a later one of that name takes its place.
    ///
    /// It runs in a task of its own, beside all others; if it has to block, that
    /// belongs into `tokio::task::spawn_blocking`, which goes on when its call is ended. It may be dropped at any await: when
    /// its process is killed, or the node stops.
    #[must_use]
    pub fn with<F, R>(mut self, module: &str, function: &str, body: F) -> Self
    where
        F: Fn(Vec<Term>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Term, Exception>> + Send + 'static,
    {
        let boxed = move |args| Box::pin(body(args)) as Returned;
        let key = (module.to_owned(), function.to_owned());
        self.table.insert(key, Arc::new(boxed));
        self
    }

    /// How many calls may run at one time; at least one does.
    #[must_use]
    pub fn max_calls(mut self, max: usize) -> Self {
        self.max_calls = max.max(1);
        self
    }

    /// What the arguments of all calls that run may weigh together, in bytes as they
    /// came; each can become forty in memory.
    #[must_use]
    pub fn max_argument_bytes(mut self, max: usize) -> Self {
        self.max_arguments = max;
        self
    }

    pub(super) fn get(&self, module: &str, function: &str) -> Option<Function> {
        let key = (module.to_owned(), function.to_owned());
        self.table.get(&key).cloned()
    }
}

impl Default for Functions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("names", &self.table.keys())
            .field("max_calls", &self.max_calls)
            .field("max_arguments", &self.max_arguments)
            .finish()
    }
}

/// Which kind of exception it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `error(Reason)`.
    Error,
    /// `exit(Reason)`.
    Exit,
    /// `throw(Reason)`.
    Throw,
}

impl Class {
    /// Its word in Erlang.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Exit => "exit",
            Self::Throw => "throw",
        }
    }
}

/// What a function raises instead of returning.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Which kind.
    pub class: Class,
    /// Why.
    pub reason: Term,
}

impl Exception {
    /// `error(Reason)`: to callers a failure of the function.
    pub fn error(reason: impl Into<Term>) -> Self {
        let (class, reason) = (Class::Error, reason.into());
        Self { class, reason }
    }

    /// `exit(Reason)`.
    pub fn exit(reason: impl Into<Term>) -> Self {
        let (class, reason) = (Class::Exit, reason.into());
        Self { class, reason }
    }

    /// `throw(Reason)`: `rpc:call` returns it as if it were the result.
    pub fn throw(reason: impl Into<Term>) -> Self {
        let (class, reason) = (Class::Throw, reason.into());
        Self { class, reason }
    }

    /// `error(badarg)`: an argument is none that the function takes.
    pub fn badarg() -> Self {
        Self::error(Atom::from("badarg"))
    }

    /// `error(undef)`: there is no function with so many arguments.
    pub fn undef() -> Self {
        Self::error(Atom::from("undef"))
    }
}

/// `class: reason`, cut short.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), term_text(&self.reason))
    }
}
