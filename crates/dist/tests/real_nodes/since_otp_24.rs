//! What nodes before OTP 24 cannot do.

use pgmesh_dist::terms::Term;

use crate::mailboxes::{Pair, atom, message, ready, sender, tuple};

#[tokio::test]
async fn alias_takes_messages_until_it_is_ended() {
    let pair = Pair::start().await;
    let mailbox = pair.open();
    let alias = mailbox.alias();
    let code = "F = fun L() -> receive {A, M} -> A ! M, L() end end, F()";
    let pid = pair.spawn(&mailbox, code).await;
    let through = async |message| {
        let sent = tuple(alias.clone(), atom(message));
        mailbox.send(&pid, &sent).await.unwrap();
    };
    through("first").await;
    assert_eq!(message(&mailbox).await, atom("first"));
    assert!(mailbox.unalias(&alias) && !mailbox.unalias(&alias));
    through("late").await;
    let sent = tuple(mailbox.pid().clone(), atom("ready"));
    mailbox.send(&pid, &sent).await.unwrap();
    ready(&mailbox).await;
    // And an alias of theirs takes ours.
    let code = "Box ! {ask, self()}, Alias = alias(), Box ! {alias, Alias}, X = Next(), \
        unalias(Alias), Box ! ended, Box ! X, Next()";
    let (told, ()) = tokio::join!(pair.erl(code), async {
        let asking = sender(message(&mailbox).await);
        let Term::Tuple(tuple) = message(&mailbox).await else {
            panic!("no alias");
        };
        let Term::Reference(alias) = tuple.elements[1].clone() else {
            panic!("no alias");
        };
        mailbox.send(&*alias, &atom("through")).await.unwrap();
        assert_eq!(message(&mailbox).await, atom("ended"));
        assert_eq!(message(&mailbox).await, atom("through"));
        mailbox.send(&*alias, &atom("late")).await.unwrap();
        mailbox.send(&asking, &atom("last")).await.unwrap();
    });
    assert_eq!(told, "'last'");
}
