//! Peers that send processes of ours what real nodes rarely send.

use pgmesh_dist::terms::{Atom, Pid, Reference, Term};
use pgmesh_dist::{Mailbox, MailboxEnded, NodeEvent, Received, ServerRef};
use pgmesh_testkit::PeerConnection;

use crate::stage::{Stage, VISIBLE, prove};

const PEER: &str = "peer@127.0.0.1";
const UNLINK_ID: u64 = 0x200_0000;
const NOPROC: &[u8] = b"\x77\x06noproc";
const KILLED: &[u8] = b"\x77\x06killed";
/// A reference of the peer.
pub(crate) const REFERENCE: &[u8] = b"\x5a\0\x01\x77\x0epeer@127.0.0.1\0\0\0\x09\0\0\0\x07";

/// A linked peer that speaks for its processes.
pub(crate) struct Linked {
    connection: PeerConnection,
    mailbox: Vec<u8>,
}

impl Linked {
    pub(crate) async fn to(stage: &mut Stage, mailbox: &Mailbox) -> Self {
        Self::with_flags(stage, mailbox, VISIBLE).await
    }

    async fn with_flags(stage: &mut Stage, mailbox: &Mailbox, flags: u64) -> Self {
        let (mut connection, said) = stage.call_in_with(flags, PEER).await;
        if said.unwrap() == b"salive" {
            connection.send(b"strue").await;
        }
        prove(&mut connection).await;
        let event = stage.next_link_event().await;
        assert!(matches!(event, NodeEvent::LinkUp { .. }), "{event:?}");
        let mailbox = raw(mailbox.pid().clone());
        Self {
            connection,
            mailbox,
        }
    }

    pub(crate) async fn signal(&mut self, op: u8, parts: &[&[u8]]) {
        self.with_message(op, parts, &[]).await;
    }

    pub(crate) async fn with_message(&mut self, op: u8, parts: &[&[u8]], message: &[u8]) {
        let body = [&control(op, parts)[..], message].concat();
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.connection.send_raw(&[&len[..], &body].concat()).await;
    }

    async fn message(&mut self, term: &[u8]) {
        let to = self.mailbox.clone();
        let message = [&[131], term].concat();
        self.with_message(2, &[b"\x77\0", &to], &message).await;
    }

    /// Expects this signal next, and nothing before it.
    pub(crate) async fn expect(&mut self, op: u8, parts: &[&[u8]]) {
        let signal = self.next_signal().await;
        assert_eq!(signal, control(op, parts));
    }

    pub(crate) async fn next_signal(&mut self) -> Vec<u8> {
        let len = self.connection.receive_raw(4).await.expect("link is over");
        let len = u32::from_be_bytes(len.try_into().unwrap());
        self.connection.receive_raw(len as usize).await.unwrap()
    }
}

pub(crate) fn control(op: u8, parts: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(1 + parts.len()).unwrap();
    [&[112, 131, 104, count, 97, op], &parts.concat()[..]].concat()
}

pub(crate) fn raw(term: impl Into<Term>) -> Vec<u8> {
    pgmesh_dist::terms::encode(&term.into())
        .unwrap()
        .split_off(1)
}

/// A process of the peer.
pub(crate) fn theirs(id: u32) -> Pid {
    Pid::new(PEER, id, 0, 9)
}

fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

async fn message(mailbox: &Mailbox) -> Term {
    match mailbox.recv().await.unwrap() {
        Received::Message(message) => message.decode().unwrap(),
        other => panic!("no message: {other:?}"),
    }
}

#[tokio::test]
async fn links_that_both_sides_end_and_begin_are_kept_apart() {
    let mut stage = Stage::set().await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &mailbox).await;
    let (us, pid) = (peer.mailbox.clone(), theirs(1));
    let them = raw(pid.clone());
    mailbox.link(&pid).await.unwrap();
    peer.expect(1, &[&us, &them]).await;
    mailbox.unlink(&pid);
    mailbox.unlink(&pid);
    let unlink = peer.next_signal().await;
    assert_eq!(unlink[..6], [112, 131, 104, 4, 97, 35]);
    let id = unlink[6..unlink.len() - us.len() - them.len()].to_vec();
    // What the peer sent before it heard of that.
    peer.signal(1, &[&them, &us]).await;
    peer.signal(
        36,
        &[b"\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\xff", &them, &us],
    )
    .await;
    let highest = b"\x6e\x08\0\xfe\xff\xff\xff\xff\xff\xff\xff";
    peer.signal(35, &[highest, &them, &us]).await;
    peer.expect(36, &[highest, &us, &them]).await;
    // A new link: the answer to the old one's end does not end it.
    mailbox.link(&pid).await.unwrap();
    peer.expect(1, &[&us, &them]).await;
    peer.signal(36, &[&id, &them, &us]).await;
    peer.signal(3, &[&them, &us, b"\x77\x03end"]).await;
    let broken = Received::LinkBroken {
        from: pid.clone(),
        reason: atom("end"),
    };
    assert_eq!(mailbox.recv().await, Ok(broken));
    // An exit that crosses our end of the link is not told.
    mailbox.link(&pid).await.unwrap();
    mailbox.unlink(&pid);
    peer.signal(3, &[&them, &us, b"\x77\x04late"]).await;
    peer.message(&[106]).await;
    assert_eq!(message(&mailbox).await, Term::from(eetf::List::nil()));
}

