//! Every text about nodes, and what they depend on.

use pgmesh_dist::Step;

use super::super::check::Outcome;
use super::super::daemon::tests::running;
use super::super::table::settings_with;
use super::*;
use crate::api::shapes::Error;

fn node(name: &str, outcome: DialOutcome) -> NodeFacts {
    NodeFacts {
        name: name.parse().unwrap(),
        by_epmd: true,
        outcome,
    }
}

/// What dials say, in short.
fn detail(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::HostUnknown => "host db2 is unknown: Name or service not known",
        FailureKind::AddressNotAllowed => "its address 203.0.113.7 is not allowed",
        FailureKind::EpmdUnreachable => "no EPMD at 10.0.0.2:4369: Connection refused",
        FailureKind::NameUnknown => "its EPMD does not know app",
        FailureKind::Refused => "connection refused",
        FailureKind::Timeout(Step::Resolve) => "no answer from DNS in time",
        FailureKind::Timeout(Step::Epmd) => "no answer from its EPMD in time",
        FailureKind::Timeout(Step::Connect) => "no connection in time",
        FailureKind::Timeout(Step::Tls) => "no TLS in time",
        FailureKind::Timeout(Step::Name) => "no name in time",
        FailureKind::Timeout(Step::Status) => "no status in time",
        FailureKind::Timeout(Step::Challenge) => "no challenge in time",
        FailureKind::Timeout(Step::ChallengeReply) => "no challenge reply in time",
        FailureKind::Timeout(Step::ChallengeAck) => "no challenge acknowledgement in time",
        FailureKind::CookieRejectedByPeer => "cookie rejected by app@db2",
        FailureKind::CookieRejectedByUs => "cookie rejected by us: the peer proved another one",
        FailureKind::NotAllowed => "the peer answered not_allowed",
        FailureKind::NameMismatch => "another node answered, web@db2",
        FailureKind::OwnName => "the peer has our own name",
        FailureKind::LongShortNames => "our name is long and its name short",
        FailureKind::Flags => "the peer lacks distribution flags",
        FailureKind::Simultaneous => "the peer is dialling us at the same time",
        FailureKind::Superseded => "gave way to the peer's own dial, which brought no link",
        FailureKind::AlreadyLinked => "the peer has a link to us already",
        FailureKind::Malformed => "malformed status for this dial",
        FailureKind::SpeaksTls => "it answers with an alert of TLS",
        FailureKind::SpeaksPlain => "what the peer says is not TLS",
        FailureKind::TlsExpired => "the peer's certificate: certificate has expired",
        FailureKind::TlsWrongHost => "the peer's certificate: hostname mismatch",
        FailureKind::TlsUnknownAuthority => {
            "the peer's certificate: unable to get local issuer certificate"
        }
        FailureKind::TlsNoCertificate => {
            "the peer does not take our certificate: tlsv13 alert certificate required"
        }
        FailureKind::TlsCertificateRejected => {
            "the peer does not take our certificate: sslv3 alert bad certificate"
        }
        FailureKind::TlsFiles => "/etc/tls/node.pem: cannot be read: No such file or directory",
        FailureKind::Tls => "no protocols available",
        FailureKind::ClosedByPeer => "connection closed by peer",
        FailureKind::Io => "No route to host (os error 113)",
        FailureKind::NotPublic
        | FailureKind::ClosedByUs
        | FailureKind::Replaced
        | FailureKind::TickTimeout
        | FailureKind::FrameTooLarge
        | FailureKind::QueueFull => "no failure of a dial",
    }
}

fn failed(kind: FailureKind) -> NodeFacts {
    let trouble = DialTrouble {
        kind,
        detail: detail(kind).to_owned(),
    };
    node("app@db2", DialOutcome::Failed(trouble))
}

fn linked() -> NodeFacts {
    let facts = LinkedFacts {
        otp: Some(27),
        ..LinkedFacts::default()
    };
    node("app@10.0.0.2", DialOutcome::Linked(facts))
}

/// The others are ends of links, or settled before.
fn of_dials(kind: &FailureKind) -> bool {
    detail(*kind) != "no failure of a dial"
}

