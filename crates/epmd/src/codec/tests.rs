use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn info<'a>(name: &'a [u8], extra: &'a [u8]) -> NodeInfo<'a> {
    NodeInfo {
        name,
        port: 0x1234,
        node_type: HIDDEN_NODE,
        protocol: TCP_IPV4,
        highest_version: 6,
        lowest_version: 5,
        extra,
    }
}

#[test]
fn registers_as_the_documents_say() {
    let expected = [
        0, 15, 120, 0x12, 0x34, 72, 0, 0, 6, 0, 5, 0, 2, b'a', b'b', 0, 0,
    ];
    assert_eq!(Request::Alive2(info(b"ab", b"")).encode(), expected);
}

#[test]
fn reads_both_replies() {
    let registered = |creation| Ok(Alive2Reply::Registered { creation });
    assert_eq!(
        Alive2Reply::decode(&[118, 0, 1, 2, 3, 4]),
        registered(0x0102_0304)
    );
    assert_eq!(Alive2Reply::decode(&[121, 0, 0, 3]), registered(3));
    assert_eq!(
        Alive2Reply::decode(&[118, 1, 0, 0, 0, 99]),
        Ok(Alive2Reply::Refused)
    );
    assert_eq!(Alive2Reply::decode(&[7, 0]), Err(Malformed));
}

#[test]
fn old_nodes_get_short_creations() {
    for creation in 4..20 {
        let reply = Alive2Reply::Registered { creation }.encode(5);
        assert!(
            matches!(reply[..], [121, 0, 0, 1..=3]),
            "{creation}: {reply:?}"
        );
    }
    assert_eq!(Alive2Reply::Refused.encode(5)[..], [121, 1, 0, 99]);
    assert_eq!(Alive2Reply::Refused.encode(6)[..], [118, 1, 0, 0, 0, 99]);
}

#[test]
fn reads_ports_and_names() {
    assert_eq!(decode_port2(&[119, 1]), Ok(None));
    assert_eq!(decode_port2(&[119, 0, 0x10, 1, 77]), Ok(Some(0x1001)));
    let reply = b"\0\0\x11\x11name a at port 9\nname  at port x\nname b_1 at port 10\n";
    let names = decode_names(reply).unwrap();
    let names: Vec<_> = names.iter().map(|(n, p)| (n.as_str(), *p)).collect();
    assert_eq!(names, [("a", 9), ("b_1", 10)]);
}

#[test]
fn reads_no_more_than_a_request() {
    let mut incoming = Incoming::default();
    assert_eq!(incoming.room(), MAX_REQUEST);
    assert_eq!(incoming.push(&[0]), Ok(None));
    assert_eq!(incoming.room(), MAX_REQUEST - 1);
    assert_eq!(incoming.push(&[2, b'z']), Ok(None));
    assert_eq!(incoming.room(), 1);
    assert_eq!(incoming.push(b"a"), Ok(Some(&b"za"[..])));
    let malformed = |bytes: &[u8]| Incoming::default().push(bytes) == Err(Malformed);
    assert!(malformed(&[0, 0]), "empty");
    assert!(malformed(&[0, 1, b'n', 0]), "followed by something");
    assert!(malformed(&[0x0b, 0xf2]), "too long");
    assert!(!malformed(&[0x0b, 0xf1]), "the longest");
}

#[test]
fn names_are_refused_as_otp_does() {
    let port_please = |name: &[u8]| Request::decode(&[b"z", name].concat()).is_ok();
    assert!(port_please(b"a\0") && port_please("é".repeat(254).as_bytes()));
    for name in [&b""[..], b"\0", b"a\0b", b"a\0\0", b"\xff", &[b'a'; 255]] {
        assert!(!port_please(name), "{name:?}");
    }
}

/// A request with its strings in it.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let field = || vec(any::<u8>(), 0..1500);
    prop_oneof![
        (field(), field()).prop_map(|(name, extra)| Request::Alive2(info(&name, &extra)).encode()),
        "[^\0]{1,200}".prop_map(|name| Request::PortPlease2(&name).encode()),
        field().prop_map(|name| Request::Stop(&name).encode()),
        Just(Request::Names.encode()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        let _ = Request::decode(&bytes);
        let _ = Alive2Reply::decode(&bytes);
        let _ = decode_port2(&bytes);
        let _ = decode_names(&bytes);
    }

    #[test]
    fn what_is_said_is_understood(
        name in vec(1..=u8::MAX, 1..1100),
        extra in vec(any::<u8>(), 0..1100),
        lookup in "[^\0]{1,254}",
    ) {
        for request in [
            Request::Alive2(info(&name, &extra)),
            Request::PortPlease2(&lookup),
            Request::Stop(&name),
        ] {
            let bytes = request.encode();
            prop_assert_eq!(Request::decode(&bytes[2..]), Ok(request));
        }
        let reply = encode_port2(&info(&name, &extra));
        prop_assert_eq!(decode_port2(&reply), Ok(Some(0x1234)));
    }

    #[test]
    fn pieces_make_no_difference(request in any_request(), cuts in vec(1..40usize, 1..9)) {
        let mut whole = Incoming::default();
        let at_once = whole.push(&request).map(|body| body.map(<[u8]>::to_vec));
        let mut pieces = Incoming::default();
        let mut outcome = Ok(None);
        let mut rest = &request[..];
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() || outcome != Ok(None) {
                break;
            }
            let (piece, left) = rest.split_at(cut.min(rest.len()).min(pieces.room()));
            outcome = pieces.push(piece).map(|body| body.map(<[u8]>::to_vec));
            rest = left;
        }
        prop_assert_eq!(outcome, at_once);
    }

    #[test]
    fn listed_names_are_read_again(names in vec("[a-z0-9_]{1,40}", 0..20)) {
        let mut reply = BytesMut::from(&encode_names_head(4369)[..]);
        for (port, name) in (1..).zip(&names) {
            names_line(&mut reply, name.as_bytes(), port);
        }
        let read = decode_names(&reply).unwrap();
        let read: Vec<_> = read.iter().map(|(name, _)| name.to_string()).collect();
        prop_assert_eq!(read, names);
    }
}
