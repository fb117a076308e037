//! Processes of ours and of real nodes: messages, monitors, links, exits, aliases.

use pgmesh_dist::terms::{Atom, Pid, Term};
use pgmesh_dist::{Mailbox, MailboxEnded, Node, NodeConfig, NodeEvents, Received, ServerRef};

use crate::beam::{Beam, LIMITS, evaluate, name, our_node_with};
use crate::place::Place;

/// A node of ours, linked to one of OTP's.
pub(crate) struct Pair {
    pub(crate) node: Node,
    pub(crate) beam: Beam,
    _events: NodeEvents,
    epmd: Place,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let epmd = Place::start().await;
        let (node, events) = our_node_with(&epmd, "m@host", change).await;
        let beam = Beam::start(&epmd, "a@host", &[]).await;
        node.connect(&beam.name, true).await.unwrap();
        Self {
            node,
            beam,
            _events: events,
            epmd,
        }
    }

    pub(crate) fn epmd(&self) -> &Place {
        &self.epmd
    }

    pub(crate) fn open(&self) -> Mailbox {
        self.node.register("box").unwrap()
    }

    /// What code gives there, as text. `Box` is our mailbox by its name, and `Next`
    /// waits for a message.
    pub(crate) async fn erl(&self, code: &str) -> String {
        let code = format!(
            "Box = {{box, 'm@host'}}, \
             Next = fun() -> receive Any -> Any after 10000 -> nothing end end, {code}."
        );
        evaluate(&self.node, &self.beam.name, &code).await
    }

    /// Spawns a process there that does this, with a `Next` of its own.
    pub(crate) async fn spawn(&self, mailbox: &Mailbox, code: &str) -> Pid {
        // It says nothing before we have its pid.
        let code = format!(
            "Spawned = spawn(fun() -> receive go -> ok end, {code} end), \
             Box ! Spawned, Spawned ! go, ok"
        );
        assert_eq!(self.erl(&code).await, "'ok'");
        match message(mailbox).await {
            Term::Pid(pid) => pid,
            other => panic!("no pid: {other}"),
        }
    }

    /// What `process_info` says there of a process of theirs.
    pub(crate) async fn info(&self, mailbox: &Mailbox, pid: &Pid, item: &str) -> String {
        let code =
            format!("Box ! {{ask, self()}}, P = Next(), element(2, process_info(P, {item}))");
        let (told, ()) = tokio::join!(self.erl(&code), async {
            let asking = sender(message(mailbox).await);
            let pid = Term::from(pid.clone());
            mailbox.send(&asking, &pid).await.unwrap();
        });
        told
    }

    /// How often a process of theirs is monitored from here. Others may do that, too: the
    /// code server does while it loads what the process waits for.
    pub(crate) async fn our_monitors(&self, mailbox: &Mailbox, pid: &Pid) -> usize {
        let by = self.info(mailbox, pid, "monitored_by").await;
        by.matches("m@host").count()
    }
}

/// The pid in `{_, Pid}`.
pub(crate) fn sender(message: Term) -> Pid {
    match message {
        Term::Tuple(tuple) => match &tuple.elements[1] {
            Term::Pid(pid) => pid.clone(),
            other => panic!("no pid: {other}"),
        },
        other => panic!("no tuple: {other}"),
    }
}

async fn next(mailbox: &Mailbox) -> Received {
    let next = tokio::time::timeout(LIMITS.time, mailbox.recv());
    next.await.expect("nothing came in time").unwrap()
}

pub(crate) async fn message(mailbox: &Mailbox) -> Term {
    match next(mailbox).await {
        Received::Message(message) => message.decode().unwrap(),
        other => panic!("no message: {other:?}"),
    }
}

pub(crate) async fn ready(mailbox: &Mailbox) {
    assert_eq!(message(mailbox).await, atom("ready"));
}

pub(crate) fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

pub(crate) fn tuple(first: impl Into<Term>, second: impl Into<Term>) -> Term {
    Term::from(eetf::Tuple::from(vec![first.into(), second.into()]))
}

fn integer(value: i32) -> Term {
    Term::from(eetf::FixInteger::from(value))
}

pub(crate) const SLEEP: &str = "receive stop -> ok end";
const DOWN: &str =
    "receive {'DOWN', Ref, process, Who, Why} -> {Who, Why} after 10000 -> nothing end";
