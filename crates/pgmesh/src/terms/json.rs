//! Terms as JSON: atoms and binaries become strings, tuples and lists arrays,
//! maps objects, pids and references their text.

use eetf::Term;
use serde_json::{Map, Value, json};

use super::print::Printed;

/// How much of a term's type is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonStyle {
    /// What is easy to read: an atom and a binary look alike, and so do a tuple
    /// and a list.
    Plain,
    /// Everything but lists and numbers is an object that says what it is:
    /// `{"atom": "ok"}`.
    Tagged,
}

/// The term as JSON.
pub(crate) fn to_json(term: &Term, style: JsonStyle) -> Value {
    let tag = |tag: &str, value: Value| match style {
        JsonStyle::Plain => value,
        JsonStyle::Tagged => json!({ tag: value }),
    };
    match term {
        Term::Atom(atom) => tag("atom", Value::from(atom.name.as_str())),
        Term::FixInteger(integer) => Value::from(integer.value),
        Term::BigInteger(integer) => match i64::try_from(&integer.value) {
            Ok(value) => Value::from(value),
            // JSON readers lose digits of larger numbers.
            Err(_) => tag("integer", Value::from(integer.value.to_string())),
        },
        Term::Float(float) => Value::from(float.value),
        Term::Binary(binary) => tag("binary", bytes_to_json(&binary.bytes)),
        Term::ByteList(list) => Value::from(list.bytes.clone()),
        Term::List(list) => all_to_json(&list.elements, style),
        Term::Tuple(tuple) => tag("tuple", all_to_json(&tuple.elements, style)),
        Term::Map(map) => tag("map", map_to_json(map.map.iter(), style)),
        other => tag("term", Value::from(Printed(other).to_string())),
    }
}

fn all_to_json(terms: &[Term], style: JsonStyle) -> Value {
    terms.iter().map(|term| to_json(term, style)).collect()
}

/// Text where it is text, else its bytes.
fn bytes_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes),
    }
}

/// JSON has only strings for keys, so a tagged map is a list of pairs.
fn map_to_json<'a>(entries: impl Iterator<Item = (&'a Term, &'a Term)>, style: JsonStyle) -> Value {
    let pair = |(key, value)| json!([to_json(key, style), to_json(value, style)]);
    let field = |(key, value)| {
        let key = match to_json(key, style) {
            Value::String(text) => text,
            _ => Printed(key).to_string(),
        };
        (key, to_json(value, style))
    };
    match style {
        JsonStyle::Plain => Value::Object(entries.map(field).collect::<Map<_, _>>()),
        JsonStyle::Tagged => entries.map(pair).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::parse_args;
    use eetf::List;

    fn json_of(text: &str, style: JsonStyle) -> Value {
        let term = Term::from(List::from(parse_args(text).unwrap()));
        to_json(&term, style)
    }

    #[test]
    fn plain_is_what_reads_easily() {
        let json = json_of(
            "[ok, {1, <<\"b\">>}, #{a => 1.5, 2 => []}]",
            JsonStyle::Plain,
        );
        assert_eq!(json, json!(["ok", [1, "b"], {"a": 1.5, "2": []}]));
    }

    #[test]
    fn tagged_keeps_every_difference() {
        let json = json_of("[ok, {1, <<\"b\">>}, #{a => []}]", JsonStyle::Tagged);
        let tuple = json!({"tuple": [1, {"binary": "b"}]});
        let map = json!({"map": [[{"atom": "a"}, []]]});
        assert_eq!(json, json!([{"atom": "ok"}, tuple, map]));
    }
}
