//! Calls by spawn requests, and processes begun on real nodes.

use std::time::Duration;

use pgmesh_dist::terms::{Pid, Term};
use pgmesh_dist::{CallLimits, ErpcError, Functions, Mailbox, Received, SpawnError};

use crate::beam::{LIMITS, name};
use crate::mailboxes::{Pair, atom, message, tuple};
use crate::place::placed;

fn list(elements: Vec<Term>) -> Term {
    Term::from(eetf::List::from(elements))
}

fn text(term: &Term) -> String {
    term.to_string().replace('\'', "")
}

async fn call(
    pair: &Pair,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<Term, ErpcError> {
    let a = &pair.beam.name;
    pair.node.erpc_call(a, module, function, args, LIMITS).await
}

#[tokio::test]
async fn results_exceptions_and_signals_are_told_apart() {
    let pair = Pair::start().await;
    let result = call(&pair, "erlang", "atom_to_list", vec![atom("hi")]).await;
    assert_eq!(result.unwrap(), Term::from("hi".to_owned()));
    // What looks like a failure of rpc is a result here.
    let odd = tuple(atom("badrpc"), atom("x"));
    let result = call(&pair, "erlang", "hd", vec![list(vec![odd.clone()])]).await;
    assert_eq!(result.unwrap(), odd);
    for (function, kind, reason) in [
        ("error", "raised_error", "error: oops"),
        ("exit", "raised_exit", "exit: oops"),
        ("throw", "raised_throw", "throw: oops"),
    ] {
        let error = call(&pair, "erlang", function, vec![atom("oops")])
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false));
        let ErpcError::Raised { raised, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(raised.to_string().replace('\'', ""), reason);
    }
    let undefined = call(&pair, "nosuch", "f", vec![atom("x")]).await;
    let Err(ErpcError::Raised { raised, .. }) = undefined else {
        panic!("{undefined:?}");
    };
    assert_eq!(raised.exception.reason, atom("undef"));
    assert_eq!(text(&raised.stack), "[{nosuch,f,[x],[]}]");
    // Ended from outside: by itself, with a signal that cannot be caught.
    let kill = "exit(self(), kill)";
    let error = apply(&pair, kill).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().ends_with("'killed'")),
        ("signal", true)
    );
    // What it prints does not make it fail.
    let printed = call(
        &pair,
        "io",
        "put_chars",
        vec![Term::from("hello".to_owned())],
    )
    .await;
    assert_eq!(printed.unwrap(), atom("ok"));
}

/// Runs code there in the process of the call.
async fn apply(pair: &Pair, code: &str) -> Result<Term, ErpcError> {
    let exprs = parsed(pair, code).await;
    call(pair, "erl_eval", "exprs", exprs).await
}

/// The arguments of `erl_eval:exprs/2` for this code.
async fn parsed(pair: &Pair, code: &str) -> Vec<Term> {
    let call = async |module, function, arg| call(pair, module, function, vec![arg]).await.unwrap();
    let binary = Term::from(eetf::Binary::from(placed(&format!("{code}.")).as_bytes()));
    let chars = call("erlang", "binary_to_list", binary).await;
    let scanned = call("erl_scan", "string", chars).await;
    let parsed = call("erl_parse", "parse_exprs", element(&scanned, 1)).await;
    vec![element(&parsed, 1), list(vec![])]
}

fn element(term: &Term, at: usize) -> Term {
    match term {
        Term::Tuple(tuple) => tuple.elements[at].clone(),
        other => panic!("no tuple: {other}"),
    }
}

#[tokio::test]
async fn call_ends_in_time_with_its_link_and_within_its_limit() {
    let pair = Pair::start().await;
    let a = pair.beam.name.clone();
    let call = async |module: &str, function: &str, args, limits| {
        pair.node
            .erpc_call(&a, module, function, args, limits)
            .await
    };
    let short = CallLimits {
        time: Duration::from_millis(100),
        ..LIMITS
    };
    let sleep = vec![atom("infinity")];
    let late = call("timer", "sleep", sleep.clone(), short)
        .await
        .unwrap_err();
    assert_eq!((late.kind(), late.is_retryable()), ("timeout", true));
    let small = CallLimits {
        answer_bytes: 100,
        ..LIMITS
    };
    for bytes in [200, 100_000] {
        let args = vec![Term::from(eetf::FixInteger::from(bytes)), atom("x")];
        let large = call("lists", "duplicate", args, small).await;
        assert_eq!(large.unwrap_err().kind(), "answer_too_large");
    }
    let nobody = name("nobody@host");
    let unknown = pair.node.erpc_call(&nobody, "m", "f", vec![], LIMITS).await;
    assert_eq!(unknown.unwrap_err().kind(), "name_unknown");
    let (lost, ()) = tokio::join!(call("timer", "sleep", sleep, LIMITS), async {
        let args = vec![Term::from(eetf::FixInteger::from(0))];
        let halted = call("erlang", "halt", args, LIMITS).await;
        assert_eq!(halted.unwrap_err().kind(), "link_lost");
    });
    assert_eq!(lost.unwrap_err().kind(), "link_lost");
}