const EXIT: &str = "receive {'EXIT', P, Why} -> Why after 10000 -> nothing end";

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let echo = "F = fun L() -> receive {P, M} -> P ! {echo, M}, L() end end, F()";
    let echo = pair
        .spawn(
            &mailbox,
            &format!("register(echo, self()), Box ! ready, {echo}"),
        )
        .await;
    ready(&mailbox).await;
    let me = || Term::from(mailbox.pid().clone());
    for n in 0..1000 {
        let sent = tuple(me(), integer(n));
        match n % 2 {
            0 => mailbox.send(&echo, &sent).await.unwrap(),
            _ => mailbox
                .send(("echo", &pair.beam.name), &sent)
                .await
                .unwrap(),
        }
    }
    for n in 0..1000 {
        assert_eq!(message(&mailbox).await, tuple(atom("echo"), integer(n)));
    }
}

#[tokio::test]
async fn terms_that_have_traps_arrive_as_they_are() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let long = Term::from("x".repeat(70_000));
    let negative = Term::from(eetf::List::from(vec![integer(-1), integer(255)]));
    for (sent, expression, expected) in [
        (long, "length(M)", "70000"),
        (negative, "M =:= [-1, 255]", "'true'"),
        (Term::from(mailbox.alias()), "is_reference(M)", "'true'"),
        (atom("ä"), "atom_to_list(M)", "[228]"),
    ] {
        let code = format!("Box ! {{ask, self()}}, M = Next(), {expression}");
        let (told, ()) = tokio::join!(pair.erl(&code), async {
            let asking = sender(message(&mailbox).await);
            mailbox.send(&asking, &sent).await.unwrap();
        });
        assert!(
            told == expected || told.ends_with(expected),
            "{expression}: {told}"
        );
    }
}

#[tokio::test]
async fn monitors_of_a_mailbox_fire_there() {
    let pair = Pair::start().await;
    let by_name = format!("Ref = monitor(process, Box), Box ! ready, {DOWN}");
    let mailbox = pair.open();
    let (told, ()) = tokio::join!(pair.erl(&by_name), async {
        ready(&mailbox).await;
        let other = pair.node.register("box").unwrap_err();
        assert_eq!(other.kind(), "name_taken");
        drop(mailbox);
    });
    assert_eq!(told, "{{'box','m@host'},'normal'}");
    // Its name is free, and nobody has it.
    let nobody = format!("Ref = monitor(process, Box), {DOWN}");
    assert_eq!(pair.erl(&nobody).await, "{{'box','m@host'},'noproc'}");
    let mailbox = pair.open();
    let by_pid = format!(
        "Box ! {{ask, self()}}, P = Next(), Gone = monitor(process, P), demonitor(Gone), \
         Ref = monitor(process, P), P ! ready, element(2, {DOWN})"
    );
    let (told, ()) = tokio::join!(pair.erl(&by_pid), async {
        let asking = sender(message(&mailbox).await);
        let me = Term::from(mailbox.pid().clone());
        mailbox.send(&asking, &me).await.unwrap();
        ready(&mailbox).await;
        mailbox.exit(&tuple(atom("gone"), integer(7))).unwrap();
    });
    assert_eq!(told, "{'gone',7}");
}

#[tokio::test]
async fn monitors_of_processes_there_fire_here() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let pid = pair
        .spawn(&mailbox, "receive stop -> exit(stopped) end")
        .await;
    let unwanted = mailbox.monitor(&pid).await.unwrap();
    let monitor = mailbox.monitor(&pid).await.unwrap();
    assert!(mailbox.demonitor(&unwanted) && !mailbox.demonitor(&unwanted));
    assert_eq!(pair.our_monitors(&mailbox, &pid).await, 1);
    mailbox.send(&pid, &atom("stop")).await.unwrap();
    let down = |monitor, target, reason| Received::Down {
        monitor,
        target,
        reason: atom(reason),
    };
    let expected = down(monitor.clone(), ServerRef::from(&pid), "stopped");
    assert_eq!(next(&mailbox).await, expected);
    assert!(!mailbox.demonitor(&monitor), "it has fired");
    let nobody = ServerRef::from(("nobody", &pair.beam.name));
    for target in [ServerRef::from(&pid), nobody] {
        let monitor = mailbox.monitor(target.clone()).await.unwrap();
        assert_eq!(next(&mailbox).await, down(monitor, target, "noproc"));
    }
    // A mailbox that ends leaves no monitor behind.
    let sleeper = pair.spawn(&mailbox, SLEEP).await;
    let other = pair.node.mailbox().unwrap();
    other.monitor(&sleeper).await.unwrap();
    drop(other);
    assert_eq!(pair.our_monitors(&mailbox, &sleeper).await, 0);
}

