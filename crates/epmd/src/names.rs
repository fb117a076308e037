//! The names that EPMD holds, and those that it held.
//!
//! Lists are in the order of OTP's EPMD: the newest first, and of those that are gone
//! the oldest first.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::codec::{self, NodeInfo};
use crate::roll::Roll;

/// How many names that are gone are left when another comes, as with OTP's EPMD; only
/// under `-d` that keeps five.
const MAX_UNUSED: usize = 1000;
/// Smaller creations are those of old nodes.
const FIRST_CREATION: u32 = 4;
/// Old nodes see a creation modulo this.
const SHORT_CREATIONS: u32 = 3;

/// One registration, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(u64);

#[derive(Debug)]
pub(crate) struct Names {
    active: Roll<Active>,
    /// In the order in which they went.
    unused: Roll<Unused>,
    last_creation: u32,
    /// Made when it is asked for, and kept until something changes.
    listing: Option<Bytes>,
}

#[derive(Debug)]
struct Active {
    creation: u32,
    port: u16,
    connection: i32,
    /// What whoever asks for it is told.
    reply: Bytes,
}

#[derive(Debug)]
struct Unused {
    creation: u32,
    port: u16,
    connection: i32,
}

impl Names {
    /// Two that run one after the other should begin at different creations.
    pub(crate) fn new(first_creation: u32) -> Self {
        Self {
            active: Roll::default(),
            unused: Roll::default(),
            last_creation: first_creation,
            listing: None,
        }
    }

    /// Enters a name that nobody has; returns its creation. `None` if it is taken.
    pub(crate) fn register(
        &mut self,
        info: &NodeInfo<'_>,
        connection: i32,
    ) -> Option<(RegistrationId, u32)> {
        if self.active.get(info.name).is_some() {
            return None;
        }
        let before = self.unused.remove(info.name);
        let creation = self.next_creation(before.map(|(_, before)| before.creation));
        let active = Active {
            creation,
            port: info.port,
            connection,
            reply: codec::encode_port2(info),
        };
        let id = RegistrationId(self.active.push(info.name.into(), active));
        if self.unused.len() > MAX_UNUSED {
            self.unused.pop_first();
        }
        self.listing = None;
        Some((id, creation))
    }

    /// Takes a registration away. One that is gone already is no matter.
    pub(crate) fn unregister(&mut self, RegistrationId(id): RegistrationId) {
        if let Some((name, active)) = self.active.remove_at(id) {
            self.retire(name, &active);
        }
    }

    /// Takes the registration of a name away, if there is one; returns the connection
    /// that has held it.
    pub(crate) fn unregister_name(&mut self, name: &[u8]) -> Option<i32> {
        let (name, active) = self.active.remove(name)?;
        self.retire(name, &active);
        Some(active.connection)
    }

    /// PORT2_RESP for a name.
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<Bytes> {
        self.active.get(name).map(|active| active.reply.clone())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.len() == 0
    }

    /// NAMES_RESP of an EPMD at this port.
    pub(crate) fn listing(&mut self, port: u16) -> Bytes {
        let active = &self.active;
        let make = || {
            let mut lines = BytesMut::from(&codec::encode_names_head(port)[..]);
            for (name, active) in active.iter().rev() {
                codec::names_line(&mut lines, name, active.port);
            }
            lines.freeze()
        };
        self.listing.get_or_insert_with(make).clone()
    }

    /// The answer to a dump, for people who look for a fault.
    pub(crate) fn dump(&self, port: u16) -> Bytes {
        let mut text = BytesMut::from(&codec::encode_names_head(port)[..]);
        for (name, active) in self.active.iter().rev() {
            let (port, fd) = (active.port, active.connection);
            text.put_slice(b"active name     <");
            text.put_slice(name);
            text.put_slice(format!("> at port {port}, fd = {fd}\n\0").as_bytes());
        }
        for (name, unused) in self.unused.iter() {
            let (port, fd) = (unused.port, unused.connection);
            text.put_slice(b"old/unused name <");
            text.put_slice(name);
            text.put_slice(format!(">, port = {port}, fd = {fd} \n\0").as_bytes());
        }
        text.freeze()
    }

