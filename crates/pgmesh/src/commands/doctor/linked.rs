//! What a linked node says of itself.

use std::time::Duration;

use pgmesh_dist::terms::Term;
use pgmesh_dist::{CallLimits, Node};
use pgmesh_name::NodeName;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(2),
    answer_bytes: 256,
};
/// The first release in which `prevent_overlapping_partitions` is on unless set
/// (kernel, "Configuration Parameters").
const PREVENTS_BY_DEFAULT: u32 = 25;

/// Nothing of what it did not answer.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkedFacts {
    pub(super) otp: Option<u32>,
    /// In seconds.
    pub(super) net_ticktime: Option<u64>,
    pub(super) prevents_overlapping: Option<bool>,
    /// It is set up to be linked only where it is told to.
    pub(super) partial: bool,
}

impl LinkedFacts {
    /// Asks everything at the same time.
    pub(super) async fn ask(node: &Node, name: &NodeName) -> Self {
        let call = |module, function, args: &[&str]| {
            let args = args.iter().map(|arg| Term::from(eetf::Atom::from(*arg)));
            node.call(name, module, function, args.collect(), LIMITS)
        };
        let prevent = ["kernel", "prevent_overlapping_partitions"];
        let (otp, ticktime, prevents, intent) = tokio::join!(
            call("erlang", "system_info", &["otp_release"]),
            call("net_kernel", "get_net_ticktime", &[]),
            call("application", "get_env", &prevent),
            node.mesh_intent(name, LIMITS.time),
        );
        let otp = otp.ok().as_ref().and_then(release);
        let prevents = prevents.ok();
        Self {
            otp,
            net_ticktime: ticktime.ok().as_ref().and_then(seconds),
            prevents_overlapping: prevents.and_then(|setting| is_on(&setting, otp?)),
            partial: intent.is_ok_and(|intent| intent.partial),
        }
    }
}

/// `"27"`.
fn release(answer: &Term) -> Option<u32> {
    match answer {
        Term::ByteList(text) => std::str::from_utf8(&text.bytes).ok()?.parse().ok(),
        _ => None,
    }
}

/// `60`, or `{ongoing_change_to, 60}`.
fn seconds(answer: &Term) -> Option<u64> {
    match answer {
        Term::FixInteger(seconds) => u64::try_from(seconds.value).ok(),
        Term::Tuple(change) => seconds(change.elements.last()?),
        _ => None,
    }
}

/// `{ok, true}`, `{ok, false}` or `undefined`.
fn is_on(answer: &Term, otp: u32) -> Option<bool> {
    match answer {
        Term::Tuple(set) => is_on(set.elements.last()?, otp),
        Term::Atom(atom) => match atom.name.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            "undefined" => Some(otp >= PREVENTS_BY_DEFAULT),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(text: &str) -> Term {
        let args = crate::terms::parse_args(&format!("[{text}]")).unwrap();
        args.into_iter().next().unwrap()
    }

    #[test]
    fn answers_are_read() {
        let text = Term::ByteList(eetf::ByteList {
            bytes: b"27".to_vec(),
        });
        assert_eq!(release(&text), Some(27));
        assert_eq!(release(&term("undef")), None);
        assert_eq!(seconds(&term("60")), Some(60));
        assert_eq!(seconds(&term("{ongoing_change_to, 120}")), Some(120));
        assert_eq!(seconds(&term("ignored")), None);
        assert_eq!(is_on(&term("{ok, true}"), 24), Some(true));
        assert_eq!(is_on(&term("{ok, false}"), 27), Some(false));
        assert_eq!(is_on(&term("undefined"), 24), Some(false));
        assert_eq!(is_on(&term("undefined"), 27), Some(true));
        assert_eq!(is_on(&term("{badrpc, nodedown}"), 27), None);
    }
}
