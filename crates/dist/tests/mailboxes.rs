//! Mailboxes of one node, and of two of ours.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgmesh_dist::terms::{Atom, Term};
use pgmesh_dist::{
    Answer, CallLimits, Caller, Cookie, Functions, GenServer, Mailbox, MailboxEnded, Node,
    NodeConfig, NodeEvents, Received, Request, ServerRef,
};
use pgmesh_testkit::{ScratchEpmd, eventually};
use tokio::sync::{Semaphore, mpsc};

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(10),
    answer_bytes: 1024,
};

fn config(epmd: &ScratchEpmd, name: &str) -> NodeConfig {
    let mut config = NodeConfig::new(name.parse().unwrap(), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config
}

async fn start(epmd: &ScratchEpmd, name: &str) -> (Node, NodeEvents) {
    Node::start(config(epmd, name)).await.unwrap()
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
async fn processes_of_one_node_are_to_each_other_what_others_are() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let (a, b) = (node.mailbox().unwrap(), node.register("b").unwrap());
    a.send("b", &atom("by name")).await.unwrap();
    a.send(("b", node.name().unwrap()), &atom("in full"))
        .await
        .unwrap();
    a.send(b.pid(), &atom("by pid")).await.unwrap();
    node.send(&b.alias(), &atom("by alias")).await.unwrap();
    a.send("nobody", &atom("lost")).await.unwrap();
    for expected in ["by name", "in full", "by pid", "by alias"] {
        assert_eq!(message(&b).await, atom(expected));
    }
    let monitor = a.monitor("b").await.unwrap();
    a.link(b.pid()).await.unwrap();
    a.link(a.pid()).await.unwrap();
    let (pid, reason) = (b.pid().clone(), atom("enough"));
    b.exit(&reason).unwrap();
    let target = ServerRef::from("b");
    let broken = Received::LinkBroken {
        from: pid.clone(),
        reason: reason.clone(),
    };
    let down = Received::Down {
        monitor,
        target: target.clone(),
        reason,
    };
    assert_eq!(a.recv().await, Ok(broken));
    assert_eq!(a.recv().await, Ok(down));
    let reason = atom("noproc");
    let monitor = a.monitor("b").await.unwrap();
    let down = Received::Down {
        monitor,
        target,
        reason: reason.clone(),
    };
    assert_eq!(a.recv().await, Ok(down));
    a.link(&pid).await.unwrap();
    let broken = Received::LinkBroken { from: pid, reason };
    assert_eq!(a.recv().await, Ok(broken));
    a.send_exit(a.pid(), &atom("kill")).await.unwrap();
    assert_eq!(a.recv().await, Err(MailboxEnded::Killed));
}

#[tokio::test]
async fn what_came_before_a_monitor_was_ended_is_not_told_after() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let (a, b) = (node.mailbox().unwrap(), node.mailbox().unwrap());
    let monitor = a.monitor(b.pid()).await.unwrap();
    a.link(b.pid()).await.unwrap();
    let pid = b.pid().clone();
    drop(b);
    a.send(a.pid(), &atom("last")).await.unwrap();
    assert!(!a.demonitor(&monitor), "it has fired");
    a.unlink(&pid);
    assert_eq!(message(&a).await, atom("last"));
}

#[tokio::test]
async fn process_of_our_own_node_is_called_like_any_other() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let server = node.register("server").unwrap();
    let ask = atom("ask");
    let (called, ()) = tokio::join!(node.gen_call("server", &ask, LIMITS), async {
        let Request::Call { from, request } = Request::from(message(&server).await) else {
            panic!("no call");
        };
        assert_eq!(request, ask);
        node.reply(&from, &atom("answer")).await.unwrap();
    });
    assert_eq!(called.unwrap(), atom("answer"));
    node.gen_cast("server", &atom("told")).await.unwrap();
    let cast = Request::from(message(&server).await);
    assert_eq!(cast, Request::Cast(atom("told")));
    let pid = server.pid().clone();
    let (called, ()) = tokio::join!(node.gen_call(&pid, &ask, LIMITS), async {
        message(&server).await;
        server.exit(&atom("enough")).unwrap();
    });
    let error = called.unwrap_err();
    assert_eq!(error.kind(), "down");
    assert!(error.to_string().ends_with("'enough'"), "{error}");
}

#[tokio::test]
async fn names_are_one_mailboxs_at_a_time() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let first = node.register("x").unwrap();
    assert_eq!(first.name(), Some("x"));
    assert_eq!(node.register("x").unwrap_err().kind(), "name_taken");
    drop(first);
    node.register("x").unwrap();
    for bad in ["", "undefined", "net_kernel", &"x".repeat(256)] {
        let refused = node.register(bad).unwrap_err();
        assert_eq!(refused.kind(), "bad_name", "{bad}");
    }
    let config = config(&epmd, "b@127.0.0.1");
    let (dynamic, _events) = Node::dynamic(config);
    assert_eq!(dynamic.mailbox().unwrap_err().kind(), "no_node_name");
    let to = ("x", node.name().unwrap());
    let unnamed = dynamic.send(to, &atom("hi")).await;
    assert_eq!(unnamed.unwrap_err().kind(), "bad_node_name");
}