#[tokio::test]
async fn links_to_processes_there_break_both_ways() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let trapping = format!(
        "process_flag(trap_exit, true), Box ! ready, {}",
        "receive {'EXIT', _, Why} -> Box ! {why, Why} end, receive stop -> exit(stopped) end"
    );
    let pid = pair.spawn(&mailbox, &trapping).await;
    ready(&mailbox).await;
    // Ours ends.
    let other = pair.node.mailbox().unwrap();
    other.link(&pid).await.unwrap();
    other.link(&pid).await.unwrap();
    other.exit(&atom("enough")).unwrap();
    assert_eq!(message(&mailbox).await, tuple(atom("why"), atom("enough")));
    // An end of the link that both know of, and a new one.
    mailbox.link(&pid).await.unwrap();
    mailbox.unlink(&pid);
    assert_eq!(pair.info(&mailbox, &pid, "links").await, "[]");
    mailbox.link(&pid).await.unwrap();
    // Theirs ends.
    mailbox.send(&pid, &atom("stop")).await.unwrap();
    let broken = |from: &Pid, reason| Received::LinkBroken {
        from: from.clone(),
        reason: atom(reason),
    };
    assert_eq!(next(&mailbox).await, broken(&pid, "stopped"));
    mailbox.link(&pid).await.unwrap();
    assert_eq!(next(&mailbox).await, broken(&pid, "noproc"));
    // An exit signal kills whoever does not trap it.
    let sleeper = pair.spawn(&mailbox, SLEEP).await;
    mailbox.link(&sleeper).await.unwrap();
    mailbox.send_exit(&sleeper, &atom("kill")).await.unwrap();
    assert_eq!(next(&mailbox).await, broken(&sleeper, "killed"));
}

#[tokio::test]
async fn links_and_exits_from_there_arrive_here() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let with_pid = "process_flag(trap_exit, true), Box ! {ask, self()}, P = Next()";
    let tell = async || {
        let asking = sender(message(&mailbox).await);
        let me = Term::from(mailbox.pid().clone());
        mailbox.send(&asking, &me).await.unwrap();
        asking
    };
    // A link that they make and end, and one that ends with them.
    let code = format!("{with_pid}, link(P), unlink(P), link(P), P ! ready, exit(bye)");
    let code = format!("Box ! spawn(fun() -> {code} end), ok");
    pair.erl(&code).await;
    let Term::Pid(spawned) = message(&mailbox).await else {
        panic!("no pid");
    };
    assert_eq!(tell().await, spawned);
    ready(&mailbox).await;
    let broken = Received::LinkBroken {
        from: spawned,
        reason: atom("bye"),
    };
    assert_eq!(next(&mailbox).await, broken);
    // Exit signals are news, but for kill.
    let code = format!("{with_pid}, exit(P, please), link(P), Next(), exit(P, kill), {EXIT}");
    let (told, asking) = tokio::join!(pair.erl(&code), async {
        let asking = tell().await;
        let exit = Received::Exit {
            from: asking.clone(),
            reason: atom("please"),
        };
        assert_eq!(next(&mailbox).await, exit);
        mailbox.send(&asking, &atom("go on")).await.unwrap();
        asking
    });
    assert_eq!(told, "'killed'");
    assert_eq!(mailbox.recv().await, Err(MailboxEnded::Killed));
    let sent = mailbox.send(&asking, &atom("late")).await;
    assert_eq!(sent.unwrap_err().kind(), "killed");
    pair.open();
}

#[tokio::test]
async fn node_that_ends_is_told_to_all_who_have_to_do_with_it() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let (linked, monitored) = (
        pair.spawn(&mailbox, SLEEP).await,
        pair.spawn(&mailbox, SLEEP).await,
    );
    mailbox.link(&linked).await.unwrap();
    let monitor = mailbox.monitor(&monitored).await.unwrap();
    let a = name("a@host");
    mailbox.monitor_node(&a).await.unwrap();
    mailbox.monitor_node(&a).await.unwrap();
    drop(pair.beam);
    let noconnection = || atom("noconnection");
    let broken = Received::LinkBroken {
        from: linked,
        reason: noconnection(),
    };
    assert_eq!(next(&mailbox).await, broken);
    let down = Received::Down {
        monitor,
        target: ServerRef::from(&monitored),
        reason: noconnection(),
    };
    assert_eq!(next(&mailbox).await, down);
    assert_eq!(next(&mailbox).await, Received::NodeDown(a.clone()));
    let failed = mailbox.send(&monitored, &atom("late")).await.unwrap_err();
    assert!(failed.is_retryable(), "{failed}");
    assert!(mailbox.monitor_node(&a).await.is_err());
}

#[tokio::test]
async fn node_that_is_not_linked_is_dialled() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let pid = pair.spawn(&mailbox, "receive go -> Box ! ready end").await;
    mailbox.monitor_node(&pair.beam.name).await.unwrap();
    pair.node.disconnect(&pair.beam.name);
    let down = Received::NodeDown(pair.beam.name.clone());
    assert_eq!(next(&mailbox).await, down);
    assert!(pair.node.linked().is_empty());
    mailbox.send(&pid, &atom("go")).await.unwrap();
    ready(&mailbox).await;
}
