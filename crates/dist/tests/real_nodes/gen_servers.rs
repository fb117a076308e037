//! Calls of `gen_server`s, in both directions.

use std::time::Duration;

use pgmesh_dist::terms::{Atom, Term};
use pgmesh_dist::{CallLimits, Request};

use crate::beam::{Beam, LIMITS, evaluate, name};
use crate::mailboxes::{Pair, SLEEP, atom, message, tuple};
use crate::place::placed;

fn list(elements: Vec<Term>) -> Term {
    Term::from(eetf::List::from(elements))
}

#[tokio::test]
async fn servers_there_are_called() {
    let pair = Pair::start().await;
    let a = &pair.beam.name;
    // rex is one, in every release.
    let parts = ["call", "erlang", "atom_to_list"].map(atom).to_vec();
    let args = vec![list(vec![atom("hi")]), atom("user")];
    let request = Term::from(eetf::Tuple::from([parts, args].concat()));
    let reply = pair.node.gen_call(("rex", a), &request, LIMITS).await;
    let expected = Term::from("hi".to_owned());
    assert_eq!(reply.unwrap(), expected);
    let cast = tuple(atom("nobody"), atom("minds"));
    pair.node.gen_cast(("rex", a), &cast).await.unwrap();
    let called = pair.node.gen_call(("nosuch", a), &request, LIMITS).await;
    let error = called.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("down", false));
    assert!(error.to_string().ends_with("'noproc'"), "{error}");
    let nobody = ("x", &name("nobody@host"));
    let called = pair.node.gen_call(nobody, &request, LIMITS).await;
    assert_eq!(called.unwrap_err().kind(), "name_unknown");
}

#[tokio::test]
async fn server_that_fails_or_does_not_answer_leaves_nothing_behind() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let failing = "receive {'$gen_call', _, {fail, Why}} -> exit(Why) end";
    let pid = pair.spawn(&mailbox, failing).await;
    let request = tuple(atom("fail"), atom("oops"));
    let error = pair
        .node
        .gen_call(&pid, &request, LIMITS)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("'oops'"), "{error}");
    let silent = pair.spawn(&mailbox, SLEEP).await;
    let short = CallLimits {
        time: Duration::from_millis(100),
        ..LIMITS
    };
    let called = pair.node.gen_call(&silent, &request, short).await;
    assert_eq!(called.unwrap_err().kind(), "timeout");
    assert_eq!(pair.our_monitors(&mailbox, &silent).await, 0);
}

#[tokio::test]
async fn reply_may_come_from_another_node() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let b = Beam::start(pair.epmd(), "b@host", &[]).await;
    let back = "register(back, spawn(fun() -> \
        receive From -> gen_server:reply(From, node()) end end)).";
    pair.node.connect(&b.name, true).await.unwrap();
    evaluate(&pair.node, &b.name, back).await;
    let front = "receive {'$gen_call', From, _} -> {back, 'b@host'} ! From end, \
        receive stop -> ok end";
    let front = pair.spawn(&mailbox, front).await;
    let reply = pair.node.gen_call(&front, &atom("who"), LIMITS).await;
    assert_eq!(
        reply.unwrap(),
        Term::from(Atom::from(placed("b@host").as_str()))
    );
    assert_eq!(pair.our_monitors(&mailbox, &front).await, 0);
}

#[tokio::test]
async fn calls_and_casts_from_there_are_answered_here() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    for (call, expected) in [
        ("gen_server:call(Box, ask)", "{'answer','ask'}"),
        (
            "gen_server:multi_call(['m@host'], box, ask)",
            "{[{'m@host',{'answer','ask'}}],[]}",
        ),
        (
            "gen_server:wait_response(gen_server:send_request(Box, ask), 9999)",
            "{'reply',{'answer','ask'}}",
        ),
    ] {
        let (told, ()) = tokio::join!(pair.erl(call), async {
            let Request::Call { from, request } = Request::from(message(&mailbox).await) else {
                panic!("no call");
            };
            let answer = tuple(atom("answer"), request);
            pair.node.reply(&from, &answer).await.unwrap();
        });
        assert_eq!(told, expected, "{call}");
    }
    assert_eq!(pair.erl("gen_server:cast(Box, told)").await, "'ok'");
    let cast = Request::from(message(&mailbox).await);
    assert_eq!(cast, Request::Cast(atom("told")));
    let call = "try gen_server:call(Box, ask) catch exit:{Why, _} -> Why end";
    let (told, ()) = tokio::join!(pair.erl(call), async {
        message(&mailbox).await;
        mailbox.exit(&atom("enough")).unwrap();
    });
    assert_eq!(told, "'enough'");
}
