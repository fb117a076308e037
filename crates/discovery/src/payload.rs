//! What is said on a channel: names, in two dialects.
//!
//! libcluster_postgres says bare names. A public fork of it says
//! `heartbeat:NAME`, and `goodbye:NAME` when a node leaves. Both are heard.

use std::collections::{BTreeMap, BTreeSet};

use pgmesh_name::{NameError, NodeName};

/// How names are said; all dialects are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Bare names, as libcluster_postgres has them. It has no goodbye.
    #[default]
    Libcluster,
    /// `heartbeat:NAME` and `goodbye:NAME`. A node of libcluster_postgres would take
    /// these for names: not for a channel of theirs.
    Heartbeat,
}

impl Dialect {
    pub(crate) fn announcement(self, name: &NodeName) -> String {
        match self {
            Self::Libcluster => name.to_string(),
            Self::Heartbeat => format!("heartbeat:{name}"),
        }
    }

    pub(crate) fn goodbye(self, name: &NodeName) -> Option<String> {
        match self {
            Self::Libcluster => None,
            Self::Heartbeat => Some(format!("goodbye:{name}")),
        }
    }
}

/// One payload, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// This node is there.
    Name(NodeName),
    /// This node leaves.
    Goodbye(NodeName),
}

/// Of each dialect, in what was heard: whoever says more says it to be in the way.
const MAX_NAMES: usize = 1_000;

/// What was said on a channel in a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// Names said as libcluster_postgres says them.
    pub bare: BTreeSet<NodeName>,
    /// Names said with `heartbeat:` or `goodbye:` before them.
    pub prefixed: BTreeSet<NodeName>,
    /// How many payloads were no names, by [`NameError::kind`].
    pub no_names: BTreeMap<&'static str, u64>,
    /// How often a name was said that found no place among the first 1,000.
    pub left_out: u64,
}

impl Hearing {
    fn note_name(&mut self, name: NodeName, is_bare: bool) {
        let names = match is_bare {
            true => &mut self.bare,
            false => &mut self.prefixed,
        };
        if names.len() < MAX_NAMES || names.contains(&name) {
            names.insert(name);
        } else {
            self.left_out += 1;
        }
    }
}

/// Adds a payload to what was heard.
pub(crate) fn note(hearing: &mut Hearing, text: &str) {
    match parse(text) {
        Ok(Payload::Name(name) | Payload::Goodbye(name)) => {
            let is_bare = text == name.as_str();
            hearing.note_name(name, is_bare);
        }
        Err(error) => *hearing.no_names.entry(error.kind()).or_default() += 1,
    }
}

/// Reads a payload. No node can be started with a `:` in its alive name, so that
/// no bare name is taken for a prefixed one.
pub(crate) fn parse(text: &str) -> Result<Payload, NameError> {
    if let Some(name) = text.strip_prefix("goodbye:") {
        Ok(Payload::Goodbye(name.parse()?))
    } else {
        let name = text.strip_prefix("heartbeat:").unwrap_or(text);
        Ok(Payload::Name(name.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn both_dialects_are_heard() {
        assert_eq!(parse("a@h"), Ok(Payload::Name(name("a@h"))));
        assert_eq!(parse("heartbeat:a@h"), Ok(Payload::Name(name("a@h"))));
        assert_eq!(parse("goodbye:a@h"), Ok(Payload::Goodbye(name("a@h"))));
    }

    #[test]
    fn what_is_said_is_understood() {
        let name = name("a@h");
        for dialect in [Dialect::Libcluster, Dialect::Heartbeat] {
            let said = dialect.announcement(&name);
            assert_eq!(parse(&said), Ok(Payload::Name(name.clone())));
        }
        let goodbye = Dialect::Heartbeat.goodbye(&name).unwrap();
        assert_eq!(parse(&goodbye), Ok(Payload::Goodbye(name.clone())));
        assert_eq!(Dialect::Libcluster.goodbye(&name), None);
    }

    #[test]
    fn what_is_heard_is_told_apart_by_dialect() {
        let mut hearing = Hearing::default();
        for text in ["a@h", "a@h", "heartbeat:b@h", "goodbye:c@h", "nonsense"] {
            note(&mut hearing, text);
        }
        let expected = Hearing {
            bare: [name("a@h")].into(),
            prefixed: [name("b@h"), name("c@h")].into(),
            no_names: [("at_signs", 1)].into(),
            left_out: 0,
        };
        assert_eq!(hearing, expected);
    }

    #[test]
    fn what_is_kept_of_a_flood_is_bounded() {
        let mut hearing = Hearing::default();
        for number in 0..MAX_NAMES + 7 {
            note(&mut hearing, &format!("n{number}@h"));
            note(&mut hearing, "n0@h");
        }
        assert_eq!((hearing.bare.len(), hearing.left_out), (MAX_NAMES, 7));
    }

    #[test]
    fn everything_else_has_its_kind() {
        let kind = |text: &str| parse(text).unwrap_err().kind();
        assert_eq!(kind(""), "empty");
        assert_eq!(kind("goodbye:"), "empty");
        assert_eq!(kind("nobody"), "at_signs");
        assert_eq!(kind("a@b@c"), "at_signs");
        assert_eq!(kind("@h"), "no_alive");
        assert_eq!(kind("a@"), "no_host");
        assert_eq!(kind(&format!("{}@h", "a".repeat(254))), "too_long");
        assert_eq!(kind(&"x".repeat(7999)), "too_long");
        for text in [
            "o'brien@h",
            "a\"b@h",
            "a\u{1}@h",
            "a\n@h",
            "🦀@h",
            "a b@h",
            "Goodbye:a@h",
        ] {
            assert_eq!(kind(text), "bad_character", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }
    }
}