    fn retire(&mut self, name: Arc<[u8]>, active: &Active) {
        let unused = Unused {
            creation: active.creation,
            port: active.port,
            connection: active.connection,
        };
        self.unused.push(name, unused);
        self.listing = None;
    }

    /// A new one each time, also in the two bits that old nodes see of it.
    fn next_creation(&mut self, before: Option<u32>) -> u32 {
        let next = |creation: u32| creation.checked_add(1).unwrap_or(FIRST_CREATION);
        let mut creation = next(self.last_creation).max(FIRST_CREATION);
        if before.is_some_and(|before| before % SHORT_CREATIONS == creation % SHORT_CREATIONS) {
            creation = next(creation);
        }
        self.last_creation = creation;
        creation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{HIDDEN_NODE, TCP_IPV4};

    fn info(name: &str) -> NodeInfo<'_> {
        NodeInfo {
            name: name.as_bytes(),
            port: 9,
            node_type: HIDDEN_NODE,
            protocol: TCP_IPV4,
            highest_version: 6,
            lowest_version: 6,
            extra: b"",
        }
    }

    #[test]
    fn name_is_free_again_once_it_is_gone() {
        let mut names = Names::new(7);
        let (id, _) = names.register(&info("a"), 1).unwrap();
        assert_eq!(names.register(&info("a"), 2), None);
        names.unregister(id);
        assert!(names.is_empty() && names.lookup(b"a").is_none());
        names.register(&info("a"), 2).unwrap();
        // The end of the first life must not end the second.
        names.unregister(id);
        assert!(names.lookup(b"a").is_some());
        assert_eq!(names.unregister_name(b"a"), Some(2));
        assert!(names.is_empty());
    }

    #[test]
    fn every_life_has_another_creation_in_both_forms() {
        let mut names = Names::new(u32::MAX - 5);
        let mut before = 0;
        for life in 0..20 {
            let (id, creation) = names.register(&info("a"), 1).unwrap();
            assert!(creation >= FIRST_CREATION);
            if life > 0 {
                assert_ne!(creation % SHORT_CREATIONS, before % SHORT_CREATIONS);
            }
            before = creation;
            // Others come and go between.
            for other in 0..life % 3 {
                names.register(&info(&format!("b{life}-{other}")), 1);
            }
            names.unregister(id);
        }
    }

    #[test]
    fn lists_the_newest_first_and_the_gone_in_the_order_they_went() {
        let mut names = Names::new(7);
        let ids: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| names.register(&info(name), 5).unwrap().0)
            .into();
        assert_eq!(
            names.listing(1)[4..],
            *b"name d at port 9\nname c at port 9\nname b at port 9\nname a at port 9\n"
        );
        names.unregister(ids[2]);
        names.unregister(ids[0]);
        let expected = "active name     <d> at port 9, fd = 5\n\0\
                        active name     <b> at port 9, fd = 5\n\0\
                        old/unused name <c>, port = 9, fd = 5 \n\0\
                        old/unused name <a>, port = 9, fd = 5 \n\0";
        assert_eq!(names.dump(1)[4..], *expected.as_bytes());
        assert_eq!(
            names.listing(1)[4..],
            *b"name d at port 9\nname b at port 9\n"
        );
    }

    #[test]
    fn the_gone_are_bounded() {
        let mut names = Names::new(7);
        for number in 0..3 * MAX_UNUSED {
            let (id, _) = names.register(&info(&format!("n{number}")), 1).unwrap();
            names.unregister(id);
        }
        assert_eq!(names.unused.len(), MAX_UNUSED + 1);
        names.register(&info("another"), 1).unwrap();
        assert_eq!(names.unused.len(), MAX_UNUSED);
    }
}