#[tokio::test]
async fn peer_of_an_old_release_gets_the_unlink_it_knows() {
    let mut stage = Stage::set().await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::with_flags(&mut stage, &mailbox, VISIBLE & !UNLINK_ID).await;
    let (us, pid) = (peer.mailbox.clone(), theirs(1));
    let them = raw(pid.clone());
    mailbox.link(&pid).await.unwrap();
    peer.expect(1, &[&us, &them]).await;
    mailbox.unlink(&pid);
    peer.expect(4, &[&us, &them]).await;
    peer.signal(1, &[&them, &us]).await;
    peer.signal(4, &[&them, &us]).await;
    peer.signal(3, &[&them, &us, b"\x77\x04late"]).await;
    peer.message(&[106]).await;
    assert_eq!(message(&mailbox).await, Term::from(eetf::List::nil()));
    // No link is left that its end would break.
    drop(mailbox);
    peer.signal(1, &[&them, &us]).await;
    peer.expect(3, &[&us, &them, NOPROC]).await;
}

#[tokio::test]
async fn full_mailbox_is_killed_and_says_so_while_others_live() {
    let mut stage = Stage::set_with(|config| config.max_mailbox = 4096).await;
    let full = stage.node.register("full").unwrap();
    let other = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &full).await;
    let (us, them) = (peer.mailbox.clone(), raw(theirs(1)));
    let name = b"\x77\x04full";
    peer.signal(19, &[&them, name, REFERENCE]).await;
    peer.signal(1, &[&them, &us]).await;
    for _ in 0..40 {
        peer.message(&[106]).await;
    }
    // In either order: these are two.
    let ends = [
        control(3, &[&us, &them, KILLED]),
        control(21, &[name, &them, REFERENCE, KILLED]),
    ];
    for _ in 0..2 {
        let end = peer.next_signal().await;
        assert!(ends.contains(&end), "{end:?}");
    }
    let ended = full.recv().await.unwrap_err();
    assert_eq!(ended, MailboxEnded::Overflowed { limit: 4096 });
    let successor = stage.node.register("full").unwrap();
    assert_ne!(successor.pid(), full.pid());
    peer.mailbox = raw(other.pid().clone());
    peer.message(b"\x77\x02hi").await;
    assert_eq!(message(&other).await, atom("hi"));
}

#[tokio::test]
async fn monitors_and_links_of_others_count_for_what_a_mailbox_holds() {
    let mut stage = Stage::set_with(|config| config.max_mailbox = 4096).await;
    let first = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &first).await;
    for op in [1, 19] {
        let mailbox = stage.node.mailbox().unwrap();
        peer.mailbox = raw(mailbox.pid().clone());
        let us = peer.mailbox.clone();
        // What they take back counts no longer.
        for id in 1..100 {
            let them = raw(theirs(id));
            match op {
                19 => {
                    peer.signal(19, &[&them, &us, REFERENCE]).await;
                    peer.signal(20, &[&them, &us, REFERENCE]).await;
                }
                _ => {
                    peer.signal(1, &[&them, &us]).await;
                    peer.signal(35, &[&[97, 1], &them, &us]).await;
                    peer.expect(36, &[&[97, 1], &us, &them]).await;
                }
            }
        }
        peer.message(&[106]).await;
        message(&mailbox).await;
        for id in 1..100 {
            let them = raw(theirs(id));
            match op {
                19 => {
                    let reference = raw(Reference {
                        node: Atom::from(PEER),
                        id: vec![id],
                        creation: 9,
                    });
                    peer.signal(19, &[&them, &us, &reference]).await;
                }
                _ => peer.signal(1, &[&them, &us]).await,
            }
        }
        let ended = mailbox.recv().await.unwrap_err();
        assert_eq!(ended.kind(), "overflowed", "{op}");
    }
}

