//! Erlang terms as people write and read them.

mod json;
mod parse;
mod print;

pub(crate) use json::{JsonStyle, to_json};
pub(crate) use parse::parse_args;
pub(crate) use print::Printed;
