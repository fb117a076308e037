//! Processes that other nodes ask for: they run a function of ours, and end with what
//! it gave as their reason.

use std::sync::Arc;

use bytes::Bytes;

use super::functions::Function;
use super::outcome::{Outcome, SYSTEM_LIMIT};
use super::performing::{Call, arguments, run};
use super::{Place, Served};
use crate::MailboxEnded;
use crate::link::{Body, Control, LinkId, Spawn, signals};
use crate::node::processes::{Arrival, Inbox, Opened, raw};
use crate::node::{Inner, Links};
use crate::terms::RawTerm;

const ATOM_NOTSUP: &[u8] = b"\x77\x06notsup";
const ATOM_BADOPT: &[u8] = b"\x77\x06badopt";
/// What may wait for such a process, and what is kept of those that monitor it. It takes
/// messages and drops them.
const INBOX: usize = 64 * 1024;
/// Options of a request; a BEAM sends a handful.
const MAX_OPTIONS: usize = 64;

/// What a process is to do.
enum Job {
    /// `erpc:execute_call(Ref, M, F, A)`: somebody waits for how it ends.
    Call,
    /// `erpc:execute_cast(M, F, A)`.
    Cast,
    /// A function of ours itself.
    Plain(Function),
}

impl Job {
    fn of(served: &Served, function: RawTerm<'_>) -> Option<Self> {
        let [module, name, arity] = function.tuple()?;
        match (module.atom()?, name.atom()?, arity.unsigned()?) {
            ("erpc", "execute_call", 4) => Some(Self::Call),
            ("erpc", "execute_cast", 3) => Some(Self::Cast),
            (module, name, _) => served.functions.get(module, name).map(Self::Plain),
        }
    }

    /// Does it; returns the reason with which the process ends.
    async fn perform(self, served: &Served, args: &[u8], place: Arc<Place>) -> Vec<u8> {
        let args = RawTerm::unscanned(args);
        let bad = || Outcome::badarg(vec![106]).exit_reason();
        match self {
            Self::Call => {
                let Some([reference, call @ ..]) = elements::<4>(args) else {
                    return bad();
                };
                let outcome = Call::of(call).perform(&served.functions, place).await;
                outcome.erpc_reason(reference.bytes())
            }
            Self::Cast => {
                let Some(call) = elements::<3>(args) else {
                    return bad();
                };
                let outcome = Call::of(call).perform(&served.functions, place).await;
                outcome.exit_reason()
            }
            Self::Plain(function) => match arguments(args) {
                Some(args) => {
                    let result = run(function, args, place).await;
                    Outcome::of(&result, vec![106]).exit_reason()
                }
                None => bad(),
            },
        }
    }
}

fn elements<const N: usize>(list: RawTerm<'_>) -> Option<[RawTerm<'_>; N]> {
    list.list(N)?.try_into().ok()
}

/// How the one that asks wants to be bound to the new process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bonds {
    link: bool,
    monitor: bool,
}

impl Bonds {
    /// From a list of options; all others are about memory and schedulers.
    fn of(options: RawTerm<'_>) -> Option<Self> {
        let mut bonds = Self::default();
        for option in options.list(MAX_OPTIONS)? {
            let name = option.tuple::<2>().map_or(option, |[name, _]| name);
            bonds.link |= name.is_atom("link");
            bonds.monitor |= name.is_atom("monitor");
        }
        Some(bonds)
    }

    fn flags(self) -> u8 {
        let link = if self.link { signals::LINKED } else { 0 };
        let monitor = if self.monitor { signals::MONITORED } else { 0 };
        link | monitor
    }
}

impl Inner {
    /// Answers a spawn request under the lock, so that nothing of the process comes
    /// before the answer. `false` if nothing is served here.
    pub(in crate::node) fn on_spawn(&self, link: LinkId, spawn: &Spawn<'_>) -> bool {
        let mut links = self.links();
        let reply = links.spawn_here(link, spawn);
        let is_served = reply.is_some();
        links.post(reply.map(|reply| (link, reply)));
        is_served
    }
}

impl Links {
    /// Begins a process for another node; returns the answer to its request. `None` if
    /// nothing is served here.
    pub(in crate::node) fn spawn_here(&mut self, link: LinkId, spawn: &Spawn<'_>) -> Option<Bytes> {
        let served = self.served.clone()?;
        let (flags, result) = match self.begin(&served, link, spawn) {
            Ok((bonds, pid)) => (bonds.flags(), pid),
            Err(reason) => (0, reason.to_vec()),
        };
        let (request, from) = (spawn.request.bytes(), spawn.from.bytes());
        Some(signals::spawn_reply(request, from, flags, &result))
    }

