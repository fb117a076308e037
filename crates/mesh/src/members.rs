//! Every name known. Each has a place, a small number, for as long as it is known: what
//! concerns pairs of them is kept as bits, by place.

use std::collections::{BTreeMap, HashMap};

use pgmesh_name::NodeName;

use crate::{LinkId, Member, State};

#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order of names.
    order: BTreeMap<NodeName, usize>,
    /// The same for looking up, and never gone through: a node's answer names all
    /// others, and what depended on this order would differ from run to run.
    places: HashMap<NodeName, usize>,
    known: Vec<Option<(NodeName, Member)>>,
    free: Vec<usize>,
}

impl Members {
    pub(crate) fn get(&self, name: &NodeName) -> Option<&Member> {
        let (_, member) = self.at(self.place(name)?)?;
        Some(member)
    }

    pub(crate) fn get_mut(&mut self, name: &NodeName) -> Option<&mut Member> {
        let place = self.place(name)?;
        self.at_mut(place)
    }

    pub(crate) fn contains(&self, name: &NodeName) -> bool {
        self.places.contains_key(name)
    }

    /// Where a name is, until it is removed.
    pub(crate) fn place(&self, name: &NodeName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Who is at a place.
    pub(crate) fn at(&self, place: usize) -> Option<(&NodeName, &Member)> {
        let (name, member) = self.known.get(place)?.as_ref()?;
        Some((name, member))
    }

    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Member> {
        let (_, member) = self.known.get_mut(place)?.as_mut()?;
        Some(member)
    }

    /// How many places there are, used or not.
    pub(crate) fn places(&self) -> usize {
        self.known.len()
    }

    /// Makes a name known, if it is not yet.
    pub(crate) fn add(&mut self, name: &NodeName, member: Member) {
        if self.contains(name) {
            return;
        }
        let known = Some((name.clone(), member));
        let place = match self.free.pop() {
            Some(place) => {
                self.known[place] = known;
                place
            }
            None => {
                self.known.push(known);
                self.known.len() - 1
            }
        };
        self.order.insert(name.clone(), place);
        self.places.insert(name.clone(), place);
    }

    /// Removes a name; another may have its place from now on.
    pub(crate) fn remove(&mut self, name: &NodeName) -> Option<(usize, Member)> {
        let place = self.places.remove(name)?;
        self.order.remove(name);
        self.free.push(place);
        let (_, member) = self.known[place].take()?;
        Some((place, member))
    }

    /// All, in the order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeName, &Member)> {
        self.order.values().filter_map(|place| self.at(*place))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.order.keys()
    }

    /// The visible nodes that we are linked to, in the order of names.
    pub(crate) fn linked(&self) -> impl Iterator<Item = usize> {
        let is_linked = |place: &usize| {
            let member = self.at(*place).map(|(_, member)| member);
            member.is_some_and(|m| matches!(m.state, State::Up(_)) && !m.hidden)
        };
        self.order.values().copied().filter(is_linked)
    }

    /// Our link to the one at a place.
    pub(crate) fn link_at(&self, place: usize) -> Option<LinkId> {
        match self.at(place)?.1.state {
            State::Up(link) => Some(link),
            _ => None,
        }
    }

    /// Somebody that we are linked to, and where.
    pub(crate) fn linked_mut(&mut self, name: &NodeName) -> Option<(usize, &mut Member)> {
        let place = self.place(name)?;
        let member = self.at_mut(place)?;
        matches!(member.state, State::Up(_)).then_some((place, member))
    }

    /// Where a name is, if this is the link to it.
    pub(crate) fn place_over(&self, name: &NodeName, link: LinkId) -> Option<usize> {
        let place = self.place(name)?;
        (self.link_at(place) == Some(link)).then_some(place)
    }
}