#[tokio::test]
async fn last_words_are_heard_once_they_are_flushed() {
    const MESSAGES: usize = 200;
    let epmd = ScratchEpmd::start().await;
    let (a, _a_events) = start(&epmd, "a@127.0.0.1").await;
    let (b, _b_events) = start(&epmd, "b@127.0.0.1").await;
    let there = b.register("there").unwrap();
    let said = Term::from("x".repeat(60_000));
    for _ in 0..MESSAGES {
        a.send(("there", b.name().unwrap()), &said).await.unwrap();
    }
    a.flush().await;
    assert_eq!(a.traffic().total.queued_bytes, 0);
    a.stop();
    for _ in 0..MESSAGES {
        assert_eq!(message(&there).await, said);
    }
}

/// Takes its time to end.
struct Slow {
    entered: mpsc::UnboundedSender<()>,
    gate: Arc<Semaphore>,
}

impl GenServer for Slow {
    async fn handle_call(&mut self, request: Term, _: Caller, _: &Mailbox) -> Answer {
        Answer::Stop {
            reason: atom("normal"),
            reply: Some(request),
        }
    }

    async fn terminate(&mut self, _: &Term, _: &Mailbox) {
        self.entered.send(()).unwrap();
        self.gate.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn server_that_stops_replies_once_it_has_tidied_up() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let (entered, mut has_entered) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let server = Slow {
        entered,
        gate: gate.clone(),
    };
    let server = tokio::spawn(node.register("slow").unwrap().run(server));
    let request = atom("bye");
    let call = node.gen_call(("slow", node.name().unwrap()), &request, LIMITS);
    tokio::pin!(call);
    tokio::select! {
        biased;
        reply = &mut call => panic!("{reply:?}"),
        entered = has_entered.recv() => assert_eq!(entered, Some(())),
    }
    // What it has said by now would have come.
    tokio::select! {
        biased;
        reply = &mut call => panic!("{reply:?}"),
        () = tokio::task::yield_now() => {}
    }
    gate.add_permits(1);
    assert_eq!(call.await.unwrap(), request);
    assert_eq!(server.await.unwrap(), Ok(atom("normal")));
}

#[tokio::test]
async fn call_of_our_own_process_ends_with_the_node() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let silent = node.register("silent").unwrap();
    let request = atom("ask");
    let hour = CallLimits {
        time: Duration::from_secs(3600),
        ..LIMITS
    };
    let call = node.gen_call(("silent", node.name().unwrap()), &request, hour);
    let stop = async {
        message(&silent).await;
        node.stop();
    };
    let (called, ()) = tokio::join!(tokio::time::timeout(LIMITS.time, call), stop);
    let error = called.expect("it waits on").unwrap_err();
    assert_eq!(error.kind(), "link_lost");
}

/// Functions of a node may use the node.
#[tokio::test]
async fn what_is_served_is_let_go_with_the_node() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let (kept, mailbox) = (Arc::new(()), node.mailbox().unwrap());
    let held = (kept.clone(), node.clone(), mailbox);
    let functions = Functions::new().with("m", "f", move |_| {
        let _ = &held;
        async { Ok(atom("hi")) }
    });
    node.serve(functions).unwrap();
    node.stop();
    eventually("the functions are gone", || {
        (Arc::strong_count(&kept) == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn mailboxes_end_with_their_node() {
    let epmd = ScratchEpmd::start().await;
    let (node, _events) = start(&epmd, "a@127.0.0.1").await;
    let mailbox = node.mailbox().unwrap();
    let (ended, ()) = tokio::join!(mailbox.recv(), async { node.stop() });
    assert_eq!(ended, Err(MailboxEnded::NodeStopped));
    assert_eq!(node.mailbox().unwrap_err().kind(), "node_stopped");
    let sent = mailbox.send(mailbox.pid(), &atom("late")).await;
    assert_eq!(sent.unwrap_err().kind(), "node_stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_share_a_mailbox_and_nothing_is_lost() {
    let epmd = ScratchEpmd::start().await;
    let (a, _a_events) = start(&epmd, "a@127.0.0.1").await;
    let (b, _b_events) = start(&epmd, "b@127.0.0.1").await;
    let shared = Arc::new(a.register("shared").unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        tokio::spawn(receive_all(shared.clone(), count.clone()));
    }
    let sender = b.mailbox().unwrap();
    let to = ("shared", a.name().unwrap());
    for _ in 0..2000 {
        sender.send(to, &atom("one")).await.unwrap();
    }
    eventually("all have come", || {
        (count.load(Ordering::Relaxed) == 2000).then_some(())
    })
    .await;
}

/// Counts what comes; cancelled again and again, it is to lose nothing.
async fn receive_all(mailbox: Arc<Mailbox>, count: Arc<AtomicUsize>) {
    loop {
        tokio::select! {
            biased;
            received = mailbox.recv() => match received {
                Ok(_) => count.fetch_add(1, Ordering::Relaxed),
                Err(_) => return,
            },
            () = tokio::task::yield_now() => 0,
        };
    }
}