    fn begin(
        &mut self,
        served: &Arc<Served>,
        link: LinkId,
        spawn: &Spawn<'_>,
    ) -> Result<(Bonds, Vec<u8>), &'static [u8]> {
        let inner = served.inner.upgrade().ok_or(ATOM_NOTSUP)?;
        let job = Job::of(served, spawn.function).ok_or(ATOM_NOTSUP)?;
        let bonds = Bonds::of(spawn.options).ok_or(ATOM_BADOPT)?;
        let args = spawn.args.bytes();
        let place = served.place(args.len()).ok_or(SYSTEM_LIMIT)?;
        // Under the lock: what `stop` did not see must not live behind it.
        if inner.stopped.is_cancelled() {
            return Err(ATOM_NOTSUP);
        }
        let identity = inner.identity.get().ok_or(ATOM_NOTSUP)?;
        let opened = self.processes.open(identity, None, INBOX);
        let Opened { number, pid, inbox } = opened.map_err(|_| ATOM_NOTSUP)?;
        let pid = raw(pid);
        self.bind(link, spawn, bonds, (number, &pid));
        let process = Spawned {
            inner: inner.clone(),
            served: served.clone(),
            link,
            number,
            inbox,
            place: Arc::new(place),
        };
        served.spawn(&inner, process.live(job, Bytes::copy_from_slice(args)));
        Ok((bonds, pid))
    }

    /// As if the signals for it had come.
    fn bind(&mut self, link: LinkId, spawn: &Spawn<'_>, bonds: Bonds, process: (u32, &[u8])) {
        let (number, pid) = process;
        let (from, to) = (spawn.from, RawTerm::unscanned(pid));
        // Of these signals nothing is kept.
        let body = Body::Borrowed(&[]);
        if bonds.monitor {
            let monitor = Control::Monitor {
                from,
                to,
                reference: spawn.request,
            };
            self.processes.signal(number, link, &monitor, body);
        }
        if bonds.link {
            let linked = Control::Link { from, to };
            self.processes.signal(number, link, &linked, body);
        }
    }
}

/// A process for another node.
struct Spawned {
    inner: Arc<Inner>,
    served: Arc<Served>,
    link: LinkId,
    number: u32,
    inbox: Arc<Inbox>,
    place: Arc<Place>,
}

impl Spawned {
    async fn live(self, job: Job, args: Bytes) {
        let reason = tokio::select! {
            biased;
            reason = ending(&self.inbox) => match reason {
                Ok(reason) => reason.to_vec(),
                // Killed: all is told.
                Err(_) => return,
            },
            reason = job.perform(&self.served, &args, self.place.clone()) => reason,
        };
        drop(args);
        let sender = self.inner.links().senders.get(&self.link).cloned();
        // Who reads nothing for so long loses the link, and keeps no place from others.
        if let Some(sender) = sender {
            let patience = self.inner.config.net_ticktime;
            let _ = tokio::time::timeout(patience, sender.room()).await;
        }
        self.inner.links().end_process(self.number, &reason);
        drop(self.place);
    }
}

/// Waits for a signal that ends a process that traps no exits.
async fn ending(inbox: &Inbox) -> Result<Bytes, MailboxEnded> {
    loop {
        match inbox.pop().await? {
            Arrival::Exit { reason, .. } | Arrival::LinkBroken { reason, .. }
                if !RawTerm::unscanned(&reason).is_atom("normal") =>
            {
                return Ok(reason);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bonds_are_found_among_other_options() {
        let bonds =
            |bytes| Bonds::of(RawTerm::unscanned(bytes)).map(|bonds| (bonds.link, bonds.monitor));
        assert_eq!(bonds(&[106]), Some((false, false)));
        let both = b"\x6c\0\0\0\x03\x77\x04link\x68\x02\x77\x08priority\x77\x03low\x68\x02\x77\x07monitor\x6a\x6a";
        assert_eq!(bonds(both), Some((true, true)));
        assert_eq!(
            bonds(b"\x6c\0\0\0\x01\x77\x07monitor\x6a"),
            Some((false, true))
        );
        assert_eq!(bonds(&[97, 1]), None);
    }
}
