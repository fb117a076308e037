//! A value that answers calls and casts, run on a mailbox.
//!
//! Sources: gen_server.erl; sys.erl for what supervisors and `gen_server:stop` say.

use std::sync::Arc;

use eetf::Atom;
use tokio::sync::Semaphore;

use super::abstract_code::{atom, tuple};
use super::processes::raw;
use super::sending::encoded;
use super::{Caller, Mailbox, Received, Request, own_pid};
use crate::MailboxEnded;
use crate::terms::{Term, TermError};

/// How many replies may be on their way to nodes that have to be dialled.
const MAX_ASIDE: usize = 64;

/// What follows from a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This is the reply.
    Reply(Term),
    /// The reply comes later, by [`Node::reply`](crate::Node::reply).
    Later,
    /// The server stops.
    Stop {
        /// Why: what those hear who monitor it or are linked to it.
        reason: Term,
        /// The reply, if there is one, said after [`terminate`](GenServer::terminate);
        /// without it the caller hears the reason.
        reply: Option<Term>,
    },
}

/// What follows from a cast, or from any other message.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// The server goes on.
    Continue,
    /// The server stops, for this reason.
    Stop(Term),
}

/// A server as `gen_server` makes them: its state is the value itself, and
/// [`Mailbox::run`] runs it.
///
/// It handles one message at a time, in the order in which they came, so a handler that
/// waits keeps all others waiting: for what takes long, hand the [`Caller`] to a task
/// and answer [`Later`](Answer::Later). A call whose request is no term that we read
/// arrives as a message that cannot be decoded, and is not answered.
///
/// ```no_run
/// # async fn run(node: pgmesh_dist::Node) -> Result<(), Box<dyn std::error::Error>> {
/// use pgmesh_dist::terms::{Atom, FixInteger, Term};
/// use pgmesh_dist::{Answer, Caller, GenServer, Mailbox, Turn};
///
/// struct Counter(i32);
///
/// impl GenServer for Counter {
///     // gen_server:call({counter, 'rust@127.0.0.1'}, next)
///     async fn handle_call(&mut self, _: Term, _: Caller, _: &Mailbox) -> Answer {
///         self.0 += 1;
///         Answer::Reply(Term::from(FixInteger::from(self.0)))
///     }
///
///     // gen_server:cast({counter, 'rust@127.0.0.1'}, enough)
///     async fn handle_cast(&mut self, _: Term, _: &Mailbox) -> Turn {
///         Turn::Stop(Term::from(Atom::from("normal")))
///     }
/// }
///
/// let reason = node.register("counter")?.run(Counter(0)).await?;
/// println!("stopped: {reason}");
/// # Ok(())
/// # }
/// ```
pub trait GenServer: Send {
    /// Handles `gen_server:call`. `mailbox` is the process that it runs in.
    fn handle_call(
        &mut self,
        request: Term,
        from: Caller,
        mailbox: &Mailbox,
    ) -> impl Future<Output = Answer> + Send;

    /// Handles `gen_server:cast`. Unless it is written, casts are dropped.
    fn handle_cast(
        &mut self,
        _request: Term,
        _mailbox: &Mailbox,
    ) -> impl Future<Output = Turn> + Send {
        async { Turn::Continue }
    }

    /// Handles everything else: other messages, ends of what it monitors, exit signals.
    ///
    /// Unless it is written, the server does what one does that traps no exits: it stops
    /// with the reason of a signal that is not `normal`. All else is dropped.
    fn handle_info(
        &mut self,
        info: Received,
        _mailbox: &Mailbox,
    ) -> impl Future<Output = Turn> + Send {
        async move {
            match info {
                Received::Exit { reason, .. } | Received::LinkBroken { reason, .. }
                    if reason != atom("normal") =>
                {
                    Turn::Stop(reason)
                }
                _ => Turn::Continue,
            }
        }
    }

    /// Tidies up before the server ends; not called if it was killed or its node stopped.
    fn terminate(&mut self, _reason: &Term, _mailbox: &Mailbox) -> impl Future<Output = ()> + Send {
        async {}
    }
}

