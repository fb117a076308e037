//! A hidden Erlang distribution node.
//!
//! [`Node::start`] listens, registers with EPMD and accepts links;
//! [`Node::connect`] dials another node by name; [`Node::call`] calls a function
//! there; [`Node::watch`] follows whom a node is linked to. What happens to links is told by [`NodeEvents`].
//!
//! [`Node::mailbox`] and [`Node::register`] open a [`Mailbox`]: a process of ours that
//! sends and receives, monitors, is monitored and linked, as a process of the BEAM.
//!
//! ```no_run
//! # async fn echo() -> Result<(), Box<dyn std::error::Error>> {
//! use pgmesh_dist::terms::{Atom, Term};
//! use pgmesh_dist::{Cookie, Node, NodeConfig, Received};
//!
//! let config = NodeConfig::new("rust@127.0.0.1".parse()?, Cookie::new("secret"));
//! let (node, _) = Node::start(config).await?;
//! let mailbox = node.register("rusty")?;
//! let shell = ("shell", &"app@127.0.0.1".parse()?);
//! mailbox.monitor(shell).await?;
//! mailbox.send(shell, &Term::from(Atom::from("hello"))).await?;
//! match mailbox.recv().await? {
//!     Received::Message(message) => println!("{}", message.decode()?),
//!     Received::Down { reason, .. } => drop(reason),
//!     _ => {}
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Calling functions
//!
//! [`Node::erpc_call`] calls as `erpc:call` does: results, exceptions of each class, and
//! calls that did not come about are told apart. [`Node::call`] goes through `rex`, as
//! `rpc:call` did before OTP 23, and over links that are there. [`Mailbox::spawn`],
//! [`Mailbox::spawn_link`] and [`Mailbox::spawn_monitor`] begin processes on other nodes.
//! The example `rpc_client` shows the first.
//!
//! # Being called
//!
//! [`Node::serve`] lets others call [`Functions`] of ours by `rpc` and `erpc`, within
//! bounds. The example `rpc_server` does.
//!
//! # Servers
//!
//! [`Mailbox::run`] runs a [`GenServer`]; by hand, [`Request`] and [`Node::reply`] make
//! one. [`Node::gen_call`] and [`Node::gen_cast`] speak with those of others, and
//! [`Node::gen_multi_call`] with many at once. The example `gen_server` is one.
//!
//! # Inside
//!
//! The handshake and the table that settles simultaneous connects are pure state
//! machines; frames, ticks and answers sit between them and the sockets.
//! Nothing here knows of Postgres or decides whom to dial.
//!
//! Sources: Erlang's *Distribution Protocol* (`erl_dist_protocol`) and *External
//! Term Format* (`erl_ext_dist`).

mod cookie;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod link;
mod mailbox_error;
mod node;
mod socket;
mod spawn_error;
pub mod terms;
mod tls;

pub use cookie::Cookie;
pub use error::{CallError, ConnectError, FailureKind, LinkError, ProbeError, StartError, Step};
pub use link::{LinkId, Traffic};
pub use mailbox_error::{MailboxEnded, RegisterError, SendError};
pub use node::{
    Answer, CallLimits, Caller, Class, Counters, Destination, Direction, Exception, Functions,
    GenServer, Introduced, Listen, ListenError, Mailbox, MeshIntent, Message, MultiReplies, Node,
    NodeConfig, NodeEvent, NodeEvents, NodeTraffic, PeerInfo, Probed, Received, Request, ServerRef,
    Turn,
};
pub use pgmesh_epmd as epmd;
pub use spawn_error::{ErpcError, Raised, SpawnError};
pub use tls::{KeyPassword, TlsConfig, TlsFileError, TlsRole, TlsVersions};

// The examples of the page that registries show are tried with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
