//! The names that EPMD holds, and those that it held.
//!
//! Finding a name costs the same however many there are. Lists are in the order of
//! OTP's EPMD: the newest first, and of those that are gone the oldest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::codec::{self, NodeInfo};

/// How many names that are gone are remembered, as OTP's EPMD does.
const MAX_UNUSED: usize = 1001;
/// Smaller creations are those of old nodes.
const FIRST_CREATION: u32 = 4;
/// Old nodes see a creation modulo this.
const SHORT_CREATIONS: u32 = 3;

/// One registration, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(u64);

#[derive(Debug)]
pub(crate) struct Names {
    active: HashMap<Arc<[u8]>, Active>,
    order: BTreeMap<Reverse<RegistrationId>, Arc<[u8]>>,
    unused: HashMap<Arc<[u8]>, Unused>,
    /// By when they went.
    unused_order: BTreeMap<u64, Arc<[u8]>>,
    last_id: u64,
    last_creation: u32,
    /// Made when it is asked for, and kept until something changes.
    listing: Option<Bytes>,
}

#[derive(Debug)]
struct Active {
    id: RegistrationId,
    creation: u32,
    port: u16,
    connection: i32,
    /// What whoever asks for it is told.
    reply: Bytes,
}

#[derive(Debug)]
struct Unused {
    gone: u64,
    creation: u32,
    port: u16,
    connection: i32,
}

impl Names {
    /// Two that run one after the other should begin at different creations.
    pub(crate) fn new(first_creation: u32) -> Self {
        Self {
            active: HashMap::new(),
            order: BTreeMap::new(),
            unused: HashMap::new(),
            unused_order: BTreeMap::new(),
            last_id: 0,
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
        if self.active.contains_key(info.name) {
            return None;
        }
        let name: Arc<[u8]> = info.name.into();
        let before = self.unused.remove(&name);
        if let Some(before) = &before {
            self.unused_order.remove(&before.gone);
        }
        let creation = self.next_creation(before.map(|before| before.creation));
        let id = RegistrationId(self.next_id());
        let active = Active {
            id,
            creation,
            port: info.port,
            connection,
            reply: codec::encode_port2(info),
        };
        self.order.insert(Reverse(id), name.clone());
        self.active.insert(name, active);
        self.forget_the_oldest();
        self.listing = None;
        Some((id, creation))
    }

    /// Takes a registration away. One that is gone already is no matter.
    pub(crate) fn unregister(&mut self, id: RegistrationId) {
        if let Some(name) = self.order.remove(&Reverse(id)) {
            self.retire(name);
        }
    }

    /// Takes the registration of a name away, if there is one.
    pub(crate) fn unregister_name(&mut self, name: &[u8]) -> Option<RegistrationId> {
        let id = self.active.get(name)?.id;
        self.unregister(id);
        Some(id)
    }

    /// PORT2_RESP for a name.
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<Bytes> {
        self.active.get(name).map(|active| active.reply.clone())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// NAMES_RESP of an EPMD at this port.
    pub(crate) fn listing(&mut self, port: u16) -> Bytes {
        let Self {
            active,
            order,
            listing,
            ..
        } = self;
        let make = || {
            let mut lines = BytesMut::from(&codec::encode_names_head(port)[..]);
            for (name, active) in in_order(active, order.values()) {
                codec::names_line(&mut lines, name, active.port);
            }
            lines.freeze()
        };
        listing.get_or_insert_with(make).clone()
    }

    /// The answer to a dump, for people who look for a fault.
    pub(crate) fn dump(&self, port: u16) -> Bytes {
        let mut text = BytesMut::from(&codec::encode_names_head(port)[..]);
        for (name, active) in in_order(&self.active, self.order.values()) {
            let (port, fd) = (active.port, active.connection);
            text.put_slice(b"active name     <");
            text.put_slice(name);
            text.put_slice(format!("> at port {port}, fd = {fd}\n\0").as_bytes());
        }
        for (name, unused) in in_order(&self.unused, self.unused_order.values()) {
            let (port, fd) = (unused.port, unused.connection);
            text.put_slice(b"old/unused name <");
            text.put_slice(name);
            text.put_slice(format!(">, port = {port}, fd = {fd} \n\0").as_bytes());
        }
        text.freeze()
    }

    fn retire(&mut self, name: Arc<[u8]>) {
        let Some(active) = self.active.remove(&name) else {
            return;
        };
        let unused = Unused {
            gone: self.next_id(),
            creation: active.creation,
            port: active.port,
            connection: active.connection,
        };
        self.unused_order.insert(unused.gone, name.clone());
        self.unused.insert(name, unused);
        self.listing = None;
    }

    fn forget_the_oldest(&mut self) {
        while self.unused.len() > MAX_UNUSED
            && let Some((_, name)) = self.unused_order.pop_first()
        {
            self.unused.remove(&name);
        }
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

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

fn in_order<'a, T>(
    names: &'a HashMap<Arc<[u8]>, T>,
    order: impl Iterator<Item = &'a Arc<[u8]>>,
) -> impl Iterator<Item = (&'a [u8], &'a T)> {
    order.filter_map(|name| Some((&**name, names.get(name)?)))
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
        let (again, _) = names.register(&info("a"), 2).unwrap();
        // The end of the first life must not end the second.
        names.unregister(id);
        assert!(names.lookup(b"a").is_some());
        assert_eq!(names.unregister_name(b"a"), Some(again));
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
        assert!(names.unused.len() <= MAX_UNUSED + 1);
        assert_eq!(names.unused.len(), names.unused_order.len());
    }
}
