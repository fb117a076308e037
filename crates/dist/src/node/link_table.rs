//! Who is linked, who is being dialled, and what a newcomer is told.
//!
//! Pure: it settles simultaneous connects by the rule of the handshake
//! (erl_dist_protocol, step 3: the greater name's dial goes on), and four of its
//! own. While a peer's own dial is under way ours waits for it: of two that cross a
//! BEAM drops one, and with it whoever waits for the link. `nok` makes a BEAM wait, so
//! it is said only while our own dial is really under way, that is, after our name has
//! been sent. A name is a mere claim, so a dial gives way only for a while: then it is
//! determined, and goes on beside claimants; once its name is sent they are told `nok`. And
//! the link that was proven last is the one that counts: the peer has proven that it lives
//! there.

use std::collections::BTreeMap;

use pgmesh_name::NodeName;

use crate::handshake::Status;
use crate::link::LinkId;

/// Names one attempt to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt(pub(crate) u64);

#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    entries: BTreeMap<NodeName, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    dial: Option<Dial>,
    link: Option<LinkId>,
    /// Handshakes that were told to go on and have not ended.
    offers: usize,
}

#[derive(Debug)]
struct Dial {
    attempt: Attempt,
    name_sent: bool,
    determined: bool,
}

/// Why there is nothing to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Linked,
    Dialling,
    /// The peer dials us, and has been told to go on.
    Offered,
}

/// What a newcomer is told, and which dial of ours that ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) superseded: Option<Attempt>,
}

/// Whether a link may come of a handshake that was told this.
pub(crate) fn goes_on(status: &Status) -> bool {
    matches!(status, Status::Ok | Status::OkSimultaneous | Status::Alive)
}

impl LinkTable {
    /// Begins to dial, unless that is needless. A determined dial waits for nobody
    /// and gives way to nobody.
    pub(crate) fn start_dial(
        &mut self,
        peer: &NodeName,
        attempt: Attempt,
        determined: bool,
    ) -> Result<(), Busy> {
        let entry = self.entries.entry(peer.clone()).or_default();
        if entry.link.is_some() {
            return Err(Busy::Linked);
        }
        if entry.dial.is_some() {
            return Err(Busy::Dialling);
        }
        if entry.offers > 0 && !determined {
            return Err(Busy::Offered);
        }
        entry.dial = Some(Dial {
            attempt,
            name_sent: false,
            determined,
        });
        Ok(())
    }

    /// Our name is about to be sent; `false` if the dial was superseded, or a link has
    /// come up beside it.
    pub(crate) fn send_name(&mut self, peer: &NodeName, attempt: Attempt) -> bool {
        if self.link(peer.as_str()).is_some() {
            return false;
        }
        match self.dial_mut(peer, attempt) {
            Some(dial) => {
                dial.name_sent = true;
                true
            }
            None => false,
        }
    }

    /// Whether a dial that met `alive` should go on: it should, unless a link of
    /// ours came up meanwhile, for then the peer is right.
    pub(crate) fn wants_link(&self, peer: &NodeName) -> bool {
        self.link(peer.as_str()).is_none()
    }

    /// Ends a dial, however it went.
    pub(crate) fn end_dial(&mut self, peer: &NodeName, attempt: Attempt) {
        if self.dial_mut(peer, attempt).is_some()
            && let Some(entry) = self.entries.get_mut(peer)
        {
            entry.dial = None;
            self.drop_empty(peer);
        }
    }

    /// Judges a newcomer by its name.
    pub(crate) fn on_offer(&mut self, own: &NodeName, peer: &NodeName) -> Verdict {
        let status = match self.entries.get(peer) {
            _ if own == peer => Status::NotAllowed,
            None => Status::Ok,
            Some(Entry { link: Some(_), .. }) => Status::Alive,
            Some(Entry {
                dial: Some(dial), ..
            }) if dial.name_sent => {
                if peer > own && !dial.determined {
                    Status::OkSimultaneous
                } else {
                    Status::Nok
                }
            }
            Some(_) => Status::Ok,
        };
        let gives_way = matches!(status, Status::Ok | Status::OkSimultaneous);
        let superseded = gives_way.then(|| self.give_way(peer)).flatten();
        if goes_on(&status) {
            self.entries.entry(peer.clone()).or_default().offers += 1;
        }
        Verdict { status, superseded }
    }