#[tokio::test]
async fn abandoned_calls_leave_no_monitor_there() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let a = &pair.beam.name;
    let sleep = vec![atom("infinity")];
    let (pid, monitor) = mailbox
        .spawn_monitor(a, "timer", "sleep", sleep)
        .await
        .unwrap();
    assert_eq!(pair.our_monitors(&mailbox, &pid).await, 1);
    assert!(mailbox.demonitor(&monitor));
    assert_eq!(pair.our_monitors(&mailbox, &pid).await, 0);
    // A call that is given up while it runs there.
    let wait = "register(sleeper, self()), {box, 'm@host'} ! begun, receive stop -> ok end";
    let exprs = parsed(&pair, wait).await;
    let called = pair.node.erpc_call(a, "erl_eval", "exprs", exprs, LIMITS);
    tokio::select! {
        called = called => panic!("{called:?}"),
        begun = message(&mailbox) => assert_eq!(begun, atom("begun")),
    }
    // What it has begun may be told after the call of the process itself.
    let left = "length([By || By <- element(2, process_info(whereis(sleeper), monitored_by)), \
        node(By) =/= node()])";
    let ended = async { while pair.erl(left).await != "0" {} };
    tokio::time::timeout(LIMITS.time, ended)
        .await
        .expect("it is monitored still");
}

async fn down(mailbox: &Mailbox) -> Term {
    match mailbox.recv().await.unwrap() {
        Received::Down { reason, .. } | Received::LinkBroken { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn processes_are_begun_linked_and_monitored() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let a = &pair.beam.name;
    let to_us = || Term::from(mailbox.pid().clone());
    let pid = mailbox
        .spawn(a, "erlang", "send", vec![to_us(), atom("hi")])
        .await;
    assert_eq!(pid.unwrap().node.name, a.as_str());
    assert_eq!(message(&mailbox).await, atom("hi"));
    let exit = vec![atom("oops")];
    mailbox
        .spawn_monitor(a, "erlang", "exit", exit.clone())
        .await
        .unwrap();
    assert_eq!(down(&mailbox).await, atom("oops"));
    mailbox.spawn_link(a, "erlang", "exit", exit).await.unwrap();
    assert_eq!(down(&mailbox).await, atom("oops"));
    let sleep = || vec![atom("infinity")];
    let linked = mailbox
        .spawn_link(a, "timer", "sleep", sleep())
        .await
        .unwrap();
    let links = pair.info(&mailbox, &linked, "links").await;
    assert_ne!(links, "[]");
    let watching = pair.node.mailbox().unwrap();
    watching.monitor(&linked).await.unwrap();
    mailbox.exit(&atom("gone")).unwrap();
    assert_eq!(down(&watching).await, atom("gone"));
}

/// How many processes there sleep.
async fn sleepers(pair: &Pair) -> String {
    let code = "length([P || P <- processes(), \
        process_info(P, initial_call) =:= {initial_call, {timer, sleep, 1}}])";
    pair.erl(code).await
}

#[tokio::test]
async fn linked_process_that_nobody_waits_for_ends() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let a = &pair.beam.name;
    let awaited = mailbox.spawn_link(a, "timer", "sleep", vec![atom("infinity")]);
    let awaited = awaited.await.unwrap();
    assert_eq!(sleepers(&pair).await, "1");
    let sent = || pair.node.traffic().total.sent_messages;
    let before = sent();
    for _ in 0..10 {
        let begun = mailbox.spawn_link(a, "timer", "sleep", vec![atom("infinity")]);
        // Polled once: the request is sent, and its answer has not come.
        tokio::select! {
            biased;
            begun = begun => panic!("{begun:?}"),
            () = std::future::ready(()) => {}
        }
    }
    pair.node.flush().await;
    assert!(sent() >= before + 10);
    // Only whom somebody has waited for is left.
    let ended = async { while sleepers(&pair).await != "1" {} };
    tokio::time::timeout(LIMITS.time, ended)
        .await
        .expect("they live on");
    mailbox.send_exit(&awaited, &atom("kill")).await.unwrap();
}

#[tokio::test]
async fn refusals_and_our_own_node() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let own = pair.node.name().unwrap();
    let refused = mailbox.spawn(own, "t", "f", vec![]).await.unwrap_err();
    let SpawnError::Refused { reason, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!((reason.as_str(), refused.is_retryable()), ("notsup", false));
    let hi = async |_| Ok(atom("hi"));
    pair.node
        .serve(Functions::new().with("t", "f", hi))
        .unwrap();
    let called = pair.node.erpc_call(own, "t", "f", vec![], LIMITS).await;
    assert_eq!(called.unwrap(), atom("hi"));
    let pid: Pid = mailbox
        .spawn_monitor(own, "t", "f", vec![])
        .await
        .unwrap()
        .0;
    assert_eq!(pid.node.name, own.as_str());
    assert_eq!(down(&mailbox).await, atom("normal"));
}
