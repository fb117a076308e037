//! Terms in Erlang's syntax, as its shell shows them.

use std::fmt::{self, Display, Formatter};

use eetf::{List, Term};

/// Shows a term.
pub(crate) struct Printed<'a>(pub(crate) &'a Term);

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Term::Atom(atom) => print_atom(f, &atom.name),
            Term::Float(float) => write!(f, "{:?}", float.value),
            Term::Binary(binary) => print_binary(f, &binary.bytes),
            Term::ByteList(list) => print_bytes(f, &list.bytes),
            Term::List(list) => print_list(f, list),
            Term::ImproperList(list) => {
                f.write_str("[")?;
                join(f, list.elements.iter().map(Printed))?;
                write!(f, "|{}]", Printed(&list.last))
            }
            Term::Tuple(tuple) => {
                f.write_str("{")?;
                join(f, tuple.elements.iter().map(Printed))?;
                f.write_str("}")
            }
            Term::Map(map) => {
                let mut entries: Vec<_> = map.map.iter().map(|(k, v)| Entry(k, v)).collect();
                // A map has no order of its own; ours is at least always the same.
                entries.sort_by_key(ToString::to_string);
                f.write_str("#{")?;
                join(f, entries)?;
                f.write_str("}")
            }
            // Pids, references, funs: eetf's text, which escapes nothing.
            other => f.write_str(&without_controls(&other.to_string())),
        }
    }
}

struct Entry<'a>(&'a Term, &'a Term);

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} => {}", Printed(self.0), Printed(self.1))
    }
}

fn join(f: &mut Formatter<'_>, parts: impl IntoIterator<Item = impl Display>) -> fmt::Result {
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

fn print_atom(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let mut characters = name.chars();
    let plain = characters.next().is_some_and(|c| c.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
        && !RESERVED.contains(&name);
    if plain {
        f.write_str(name)
    } else {
        write!(f, "'{}'", escaped(name, '\''))
    }
}

/// Words that need quotes to be atoms.
const RESERVED: &[&str] = &[
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when", "xor",
];

fn print_binary(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match std::str::from_utf8(bytes) {
        Ok("") => f.write_str("<<>>"),
        Ok(text) if text.chars().all(is_printable) => write!(f, "<<\"{}\">>", escaped(text, '"')),
        _ => {
            f.write_str("<<")?;
            join(f, bytes)?;
            f.write_str(">>")
        }
    }
}

/// A list of bytes is a text if all of it can be printed.
fn print_bytes(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let text: Option<String> = bytes
        .iter()
        .map(|byte| printable(u32::from(*byte)))
        .collect();
    match text {
        Some(text) if !text.is_empty() => write!(f, "\"{}\"", escaped(&text, '"')),
        _ => {
            f.write_str("[")?;
            join(f, bytes)?;
            f.write_str("]")
        }
    }
}

fn print_list(f: &mut Formatter<'_>, list: &List) -> fmt::Result {
    let character = |term: &Term| match term {
        Term::FixInteger(integer) => printable(u32::try_from(integer.value).ok()?),
        _ => None,
    };
    let text: Option<String> = list.elements.iter().map(character).collect();
    match text {
        Some(text) if !text.is_empty() => write!(f, "\"{}\"", escaped(&text, '"')),
        _ => {
            f.write_str("[")?;
            join(f, list.elements.iter().map(Printed))?;
            f.write_str("]")
        }
    }
}

/// Erlang's shell takes a list for a text only within Latin-1.
fn printable(code: u32) -> Option<char> {
    let latin1 = u8::try_from(code).ok()?;
    Some(char::from(latin1)).filter(|c| is_printable(*c))
}

fn is_printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
}

fn without_controls(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

fn escaped(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c == quote || c == '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push_str(&format!("\\x{{{:x}}}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, Binary, FixInteger};

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let shown = |bytes: &[u8]| Printed(&Term::from(Binary::from(bytes.to_vec()))).to_string();
        assert_eq!(shown(b"\x1b[31m"), "<<27,91,51,49,109>>");
        assert_eq!(shown(b"a\"\n"), "<<\"a\\\"\\n\">>");
        let atom = Term::from(Atom::from("a\x1b"));
        assert_eq!(Printed(&atom).to_string(), "'a\\x{1b}'");
        let pid = Term::from(eetf::Pid::new("a\x1b@h", 1, 2, 3));
        assert!(!Printed(&pid).to_string().contains('\x1b'));
    }

    #[test]
    fn atoms_are_quoted_where_erlang_would() {
        let shown = |name| Printed(&Term::from(Atom::from(name))).to_string();
        assert_eq!(shown("n1@host"), "n1@host");
        assert_eq!(shown("Elixir.App"), "'Elixir.App'");
        assert_eq!(shown("end"), "'end'");
        assert_eq!(shown(""), "''");
    }

    #[test]
    fn lists_of_small_numbers_are_not_texts() {
        let list: Vec<_> = [1, 2].map(|n| Term::from(FixInteger { value: n })).into();
        assert_eq!(Printed(&Term::from(List::from(list))).to_string(), "[1,2]");
    }
}