    /// A handshake that [`goes_on`] is over.
    pub(crate) fn end_offer(&mut self, peer: &NodeName) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.offers = entry.offers.saturating_sub(1);
            self.drop_empty(peer);
        }
    }

    /// Whether a link may still come of what is under way.
    pub(crate) fn is_pending(&self, peer: &NodeName) -> bool {
        let entry = self.entries.get(peer);
        entry.is_some_and(|entry| entry.offers > 0 || entry.dial.is_some())
    }

    /// A link has been proven; returns the one that it replaces. `None` if it is
    /// the outcome of a dial that was superseded meanwhile.
    pub(crate) fn link_up(
        &mut self,
        peer: &NodeName,
        link: LinkId,
        dialled: Option<Attempt>,
    ) -> Option<Option<LinkId>> {
        if let Some(attempt) = dialled {
            self.dial_mut(peer, attempt)?;
            self.take_dial(peer);
        }
        let entry = self.entries.entry(peer.clone()).or_default();
        Some(entry.link.replace(link))
    }

    /// A link is gone; `false` if another had taken its place.
    pub(crate) fn link_down(&mut self, peer: &NodeName, link: LinkId) -> bool {
        let Some(entry) = self.entries.get_mut(peer) else {
            return false;
        };
        if entry.link != Some(link) {
            return false;
        }
        entry.link = None;
        self.drop_empty(peer);
        true
    }

    pub(crate) fn link(&self, peer: &str) -> Option<LinkId> {
        self.entries.get(peer)?.link
    }

    /// Everybody who is linked, in order.
    pub(crate) fn linked(&self) -> impl Iterator<Item = &NodeName> {
        let linked = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.link.is_some());
        linked.map(|(name, _)| name)
    }

    fn dial_mut(&mut self, peer: &NodeName, attempt: Attempt) -> Option<&mut Dial> {
        let dial = self.entries.get_mut(peer)?.dial.as_mut()?;
        (dial.attempt == attempt).then_some(dial)
    }

    /// Ends a dial of ours for the peer's own, unless it is determined.
    fn give_way(&mut self, peer: &NodeName) -> Option<Attempt> {
        let dial = self.entries.get(peer)?.dial.as_ref()?;
        if dial.determined {
            return None;
        }
        self.take_dial(peer)
    }

    fn take_dial(&mut self, peer: &NodeName) -> Option<Attempt> {
        let dial = self.entries.get_mut(peer)?.dial.take()?;
        self.drop_empty(peer);
        Some(dial.attempt)
    }

    fn drop_empty(&mut self, peer: &NodeName) {
        let is_empty =
            |entry: &Entry| entry.link.is_none() && entry.dial.is_none() && entry.offers == 0;
        if self.entries.get(peer).is_some_and(is_empty) {
            self.entries.remove(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIAL: Attempt = Attempt(1);

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn dialling(peer: &NodeName, name_sent: bool) -> LinkTable {
        let mut table = LinkTable::default();
        table.start_dial(peer, DIAL, false).unwrap();
        if name_sent {
            assert!(table.send_name(peer, DIAL));
        }
        table
    }

    fn told(table: &mut LinkTable, peer: &NodeName) -> (Status, Option<Attempt>) {
        let verdict = table.on_offer(&name("m@h"), peer);
        (verdict.status, verdict.superseded)
    }

    #[test]
    fn simultaneous_connect_goes_to_the_greater_name() {
        let (less, greater) = (name("a@h"), name("z@h"));
        let mut table = dialling(&greater, true);
        assert_eq!(
            told(&mut table, &greater),
            (Status::OkSimultaneous, Some(DIAL))
        );
        assert_eq!(
            table.link_up(&greater, LinkId(1), Some(DIAL)),
            None,
            "superseded"
        );
        let mut table = dialling(&less, true);
        assert_eq!(told(&mut table, &less), (Status::Nok, None));
        assert_eq!(table.link_up(&less, LinkId(1), Some(DIAL)), Some(None));
    }

    #[test]
    fn dial_that_has_not_said_its_name_gives_way() {
        for peer in [name("a@h"), name("z@h")] {
            let mut table = dialling(&peer, false);
            assert_eq!(told(&mut table, &peer), (Status::Ok, Some(DIAL)));
            assert!(!table.send_name(&peer, DIAL));
        }
    }

    #[test]
    fn linked_peer_is_told_alive_and_replaces_its_link() {
        let peer = name("a@h");
        let mut table = LinkTable::default();
        assert_eq!(table.link_up(&peer, LinkId(1), None), Some(None));
        assert_eq!(told(&mut table, &peer), (Status::Alive, None));
        table.end_offer(&peer);
        assert_eq!(table.start_dial(&peer, DIAL, false), Err(Busy::Linked));
        assert_eq!(table.link_up(&peer, LinkId(2), None), Some(Some(LinkId(1))));
        assert!(
            !table.link_down(&peer, LinkId(1)),
            "the old one's end is no end"
        );
        assert_eq!(table.link(peer.as_str()), Some(LinkId(2)));
        assert!(table.link_down(&peer, LinkId(2)));
        assert!(table.entries.is_empty());
    }

    #[test]
    fn determined_dial_gives_way_to_nobody() {
        for peer in [name("a@h"), name("z@h")] {
            let mut table = LinkTable::default();
            table.start_dial(&peer, DIAL, true).unwrap();
            // Until our name is sent the peer would wait for nothing, told `nok`.
            assert_eq!(told(&mut table, &peer), (Status::Ok, None));
            assert!(table.send_name(&peer, DIAL));
            assert_eq!(told(&mut table, &peer), (Status::Nok, None));
            assert_eq!(table.link_up(&peer, LinkId(1), None), Some(None));
            let replaced = table.link_up(&peer, LinkId(2), Some(DIAL));
            assert_eq!(replaced, Some(Some(LinkId(1))));
        }
    }

    #[test]
    fn determined_dial_is_needless_once_the_peers_own_has_brought_a_link() {
        let peer = name("z@h");
        let mut table = LinkTable::default();
        table.start_dial(&peer, DIAL, true).unwrap();
        told(&mut table, &peer);
        table.link_up(&peer, LinkId(1), None);
        assert!(!table.send_name(&peer, DIAL));
    }

    #[test]
    fn offer_is_pending_until_it_ends() {
        let peer = name("z@h");
        let mut table = dialling(&peer, true);
        told(&mut table, &peer);
        table.end_dial(&peer, DIAL);
        assert!(table.is_pending(&peer));
        table.end_offer(&peer);
        assert!(!table.is_pending(&peer) && table.entries.is_empty());
    }

    /// Also while the peer's new dial meets an old link that has not been seen to end.
    #[test]
    fn dial_waits_for_the_peers_own_unless_it_is_determined() {
        let peer = name("a@h");
        for linked in [false, true] {
            let mut table = LinkTable::default();
            if linked {
                table.link_up(&peer, LinkId(1), None);
            }
            told(&mut table, &peer);
            table.link_down(&peer, LinkId(1));
            assert_eq!(table.start_dial(&peer, DIAL, false), Err(Busy::Offered));
            assert_eq!(table.start_dial(&peer, DIAL, true), Ok(()));
            table.end_dial(&peer, DIAL);
            table.end_offer(&peer);
            assert_eq!(table.start_dial(&peer, DIAL, false), Ok(()), "{linked}");
        }
    }

    #[test]
    fn own_name_is_not_allowed() {
        let mut table = LinkTable::default();
        assert_eq!(told(&mut table, &name("m@h")), (Status::NotAllowed, None));
    }

    #[test]
    fn alive_is_wanted_unless_a_link_came_up() {
        let peer = name("a@h");
        let mut table = dialling(&peer, true);
        assert!(table.wants_link(&peer));
        table.link_up(&peer, LinkId(1), None);
        assert!(!table.wants_link(&peer));
        table.end_dial(&peer, DIAL);
        assert_eq!(table.link(peer.as_str()), Some(LinkId(1)));
    }

    /// Two tables, each the other's peer, exchange every interleaving of their
    /// first frames; exactly one link must come of it.
    #[test]
    fn every_interleaving_of_two_dialling_nodes_ends_in_one_link() {
        let (a, b) = (name("a@h"), name("b@h"));
        for (a_sent, b_sent) in [(true, true), (true, false), (false, true)] {
            let (mut at_a, mut at_b) = (dialling(&b, a_sent), dialling(&a, b_sent));
            let mut links = 0;
            // Each name that was sent arrives after both decided to dial.
            if a_sent {
                let status = at_b.on_offer(&b, &a).status;
                links += u32::from(status != Status::Nok);
            }
            if b_sent {
                let status = at_a.on_offer(&a, &b).status;
                links += u32::from(status != Status::Nok);
            }
            assert_eq!(links, 1, "sent: {a_sent}, {b_sent}");
        }
    }
}
