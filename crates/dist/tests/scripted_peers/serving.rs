//! Peers that ask for processes as real nodes rarely do.

use std::sync::Arc;

use pgmesh_dist::Functions;
use pgmesh_dist::terms::{Atom, Term};
use tokio::sync::Semaphore;

use crate::mailboxes::{Linked, REFERENCE, control, raw, theirs};
use crate::stage::Stage;

const NIL: &[u8] = &[106];
const MONITOR: &[u8] = b"\x6c\0\0\0\x01\x77\x07monitor\x6a";
const LINK: &[u8] = b"\x6c\0\0\0\x01\x77\x04link\x6a";
const WAIT: &[u8] = b"\x68\x03\x77\x01t\x77\x04wait\x61\0";
const EXECUTE_CALL: &[u8] = b"\x68\x03\x77\x04erpc\x77\x0cexecute_call\x61\x04";

struct Serving {
    peer: Linked,
    /// Lets so many calls of `t:wait` go on.
    gate: Arc<Semaphore>,
    _stage: Stage,
}

impl Serving {
    async fn start(max_calls: usize) -> Self {
        let mut stage = Stage::set().await;
        let gate = Arc::new(Semaphore::new(0));
        let waits = gate.clone();
        let wait = move |_| {
            let gate = waits.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Term::from(Atom::from("waited")))
            }
        };
        let functions = Functions::new().with("t", "wait", wait);
        stage.node.serve(functions.max_calls(max_calls)).unwrap();
        let mailbox = stage.node.mailbox().unwrap();
        let peer = Linked::to(&mut stage, &mailbox).await;
        Self {
            peer,
            gate,
            _stage: stage,
        }
    }

    /// Asks for a process, under this number or reference.
    async fn spawn(&mut self, request: &[u8], function: &[u8], options: &[u8], args: &[u8]) {
        let them = raw(theirs(1));
        let args = [&[131], args].concat();
        let parts = [request, &them, &them, function, options];
        self.peer.with_message(29, &parts, &args).await;
    }

    /// Expects a process; returns its pid.
    async fn expect_pid(&mut self, request: &[u8], flags: u8) -> Vec<u8> {
        let reply = self.peer.next_signal().await;
        pid_in(&reply, request, flags).expect("no process")
    }

    async fn expect_refusal(&mut self, request: &[u8], reason: &str) {
        let them = raw(theirs(1));
        let reason = raw(Atom::from(reason));
        let parts = [request, &them, &[97, 0], &reason];
        self.peer.expect(31, &parts).await;
    }
}

/// The pid in the answer to a request, if there is one.
fn pid_in(reply: &[u8], request: &[u8], flags: u8) -> Option<Vec<u8>> {
    let them = raw(theirs(1));
    let head = control(31, &[request, &them, &[97, flags], &[]]);
    let pid = reply.strip_prefix(&head[..])?;
    (pid[0] == 88).then(|| pid.to_vec())
}

#[tokio::test]
async fn flood_of_requests_runs_no_more_than_the_bound() {
    let mut serving = Serving::start(2).await;
    for number in 0..100 {
        serving.spawn(&[97, number], WAIT, MONITOR, NIL).await;
    }
    let first = serving.expect_pid(&[97, 0], 2).await;
    serving.expect_pid(&[97, 1], 2).await;
    for number in 2..100 {
        serving.expect_refusal(&[97, number], "system_limit").await;
    }
    serving.gate.add_permits(1);
    let them = raw(theirs(1));
    let normal = raw(Atom::from("normal"));
    let down = [&first[..], &them, &[97, 0], &normal];
    serving.peer.expect(21, &down).await;
}

#[tokio::test]
async fn process_that_was_ended_makes_room() {
    let mut serving = Serving::start(1).await;
    let them = raw(theirs(1));
    for number in 0..5 {
        let request = [97, number];
        // A place is free a little after its process has ended.
        let pid = loop {
            serving.spawn(&request, WAIT, LINK, NIL).await;
            let reply = serving.peer.next_signal().await;
            if let Some(pid) = pid_in(&reply, &request, 1) {
                break pid;
            }
            assert!(reply.ends_with(b"system_limit"), "{reply:?}");
        };
        serving
            .peer
            .signal(8, &[&them, &pid, b"\x77\x04kill"])
            .await;
        let killed = raw(Atom::from("killed"));
        serving.peer.expect(3, &[&pid, &them, &killed]).await;
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_or_fail() {
    let mut serving = Serving::start(9).await;
    serving.spawn(&[97, 1], b"\x77\x01t", NIL, NIL).await;
    serving.expect_refusal(&[97, 1], "notsup").await;
    serving.spawn(&[97, 2], WAIT, &[97, 1], NIL).await;
    serving.expect_refusal(&[97, 2], "badopt").await;
    // Arguments that are no list, too few, too deep or no term.
    let deep = [&[108, 0, 0, 0, 1].repeat(100_000)[..], NIL].concat();
    for args in [&[97, 1][..], NIL, &deep, &[255]] {
        serving.spawn(REFERENCE, EXECUTE_CALL, MONITOR, args).await;
        let pid = serving.expect_pid(REFERENCE, 2).await;
        let them = raw(theirs(1));
        let badarg = b"\x68\x02\x77\x06badarg\x6a";
        serving
            .peer
            .expect(21, &[&pid, &them, REFERENCE, badarg])
            .await;
    }
}
