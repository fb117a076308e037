//! Much of everything: what is few elsewhere comes by the hundred thousand here.

use pgmesh_dist::terms::Term;
use pgmesh_dist::{Mailbox, Received};
use tokio::time::{Duration, timeout};

use crate::mailboxes::{Pair, atom, tuple};

const MONITORS: usize = 100_000;
const MESSAGES: i32 = 1_000_000;
/// A sender waits for the receiver after so many: a mailbox is bounded.
const WINDOW: i32 = 10_000;
const LARGE: usize = 100_000_000;
/// For all of it, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(300);

fn integer(value: i32) -> Term {
    Term::from(eetf::FixInteger::from(value))
}

/// However long the other side takes for so much, `within` what surrounds it.
async fn message(mailbox: &Mailbox) -> Term {
    match mailbox.recv().await.unwrap() {
        Received::Message(message) => message.decode().unwrap(),
        other => panic!("no message: {other:?}"),
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("not done in time")
}

#[tokio::test]
async fn hundred_thousand_monitors_of_a_mailbox_are_set_released_and_fire() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let observer = pair.node.mailbox().unwrap();
    let watched = pair.node.mailbox().unwrap();
    // As many again are set for good, so that none is counted for another.
    let code = format!(
        "Watched = receive {{watch, Pid}} -> Pid end, \
         Set = fun() -> [erlang:monitor(process, Watched) || _ <- lists:seq(1, {MONITORS})] end, \
         [erlang:demonitor(Ref) || Ref <- Set()], Set(), Box ! set, \
         Count = fun Count(N) -> receive {{'DOWN', _, process, Watched, normal}} -> Count(N + 1); \
             count -> Box ! {{fired, N}} end end, Count(0)"
    );
    let pid = pair.spawn(&mailbox, &code).await;
    let watch = tuple(atom("watch"), watched.pid().clone());
    mailbox.send(&pid, &watch).await.unwrap();
    assert_eq!(within(message(&mailbox)).await, atom("set"));
    drop(watched);
    // Behind what the end of the watched one had to say.
    observer.send(&pid, &atom("count")).await.unwrap();
    let fired = tuple(atom("fired"), integer(i32::try_from(MONITORS).unwrap()));
    assert_eq!(within(message(&mailbox)).await, fired);
}

#[tokio::test]
async fn hundred_thousand_monitors_of_a_process_are_set_released_and_fire() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let code = "Count = fun Count() -> receive count -> \
            {monitored_by, Who} = process_info(self(), monitored_by), Box ! length([By || By <- Who, node(By) =/= node()]), Count(); \
            stop -> ok end end, Count()";
    let pid = pair.spawn(&mailbox, code).await;
    let count = async |expected: usize| {
        mailbox.send(&pid, &atom("count")).await.unwrap();
        let expected = integer(i32::try_from(expected).unwrap());
        assert_eq!(message(&mailbox).await, expected);
    };
    let mut monitors = Vec::new();
    for _ in 0..MONITORS {
        monitors.push(mailbox.monitor(&pid).await.unwrap());
    }
    within(count(MONITORS)).await;
    for monitor in &monitors {
        assert!(mailbox.demonitor(monitor));
    }
    within(count(0)).await;
    for _ in 0..MONITORS {
        mailbox.monitor(&pid).await.unwrap();
    }
    mailbox.send(&pid, &atom("stop")).await.unwrap();
    let fired = async {
        for _ in 0..MONITORS {
            let down = mailbox.recv().await.unwrap();
            assert!(matches!(down, Received::Down { .. }), "{down:?}");
        }
    };
    within(fired).await;
}

#[tokio::test]
async fn million_messages_come_in_order_both_ways() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let code = format!(
        "Send = fun Send({MESSAGES}) -> ok; \
             Send(N) -> Box ! N, \
                 (N + 1) rem {WINDOW} =:= 0 andalso receive go_on -> ok end, Send(N + 1) end, \
         Send(0), \
         Take = fun Take({MESSAGES}) -> Box ! taken; \
             Take(N) -> receive N -> ok; Other -> exit({{Other, instead_of, N}}) end, \
                 (N + 1) rem {WINDOW} =:= 0 andalso (Box ! go_on), Take(N + 1) end, \
         Take(0)"
    );
    let pid = pair.spawn(&mailbox, &code).await;
    mailbox.link(&pid).await.unwrap();
    let both = async {
        for n in 0..MESSAGES {
            assert_eq!(message(&mailbox).await, integer(n));
            if (n + 1) % WINDOW == 0 {
                mailbox.send(&pid, &atom("go_on")).await.unwrap();
            }
        }
        for n in 0..MESSAGES {
            mailbox.send(&pid, &integer(n)).await.unwrap();
            if (n + 1) % WINDOW == 0 {
                assert_eq!(message(&mailbox).await, atom("go_on"));
            }
        }
        assert_eq!(message(&mailbox).await, atom("taken"));
    };
    within(both).await;
}

#[tokio::test]
async fn hundred_megabytes_pass_while_others_talk() {
    let pair = Pair::start_with(|config| {
        config.max_frame = 2 * LARGE;
        config.max_mailbox = 2 * LARGE;
    })
    .await;
    let mailbox = pair.open();
    let small = pair.node.mailbox().unwrap();
    let echo = "F = fun F() -> receive {P, M} -> P ! M, F() end end, F()";
    let echo = pair.spawn(&mailbox, echo).await;
    let code = format!(
        "Box ! binary:copy(<<7>>, {LARGE}), \
         receive Large -> Box ! {{took, byte_size(Large), binary:first(Large)}} end"
    );
    let pid = pair.spawn(&mailbox, &code).await;
    let large = async {
        match message(&mailbox).await {
            Term::Binary(binary) => assert_eq!(binary.bytes.len(), LARGE),
            other => panic!("no binary: {other}"),
        }
        let sent = Term::from(eetf::Binary::from(vec![9; LARGE]));
        mailbox.send(&pid, &sent).await.unwrap();
        let took = vec![
            atom("took"),
            integer(i32::try_from(LARGE).unwrap()),
            integer(9),
        ];
        assert_eq!(message(&mailbox).await, Term::from(eetf::Tuple::from(took)));
    };
    let talk = async {
        for n in 0..1000 {
            let asked = tuple(small.pid().clone(), integer(n));
            small.send(&echo, &asked).await.unwrap();
            assert_eq!(message(&small).await, integer(n));
        }
    };
    within(async { tokio::join!(large, talk) }).await;
}
