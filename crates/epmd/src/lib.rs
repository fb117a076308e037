//! The Erlang Port Mapper Daemon: who on this host listens on which port.
//!
//! [`codec`] has the protocol's bytes for both sides. [`register`], [`lookup`] and
//! [`names`] ask an EPMD, each within a deadline and a bound on bytes.
//! [`serve`] is an EPMD: what it answers is decided by [`Mapper`], without a socket
//! or a clock, and answers, refuses and closes as OTP's does.
//!
//! Sources: erl_dist_protocol, "EPMD Protocol", and OTP's daemon itself, which
//! `tests/like_otp` compares with this one.

mod bind;
mod client;
pub mod codec;
mod connection;
mod held;
mod mapper;
mod names;
mod roll;
mod server;
mod unfinished;
mod watched;

pub use bind::{BindError, bind, parse_addresses};
pub use client::{
    EpmdError, Registration, UNREACHABLE_REMEDY, ask, lookup, names, names_unhurried, register,
};
pub use mapper::{Answer, Asker, Commands, Mapper, Then};
pub use names::RegistrationId;
pub use server::{ServerConfig, serve};

/// EPMD's port, unless `ERL_EPMD_PORT` says otherwise.
pub const DEFAULT_PORT: u16 = 4369;

// The examples of the page that registries show are tried with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