#[tokio::test]
async fn what_is_unreadable_arrives_as_such() {
    let mut stage = Stage::set().await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &mailbox).await;
    let (us, pid) = (peer.mailbox.clone(), theirs(1));
    // #m:r{f = 1}, OTP 29's RECORD_EXT.
    let record = b"\x43\0\0\0\x01\0\x77\x01m\x77\x01r\x77\x01f\x61\x01";
    peer.message(record).await;
    peer.signal(8, &[&raw(pid.clone()), &us, record]).await;
    match mailbox.recv().await.unwrap() {
        Received::Message(message) => {
            assert_eq!(message.as_term().bytes(), record);
            assert_eq!(message.decode().unwrap_err().kind(), "unknown_tag");
        }
        other => panic!("{other:?}"),
    }
    let exit = Received::Exit {
        from: pid,
        reason: atom("unreadable"),
    };
    assert_eq!(mailbox.recv().await, Ok(exit));
}

#[tokio::test]
async fn end_of_a_monitor_counts_only_over_its_own_link() {
    let mut stage = Stage::set().await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &mailbox).await;
    let (us, them) = (peer.mailbox.clone(), raw(theirs(1)));
    let monitor = mailbox.monitor(&theirs(1)).await.unwrap();
    let reference = raw(monitor.clone());
    peer.expect(19, &[&us, &them, &reference]).await;
    // The older link is lost with the newer one's coming, and its monitors with it.
    let mut newer = Linked::to(&mut stage, &mailbox).await;
    let down = Received::Down {
        monitor,
        target: ServerRef::from(theirs(1)),
        reason: atom("noconnection"),
    };
    assert_eq!(mailbox.recv().await, Ok(down));
    let monitor = mailbox
        .monitor(("x", &PEER.parse().unwrap()))
        .await
        .unwrap();
    let again = raw(monitor.clone());
    newer.expect(19, &[&us, b"\x77\x01x", &again]).await;
    // Another node says something about it, and of one that is over.
    let (mut other, _) = stage.call_in("other@127.0.0.1").await;
    prove(&mut other).await;
    let mut other = Linked {
        connection: other,
        mailbox: us.clone(),
    };
    other.signal(21, &[b"\x77\x01x", &us, &again, KILLED]).await;
    other.message(b"\x77\x02hi").await;
    assert_eq!(message(&mailbox).await, atom("hi"));
    newer.signal(21, &[&them, &us, &reference, KILLED]).await;
    newer.message(b"\x77\x02hi").await;
    assert_eq!(message(&mailbox).await, atom("hi"));
    assert!(mailbox.demonitor(&monitor));
    newer.expect(20, &[&us, b"\x77\x01x", &again]).await;
}

#[tokio::test]
async fn mailbox_that_ends_takes_its_monitors_back() {
    let mut stage = Stage::set().await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &mailbox).await;
    let (us, them) = (peer.mailbox.clone(), raw(theirs(1)));
    peer.signal(19, &[&them, &us, REFERENCE]).await;
    peer.signal(20, &[&them, &us, REFERENCE]).await;
    peer.message(&[106]).await;
    message(&mailbox).await;
    let monitor = raw(mailbox.monitor(&theirs(1)).await.unwrap());
    peer.expect(19, &[&us, &them, &monitor]).await;
    drop(mailbox);
    // Nobody monitors it any more, so this is all.
    peer.expect(20, &[&us, &them, &monitor]).await;
    peer.signal(19, &[&them, &us, REFERENCE]).await;
    peer.expect(21, &[&us, &them, REFERENCE, NOPROC]).await;
}

/// A peer that reads nothing makes its senders wait, and nobody else; it does not lose
/// its link.
#[tokio::test]
async fn sending_waits_for_room() {
    let mut stage = Stage::set_with(|config| config.max_frame = 512 * 1024).await;
    let mailbox = stage.node.mailbox().unwrap();
    let mut peer = Linked::to(&mut stage, &mailbox).await;
    let other = stage.node.mailbox().unwrap();
    let (mut reader, _) = stage.call_in("reader@127.0.0.1").await;
    prove(&mut reader).await;
    let mut reader = Linked {
        connection: reader,
        mailbox: raw(other.pid().clone()),
    };
    let large = Term::from(eetf::Binary::from(vec![7; 100_000]));
    let send = async {
        for _ in 0..300 {
            mailbox.send(&theirs(1), &large).await.unwrap();
        }
    };
    let read = async {
        let queued = || stage.node.traffic().total.queued_bytes;
        pgmesh_testkit::eventually("much is queued", || (queued() > 250_000).then_some(())).await;
        for n in 0..100 {
            reader.message(&[97, n]).await;
            assert_eq!(message(&other).await, Term::from(eetf::FixInteger::from(n)));
            let them = Pid::new("reader@127.0.0.1", 1, 0, 9);
            other.send(&them, &large).await.unwrap();
            reader.next_signal().await;
        }
        for _ in 0..300 {
            assert!(queued() < 400_000);
            peer.next_signal().await;
        }
    };
    tokio::join!(send, read);
}
