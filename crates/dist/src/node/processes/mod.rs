//! Who lives on this node, by pid number, by name and by alias.
//!
//! Pure: signals in, signals out. Watches have pids too; what they do with what
//! comes is theirs.

mod inbox;
mod process;

use std::sync::Arc;

use eetf::Pid;

use super::{Identity, QuickMap, own_pid};
use crate::link::{Body, Control, LinkId};
use crate::terms::{self, Term};
use crate::{MailboxEnded, RegisterError};
pub(super) use inbox::{Arrival, Inbox};
pub(super) use process::{Outgoing, Process, SpawnRequest, identifier};

const ATOM_KILLED: &[u8] = b"\x77\x06killed";
/// Bytes of a registered name: an atom that every release takes.
const MAX_NAME: usize = 255;

#[derive(Default)]
pub(super) struct Processes {
    /// Which life of the node this is; 0 before the first process.
    creation: u32,
    /// How many pids there were.
    count: u64,
    living: QuickMap<u32, Resident>,
    names: QuickMap<String, u32>,
    aliases: QuickMap<u64, u32>,
}

enum Resident {
    Watch,
    Process(Box<Process>),
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver<'a> {
    Number(u32),
    Name(&'a str),
    Alias(u64),
}

/// A process that has just begun.
pub(super) struct Opened {
    pub(super) number: u32,
    pub(super) pid: Pid,
    pub(super) inbox: Arc<Inbox>,
}

impl Processes {
    /// A number that nobody has.
    fn next_number(&mut self) -> u32 {
        loop {
            let number = own_pid::nth_number(self.count);
            self.count += 1;
            if !self.living.contains_key(&number) {
                return number;
            }
        }
    }

    pub(super) fn open_watch(&mut self) -> u32 {
        let number = self.next_number();
        self.living.insert(number, Resident::Watch);
        number
    }

    pub(super) fn close_watch(&mut self, number: u32) {
        self.living.remove(&number);
    }

    /// Begins a process; `limit` bounds what waits for it, in bytes.
    pub(super) fn open(
        &mut self,
        identity: &Identity,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Opened, RegisterError> {
        if let Some(name) = name {
            self.check_name(name)?;
        }
        self.creation = identity.creation;
        let number = self.next_number();
        let pid = own_pid::pid(identity, number);
        let process = Process::new(raw(pid.clone()), name.map(str::to_owned), limit);
        let inbox = process.inbox.clone();
        if let Some(name) = name {
            self.names.insert(name.to_owned(), number);
        }
        let process = Resident::Process(Box::new(process));
        self.living.insert(number, process);
        Ok(Opened { number, pid, inbox })
    }

    fn check_name(&self, name: &str) -> Result<(), RegisterError> {
        // `undefined` is what a BEAM says for no name; net_kernel answers for the node.
        let is_reserved = matches!(name, "" | "undefined" | "net_kernel");
        if is_reserved || name.len() > MAX_NAME {
            return Err(RegisterError::BadName(name.to_owned()));
        }
        if self.names.contains_key(name) {
            return Err(RegisterError::NameTaken(name.to_owned()));
        }
        Ok(())
    }

    pub(super) fn creation(&self) -> u32 {
        self.creation
    }

    pub(super) fn lives(&self, number: u32) -> bool {
        self.living.contains_key(&number)
    }

    /// The process that a signal is for, unless it is for nobody or for a watch.
    pub(super) fn find(&self, receiver: Receiver<'_>) -> Option<u32> {
        let number = match receiver {
            Receiver::Number(number) => number,
            Receiver::Name(name) => *self.names.get(name)?,
            Receiver::Alias(alias) => *self.aliases.get(&alias)?,
        };
        matches!(self.living.get(&number), Some(Resident::Process(_))).then_some(number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Process> {
        match self.living.get_mut(&number)? {
            Resident::Process(process) => Some(process),
            Resident::Watch => None,
        }
    }

    /// Hands a signal to a process; returns what follows from it.
    pub(super) fn signal(
        &mut self,
        number: u32,
        link: LinkId,
        control: &Control<'_>,
        body: Body<'_>,
    ) -> Vec<Outgoing> {
        let Some(process) = self.get_mut(number) else {
            return Vec::new();
        };
        match process.signal(link, control, body) {
            Ok(owed) => owed.map(|frame| (link, frame)).into_iter().collect(),
            Err(ended) => self.kill(number, ended),
        }
    }

    pub(super) fn add_alias(&mut self, number: u32, alias: u64) {
        if let Some(process) = self.get_mut(number) {
            process.aliases.insert(alias);
            self.aliases.insert(alias, number);
        }
    }

    /// `false` if the process has no such alias.
    pub(super) fn remove_alias(&mut self, number: u32, alias: u64) -> bool {
        let process = self.get_mut(number);
        let had = process.is_some_and(|process| process.aliases.remove(&alias));
        if had {
            self.aliases.remove(&alias);
        }
        had
    }

    /// Ends a process that did not want to.
    pub(super) fn kill(&mut self, number: u32, ended: MailboxEnded) -> Vec<Outgoing> {
        self.end(number, ATOM_KILLED, ended)
    }

    /// Ends a process; others hear of it for this reason.
    pub(super) fn end(&mut self, number: u32, reason: &[u8], ended: MailboxEnded) -> Vec<Outgoing> {
        if self.get_mut(number).is_none() {
            return Vec::new();
        }
        let Some(Resident::Process(process)) = self.living.remove(&number) else {
            return Vec::new();
        };
        process.inbox.end(ended);
        if let Some(name) = &process.name {
            self.names.remove(name);
        }
        for alias in &process.aliases {
            self.aliases.remove(alias);
        }
        process.farewell(reason)
    }

    /// Ends all, with the node.
    pub(super) fn end_all(&mut self, ended: MailboxEnded) {
        for number in self.numbers() {
            self.kill(number, ended);
        }
    }

    /// Tells all that a link is gone.
    pub(super) fn link_lost(&mut self, link: LinkId) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        for number in self.numbers() {
            let lost = self.get_mut(number).map(|process| process.link_lost(link));
            if let Some(Err(ended)) = lost {
                outgoing.extend(self.kill(number, ended));
            }
        }
        outgoing
    }

    /// In the order in which they began: whoever ends later hears of the others' end.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<_> = self.living.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }
}

/// A term of ours as its bytes, without a version byte. Pids, references and short
/// atoms always have some.
pub(super) fn raw(term: impl Into<Term>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match terms::write(&mut bytes, &term.into()) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Any signal, to a process that has nothing to do with anybody.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_signal(control: &Control<'_>, body: &[u8]) {
    let Ok(name) = "m@h".parse() else {
        return;
    };
    let identity = Identity { name, creation: 5 };
    let mut processes = Processes::default();
    if let Ok(opened) = processes.open(&identity, None, 4096) {
        processes.signal(opened.number, LinkId(1), control, Body::Borrowed(body));
        processes.link_lost(LinkId(1));
    }
}

#[cfg(test)]
mod tests;