pub(in super::super) fn samples() -> Vec<Check> {
    let others = [
        linked(),
        NodeFacts {
            by_epmd: false,
            ..linked()
        },
        node("shell@10.0.0.2", DialOutcome::Hidden),
        node("app@203.0.113.7", DialOutcome::NotAllowed),
        node("app@10.0.0.3", DialOutcome::Excused("said goodbye")),
        node("app@10.0.0.4", DialOutcome::OutOfTime),
    ];
    let mut samples: Vec<_> = others.iter().map(node_check).collect();
    let kinds = FailureKind::ALL.into_iter().filter(of_dials);
    samples.extend(kinds.map(|kind| node_check(&failed(kind))));
    let known = Known {
        left_out: 44,
        ..Known::default()
    };
    let member = serde_json::json!({"node": "app@10.0.0.2", "state": "refused",
        "hidden": false, "local": false, "otp": null, "direction": null,
        "last_heard_s": 1.0, "attempts": 3, "error": null});
    let mut member: Member = serde_json::from_value(member).unwrap();
    member.error = Some(Error {
        kind: "cookie_rejected_by_peer".to_owned(),
        message: String::new(),
    });
    let daemon = DaemonFacts::Runs(Box::new(running(vec![member])));
    samples.extend(checks(&known, &[linked()], &daemon).split_off(1));
    samples.extend(checks(&Known::default(), &[], &DaemonFacts::Absent));
    samples
}

#[test]
fn whatever_fails_says_what_to_do() {
    for kind in FailureKind::ALL {
        let check = node_check(&failed(kind));
        assert_eq!(check.outcome, Outcome::Failed);
        assert_eq!(check.kind.as_deref(), Some(kind.as_str()));
        assert!(check.remedy.is_some_and(|remedy| !remedy.is_empty()));
    }
}

#[test]
fn known_are_those_heard_local_and_of_the_daemon_but_hidden_ones() {
    let name = |text: &str| text.parse::<NodeName>().unwrap();
    let member = |node: &str, hidden| {
        let member = serde_json::json!({"node": node, "state": "up", "hidden": hidden,
            "local": false, "otp": null, "direction": null, "last_heard_s": null,
            "attempts": 0, "error": null});
        serde_json::from_value(member).unwrap()
    };
    let members = vec![member("member@h", false), member("other_pgmesh@h", true)];
    let daemon = DaemonFacts::Runs(Box::new(running(members)));
    let heard = ["heard@h", "pgmesh@10.0.0.9", "other_pgmesh@h"].map(name);
    let settings = settings_with(&["--peers=given@h=9100,pgmesh@10.0.0.9=1"]);
    let known = Known::gather(&heard, &daemon, [name("local@h")].into(), &settings);
    let expected = ["local@h", "member@h", "given@h", "heard@h"];
    assert_eq!(known.names, expected.map(name));
    let many: Vec<_> = (0..300).map(|n| name(&format!("n{n}@h"))).collect();
    let known = Known::gather(&many, &DaemonFacts::Absent, BTreeSet::new(), &settings);
    assert_eq!((known.names.len(), known.left_out), (MAX_NODES, 45));
}

#[test]
fn nobody_is_dialled_whom_the_mesh_leaves_alone() {
    let outcome = |flags: &[&str], state: &str, name: &str| {
        let member = serde_json::json!({"node": name, "state": state, "hidden": false,
            "local": false, "otp": null, "direction": null, "last_heard_s": null,
            "attempts": 0, "error": null});
        let member: Member = serde_json::from_value(member).unwrap();
        let known = Known {
            local: ["app@10.0.0.9".parse().unwrap()].into(),
            ..Known::default()
        };
        let settings = settings_with(flags);
        refusal(&settings, &known, Some(&member), &name.parse().unwrap())
    };
    let excused = |refused| matches!(refused, Some(DialOutcome::Excused(_)));
    assert!(outcome(&[], "up", "app@10.0.0.9").is_none());
    assert!(outcome(&[], "down", "app@10.0.0.1").is_none());
    assert!(excused(outcome(&[], "left", "app@10.0.0.1")));
    assert!(excused(outcome(&[], "held", "app@10.0.0.1")));
    assert!(excused(outcome(&["--join=local"], "up", "app@10.0.0.1")));
    assert!(outcome(&["--join=local"], "up", "app@10.0.0.9").is_none());
    assert!(outcome(&["--join=local"], "up", "unlisted@10.0.0.9").is_none());
    let public = outcome(&[], "refused", "app@203.0.113.7");
    assert!(matches!(public, Some(DialOutcome::NotAllowed)));
    assert!(outcome(&["--allow=203.0.113.0/24"], "down", "app@203.0.113.7").is_none());
}
