use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::link::signals;
use crate::node::{ServerRef, own_reference};

const LIMIT: usize = 1024 * 1024;
const LINKS: [LinkId; 2] = [LinkId(1), LinkId(2)];

fn identity() -> Identity {
    Identity {
        name: "m@h".parse().unwrap(),
        creation: 5,
    }
}

fn reference(number: u64) -> (u64, Vec<u8>) {
    (number, raw(own_reference::reference(&identity(), number)))
}

fn theirs(id: u32) -> Pid {
    Pid::new("a@h", id, 0, 9)
}

/// A frame, as it arrives.
fn arrive(processes: &mut Processes, number: u32, link: LinkId, frame: &[u8]) -> Vec<Outgoing> {
    let body = &frame[crate::link::LENGTH..];
    let control = Control::parse(body).unwrap();
    processes.signal(number, link, &control, Body::Borrowed(body))
}

#[test]
fn number_of_a_living_process_is_not_given_again() {
    let mut processes = Processes::default();
    let first = processes.open(&identity(), None, LIMIT).unwrap().number;
    let watch = processes.open_watch();
    processes.count = 0;
    let again = processes.open(&identity(), None, LIMIT).unwrap().number;
    assert!(again != first && again != watch);
    processes.close_watch(watch);
    processes.count = 0;
    assert_eq!(processes.open_watch(), watch);
}

#[test]
fn watch_is_no_process() {
    let mut processes = Processes::default();
    let watch = processes.open_watch();
    assert!(processes.lives(watch));
    assert_eq!(processes.find(Receiver::Number(watch)), None);
    assert!(processes.kill(watch, MailboxEnded::Killed).is_empty());
    assert!(processes.lives(watch));
}

#[test]
fn end_frees_name_and_aliases() {
    let mut processes = Processes::default();
    let number = processes
        .open(&identity(), Some("x"), LIMIT)
        .unwrap()
        .number;
    processes.add_alias(number, 7);
    let (name, alias) = (Receiver::Name("x"), Receiver::Alias(7));
    assert_eq!(
        (processes.find(name), processes.find(alias)),
        (Some(number), Some(number))
    );
    processes.kill(number, MailboxEnded::Killed);
    assert_eq!((processes.find(name), processes.find(alias)), (None, None));
    assert!(processes.names.is_empty() && processes.aliases.is_empty());
    assert!(!processes.remove_alias(number, 7));
}

/// Whatever one end does to the other.
#[derive(Clone, Debug)]
enum Step {
    Arrives(u8, u32, u64),
    Link(u32),
    Unlink(u32),
    Monitor(u32),
    Demonitor(u64),
    MonitorNode,
    /// Whether somebody waits for the answer.
    Spawn(bool),
    Abandon(u64),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        (0..11_u8, 1..3_u32, 1..4_u64).prop_map(|(kind, id, n)| Step::Arrives(kind, id, n)),
        (1..3_u32).prop_map(Step::Link),
        (1..3_u32).prop_map(Step::Unlink),
        (1..3_u32).prop_map(Step::Monitor),
        (1..9_u64).prop_map(Step::Demonitor),
        Just(Step::MonitorNode),
        any::<bool>().prop_map(Step::Spawn),
        (1..9_u64).prop_map(Step::Abandon),
    ];
    (0..2_usize, step)
}

fn frame(kind: u8, us: &[u8], id: u32, number: u64) -> bytes::Bytes {
    let them = raw(theirs(id));
    let (_, reference) = reference(number);
    match kind {
        0 => signals::send(us, &[&[106]]),
        1 => signals::link(&them, us),
        2 => signals::unlink(&them, us),
        3 => signals::unlink_id(number, &them, us),
        4 => signals::unlink_id_ack(&[97, 3], &them, us),
        5 => signals::exit(&them, us, &[106]),
        6 => signals::monitor(&them, us, &reference),
        7 => signals::demonitor(&them, us, &reference),
        8 => signals::spawn_reply(&reference, us, 3, &them),
        9 => signals::spawn_reply(&reference, us, 0, b"\x77\x01x"),
        _ => signals::monitor_exit(&them, us, &reference, &[106]),
    }
}

fn take(processes: &mut Processes, opened: &Opened, count: u64, (at, step): (usize, Step)) {
    let (link, number) = (LINKS[at], opened.number);
    if let Step::Arrives(kind, id, of) = step {
        let frame = frame(kind, &raw(opened.pid.clone()), id, of);
        arrive(processes, number, link, &frame);
        return;
    }
    let process = processes.get_mut(number).unwrap();
    match step {
        Step::Link(id) => drop(process.link(link, &theirs(id)).unwrap()),
        Step::Unlink(id) => drop(process.unlink(&theirs(id), |_| Some(3))),
        Step::Monitor(id) => {
            let target = ServerRef::from(theirs(id));
            drop(process.monitor(link, target, reference(count)).unwrap());
        }
        Step::Demonitor(of) => drop(process.demonitor(of)),
        Step::MonitorNode => process.monitor_node("a@h".parse().unwrap(), link).unwrap(),
        Step::Spawn(somebody_waits) => {
            let (reply, receiver) = oneshot::channel();
            let (number, reference) = reference(count);
            let request = SpawnRequest {
                number,
                reference,
                leader: vec![106],
                function: &[106],
                options: &[106],
                args: &[106],
            };
            drop(process.spawn(link, request, reply).unwrap());
            if somebody_waits {
                std::mem::forget(receiver);
            }
        }
        Step::Abandon(of) => drop(process.abandon(of, None)),
        Step::Arrives(..) => {}
    }
}

proptest! {
    /// What is counted is given back, or a mailbox would be killed for nothing.
    #[test]
    fn nothing_is_held_once_all_is_over(steps in prop::collection::vec(step(), 0..60)) {
        let mut processes = Processes::default();
        let opened = processes.open(&identity(), None, LIMIT).unwrap();
        for (count, step) in (1..).zip(steps) {
            take(&mut processes, &opened, count, step);
        }
        for link in LINKS {
            processes.link_lost(link);
        }
        opened.inbox.flush(|_| true);
        prop_assert_eq!(opened.inbox.bytes(), 0);
        // And nobody is left to be told of its end.
        prop_assert!(processes.kill(opened.number, MailboxEnded::Killed).is_empty());
    }
}