impl Mailbox {
    /// Runs a server until it stops; returns the reason, with which the mailbox ends.
    ///
    /// Whoever calls the server, monitors it or is linked to it hears that reason. Of
    /// the messages of `sys` it knows that of `gen_server:stop`; all others are answered
    /// with an error. If a handler panics, the mailbox ends with the reason `panicked`.
    /// A reply that is no term that can be sent stops the server with the reason
    /// `bad_reply`.
    ///
    /// # Errors
    ///
    /// When the mailbox ends otherwise: it was killed, it overflowed, or the node was
    /// stopped.
    ///
    /// Dropped before it returns, it ends the mailbox with the reason `normal`, without
    /// [`terminate`](GenServer::terminate).
    pub async fn run(self, mut server: impl GenServer) -> Result<Term, MailboxEnded> {
        let running = Running(&self);
        let aside = Aside(Arc::new(Semaphore::new(MAX_ASIDE)));
        let mut last_words = None;
        let reason = loop {
            let received = self.recv().await?;
            if let Turn::Stop(reason) = self
                .turn(&mut server, received, &aside, &mut last_words)
                .await
            {
                break reason;
            }
        };
        server.terminate(&reason, &self).await;
        // As gen_server does: whoever hears it may begin what the server has ended.
        if let Some((from, reply)) = last_words {
            let _ = self.say(&from, &reply, &aside).await;
        }
        drop(running);
        // What cannot be sent was said by the server itself: `normal`, then.
        let _ = self.exit(&reason);
        Ok(reason)
    }

    async fn turn(
        &self,
        server: &mut impl GenServer,
        received: Received,
        aside: &Aside,
        last_words: &mut Option<(Caller, Term)>,
    ) -> Turn {
        let Received::Message(message) = &received else {
            return server.handle_info(received, self).await;
        };
        let Ok(message) = message.decode() else {
            return server.handle_info(received, self).await;
        };
        match Request::from(message) {
            Request::Call { from, request } => {
                match server.handle_call(request, from.clone(), self).await {
                    Answer::Reply(reply) => match self.say(&from, &reply, aside).await {
                        Ok(()) => Turn::Continue,
                        Err(_) => Turn::Stop(atom("bad_reply")),
                    },
                    Answer::Later => Turn::Continue,
                    Answer::Stop { reason, reply } => {
                        *last_words = reply.map(|reply| (from, reply));
                        Turn::Stop(reason)
                    }
                }
            }
            Request::Cast(request) => server.handle_cast(request, self).await,
            Request::Info(message) => match SystemMessage::of(&message) {
                Some(told) => self.obey(told, aside).await,
                None => server.handle_info(received, self).await,
            },
        }
    }

    /// Replies. A caller whose node is not linked is replied to from aside: dialling it
    /// would keep all others waiting. Beyond some of them such a reply is dropped: a call
    /// ends with its link, so that hardly anybody waits for it.
    async fn say(&self, from: &Caller, reply: &Term, aside: &Aside) -> Result<(), TermError> {
        let inner = self.node().inner.clone();
        let (to, message) = from.answer(&encoded(reply)?)?;
        let is_near = inner
            .place_for(&to)
            .is_ok_and(|place| inner.links().link_to(&place).is_ok());
        let sent = async move {
            let _ = inner.send_encoded(own_pid::CALLER, &to, &message).await;
        };
        if is_near {
            sent.await;
        } else if let Ok(place) = aside.0.clone().try_acquire_owned() {
            tokio::spawn(async move {
                sent.await;
                drop(place);
            });
        }
        Ok(())
    }

    async fn obey(&self, told: SystemMessage, aside: &Aside) -> Turn {
        let (reply, turn) = match told.terminate {
            Some(reason) => (atom("ok"), Turn::Stop(reason)),
            None => {
                let unknown = tuple(vec![atom("unknown_system_msg"), told.message]);
                (tuple(vec![atom("error"), unknown]), Turn::Continue)
            }
        };
        let said = self.say(&told.from, &reply, aside).await;
        said.map_or(Turn::Stop(atom("bad_reply")), |()| turn)
    }
}

/// Room for replies to nodes that have to be dialled.
struct Aside(Arc<Semaphore>);

/// `{system, From, Message}`
struct SystemMessage {
    from: Caller,
    message: Term,
    /// Of `{terminate, Reason}`.
    terminate: Option<Term>,
}

impl SystemMessage {
    fn of(message: &Term) -> Option<Self> {
        let Term::Tuple(elements) = message else {
            return None;
        };
        let [Term::Atom(system), from, message] = &elements.elements[..] else {
            return None;
        };
        if system.name != "system" {
            return None;
        }
        Some(Self {
            from: Caller::of(from)?,
            message: message.clone(),
            terminate: match message {
                Term::Tuple(told) => match &told.elements[..] {
                    [Term::Atom(what), reason] if what.name == "terminate" => Some(reason.clone()),
                    _ => None,
                },
                _ => None,
            },
        })
    }
}

/// Says so if a handler panics.
struct Running<'a>(&'a Mailbox);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(&raw(Atom::from("panicked")));
        }
    }
}
