//! How a call ended, in the words of `erpc` and of `rex`.
//!
//! All parts are terms as bytes, without a version byte. Sources: erpc.erl
//! (`execute_call/4`) and rpc.erl (`execute_call/3`).

use super::functions::{Class, Exception};
use crate::node::sending::encoded;
use crate::terms::Term;

const EXIT: &[u8] = b"\x77\x04EXIT";
const BADRPC: &[u8] = b"\x77\x06badrpc";
const BADARG: &[u8] = b"\x77\x06badarg";
pub(super) const SYSTEM_LIMIT: &[u8] = b"\x77\x0csystem_limit";
const NORMAL: &[u8] = b"\x77\x06normal";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Return(Vec<u8>),
    Throw(Vec<u8>),
    Exit(Vec<u8>),
    Error { reason: Vec<u8>, stack: Vec<u8> },
}

impl Outcome {
    /// What a function returned or raised; `at` is where it is in a stack trace. A term
    /// that cannot be sent is an argument that the function should not have given.
    pub(super) fn of(result: &Result<Term, Exception>, at: Vec<u8>) -> Self {
        let (class, term) = match result {
            Ok(term) => (None, term),
            Err(exception) => (Some(exception.class), &exception.reason),
        };
        match (class, encoded(term)) {
            (None, Ok(term)) => Self::Return(term),
            (Some(Class::Throw), Ok(reason)) => Self::Throw(reason),
            (Some(Class::Exit), Ok(reason)) => Self::Exit(reason),
            (Some(Class::Error), Ok(reason)) => Self::Error { reason, stack: at },
            (_, Err(_)) => Self::badarg(at),
        }
    }

    pub(super) fn badarg(stack: Vec<u8>) -> Self {
        let reason = BADARG.to_vec();
        Self::Error { reason, stack }
    }

    /// The reason with which a process ends that `erpc:call` waits for.
    pub(super) fn erpc_reason(&self, reference: &[u8]) -> Vec<u8> {
        match self {
            Self::Return(result) => tuple(&[reference, b"\x77\x06return", result]),
            Self::Throw(reason) => tuple(&[reference, b"\x77\x05throw", reason]),
            Self::Exit(reason) => tuple(&[reference, b"\x77\x04exit", reason]),
            Self::Error { reason, stack } => tuple(&[reference, b"\x77\x05error", reason, stack]),
        }
    }

    /// The reason with which a process ends whose function this was.
    pub(super) fn exit_reason(&self) -> Vec<u8> {
        match self {
            Self::Return(_) => NORMAL.to_vec(),
            Self::Throw(reason) => {
                let nocatch = tuple(&[b"\x77\x07nocatch", reason]);
                tuple(&[&nocatch, &[106]])
            }
            Self::Exit(reason) => reason.clone(),
            Self::Error { reason, stack } => tuple(&[reason, stack]),
        }
    }

    /// What `rex` answers.
    pub(super) fn rex_reply(self) -> Vec<u8> {
        match self {
            Self::Return(result) | Self::Throw(result) => result,
            Self::Exit(reason) => bad_rpc(&reason),
            Self::Error { reason, stack } => bad_rpc(&tuple(&[&reason, &stack])),
        }
    }
}

/// `{badrpc, {'EXIT', Reason}}`
pub(super) fn bad_rpc(reason: &[u8]) -> Vec<u8> {
    tuple(&[BADRPC, &tuple(&[EXIT, reason])])
}

/// A stack trace of one frame, `[{Module, Function, Arity, []}]`; `arity` may be the
/// arguments themselves.
pub(super) fn stack(module: &[u8], function: &[u8], arity: &[u8]) -> Vec<u8> {
    let frame = tuple(&[module, function, arity, &[106]]);
    [&[108, 0, 0, 0, 1], &frame[..], &[106]].concat()
}

/// `{Element, …}` of at most 255.
pub(super) fn tuple(elements: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(elements.len()).unwrap_or(u8::MAX);
    [&[104, count], &elements.concat()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms;
    use eetf::{Atom, Reference};

    fn text(bytes: &[u8]) -> String {
        let term = terms::decode(&[&[terms::VERSION], bytes].concat()).unwrap();
        term.to_string().replace('\'', "")
    }

    fn outcome(result: Result<&str, Exception>) -> Outcome {
        let at = stack(b"\x77\x01m", b"\x77\x01f", &[97, 2]);
        Outcome::of(&result.map(|text| Term::from(Atom::from(text))), at)
    }

    #[test]
    fn endings_are_those_of_erpc_and_rex() {
        let oops = || Atom::from("oops");
        for (result, erpc, rex, exit) in [
            (Ok("hi"), "{7,return,hi}", "hi", "normal"),
            (
                Err(Exception::throw(oops())),
                "{7,throw,oops}",
                "oops",
                "{{nocatch,oops},[]}",
            ),
            (
                Err(Exception::exit(oops())),
                "{7,exit,oops}",
                "{badrpc,{EXIT,oops}}",
                "oops",
            ),
            (
                Err(Exception::error(oops())),
                "{7,error,oops,[{m,f,2,[]}]}",
                "{badrpc,{EXIT,{oops,[{m,f,2,[]}]}}}",
                "{oops,[{m,f,2,[]}]}",
            ),
        ] {
            let outcome = outcome(result);
            assert_eq!(text(&outcome.erpc_reason(&[97, 7])), erpc);
            assert_eq!(text(&outcome.exit_reason()), exit);
            assert_eq!(text(&outcome.rex_reply()), rex);
        }
    }

    #[test]
    fn term_that_cannot_be_sent_is_a_bad_argument() {
        let wordless = Reference {
            node: Atom::from("a@h"),
            id: vec![],
            creation: 1,
        };
        let outcome = Outcome::of(&Ok(Term::from(wordless)), vec![106]);
        assert_eq!(outcome, Outcome::badarg(vec![106]));
    }
}
