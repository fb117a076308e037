//! Servers of ours, run as `gen_server`s, among real nodes.

use pgmesh_dist::terms::Term;
use pgmesh_dist::{Answer, CallLimits, Caller, GenServer, Mailbox, MailboxEnded, Received, Turn};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::beam::{Beam, LIMITS, evaluate, name};
use crate::mailboxes::{Pair, atom, tuple};

/// Remembers the last cast, and tells everything else.
struct Server {
    last: Term,
    told: mpsc::UnboundedSender<Term>,
}

impl GenServer for Server {
    async fn handle_call(&mut self, request: Term, from: Caller, mailbox: &Mailbox) -> Answer {
        match &text(&request)[..] {
            "last" => Answer::Reply(self.last.clone()),
            "later" => {
                let node = mailbox.node().clone();
                tokio::spawn(async move { node.reply(&from, &atom("late")).await.unwrap() });
                Answer::Later
            }
            "stop" => Answer::Stop {
                reason: atom("asked"),
                reply: Some(atom("bye")),
            },
            "die" => Answer::Stop {
                reason: atom("died"),
                reply: None,
            },
            "bad" => Answer::Reply(Term::from(eetf::Reference {
                node: eetf::Atom::from("a@h"),
                id: vec![],
                creation: 1,
            })),
            _ => panic!("oh no"),
        }
    }

    async fn handle_cast(&mut self, request: Term, _: &Mailbox) -> Turn {
        self.last = request;
        Turn::Continue
    }

    async fn handle_info(&mut self, info: Received, _: &Mailbox) -> Turn {
        match info {
            Received::Message(message) => {
                self.told.send(message.decode().unwrap()).unwrap();
                Turn::Continue
            }
            Received::Exit { reason, .. } => Turn::Stop(reason),
            other => panic!("{other:?}"),
        }
    }

    async fn terminate(&mut self, reason: &Term, _: &Mailbox) {
        self.told
            .send(tuple(atom("terminate"), reason.clone()))
            .unwrap();
    }
}

fn text(term: &Term) -> String {
    term.to_string().replace('\'', "")
}

struct Running {
    task: JoinHandle<Result<Term, MailboxEnded>>,
    told: mpsc::UnboundedReceiver<Term>,
}

impl Running {
    /// Under the name `box`.
    fn start(pair: &Pair) -> Self {
        let (told, receiver) = mpsc::unbounded_channel();
        let last = atom("nothing");
        let task = tokio::spawn(pair.open().run(Server { last, told }));
        let told = receiver;
        Self { task, told }
    }

    async fn told(&mut self) -> String {
        let told = tokio::time::timeout(LIMITS.time, self.told.recv()).await;
        told.expect("nothing was told in time")
            .map_or_else(String::new, |term| text(&term))
    }
}

async fn erl(pair: &Pair, code: &str) -> String {
    let code = format!(
        "Call = fun(What) -> try gen_server:call(Box, What) catch exit:{{Why, _}} -> {{exit, Why}} end end, {code}"
    );
    pair.erl(&code).await.replace('\'', "")
}

#[tokio::test]
async fn server_is_to_others_a_gen_server() {
    let pair = Pair::start().await;
    let mut server = Running::start(&pair);
    for (code, expected) in [
        ("Call(last)", "nothing"),
        ("gen_server:cast(Box, told), Call(last)", "told"),
        ("Call(later)", "late"),
        (
            "gen_server:multi_call(['m@host'], box, last)",
            "{[{m@host,told}],[]}",
        ),
        (
            "catch sys:get_state(Box)",
            "{EXIT,{{unknown_system_msg,get_state},",
        ),
        ("Box ! {some, message}, Call(last)", "told"),
    ] {
        let told = erl(&pair, code).await;
        assert!(told.starts_with(expected), "{code}: {told}");
    }
    assert_eq!(server.told().await, "{some,message}");
    assert_eq!(
        erl(&pair, "gen_server:stop(Box, shutdown, 9999)").await,
        "ok"
    );
    assert_eq!(server.told().await, "{terminate,shutdown}");
    assert_eq!(ended(server.task).await, Ok(atom("shutdown")));
    assert_eq!(erl(&pair, "Call(last)").await, "{exit,noproc}");
}

#[tokio::test]
async fn end_of_a_server_is_heard_with_its_reason() {
    let pair = Pair::start().await;
    let down = "receive {'DOWN', R, process, _, Why} -> Why after 9999 -> nothing end";
    for (call, reply, reason) in [
        ("stop", "bye", "asked"),
        ("die", "{exit,died}", "died"),
        ("bad", "{exit,bad_reply}", "bad_reply"),
    ] {
        let mut server = Running::start(&pair);
        let code = format!("R = monitor(process, Box), {{Call({call}), {down}}}");
        assert_eq!(erl(&pair, &code).await, format!("{{{reply},{reason}}}"));
        assert_eq!(server.told().await, format!("{{terminate,{reason}}}"));
        assert_eq!(ended(server.task).await, Ok(atom(reason)));
    }
    let mut server = Running::start(&pair);
    let code = format!("R = monitor(process, Box), {{Call(panic), {down}}}");
    assert_eq!(erl(&pair, &code).await, "{{exit,panicked},panicked}");
    assert_eq!(server.told().await, "", "no terminate");
    assert!(server.task.await.unwrap_err().is_panic());
}

/// Only what must be written.
struct Plain;

impl GenServer for Plain {
    async fn handle_call(&mut self, _: Term, _: Caller, mailbox: &Mailbox) -> Answer {
        Answer::Reply(Term::from(mailbox.pid().clone()))
    }
}

async fn ended(server: JoinHandle<Result<Term, MailboxEnded>>) -> Result<Term, MailboxEnded> {
    let ended = tokio::time::timeout(LIMITS.time, server).await;
    ended.expect("it lives on").unwrap()
}

#[tokio::test]
async fn plain_server_ends_with_exit_signals_unless_they_are_normal() {
    let pair = Pair::start().await;
    let server = tokio::spawn(pair.open().run(Plain));
    let code = "P = Call(pid), P ! noise, gen_server:cast(P, noise), exit(P, normal), \
        true = P =:= Call(pid), Self = self(), \
        L = spawn(fun() -> link(P), Self ! linked, receive after infinity -> x end end), \
        linked = Next(), exit(L, enough), ok";
    assert_eq!(erl(&pair, code).await, "ok");
    assert_eq!(ended(server).await, Ok(atom("enough")));
    let server = tokio::spawn(pair.open().run(Plain));
    assert_eq!(erl(&pair, "exit(Call(pid), kill)").await, "true");
    assert_eq!(ended(server).await, Err(MailboxEnded::Killed));
}

#[tokio::test]
async fn many_servers_are_called_at_once() {
    let pair = Pair::start().await;
    let b = Beam::start(pair.epmd(), "b@host", &[]).await;
    pair.node.connect(&b.name, true).await.unwrap();
    let register = "register(asked, spawn(fun L() -> receive \
        {'$gen_call', From, who} -> gen_server:reply(From, node()); \
        {'$gen_call', _, _} -> ok end, L() end)).";
    for at in [&pair.beam.name, &b.name] {
        evaluate(&pair.node, at, register).await;
    }
    // A server of our own, one that is not there, and no node at all.
    let own = pair.node.name().unwrap().clone();
    let mailbox = pair.node.register("asked").unwrap();
    let server = tokio::spawn(mailbox.run(Plain));
    let nodes = [&pair.beam.name, &own, &b.name, &name("no@host")].map(Clone::clone);
    let said = pair
        .node
        .gen_multi_call(&nodes, "asked", &atom("who"), LIMITS)
        .await;
    let names: Vec<_> = said.replies.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&nodes[0], &nodes[1], &nodes[2]]);
    assert_eq!(said.replies[0].1, atom(nodes[0].as_str()));
    assert_eq!(said.replies[2].1, atom(nodes[2].as_str()));
    let bad: Vec<_> = said
        .bad_nodes
        .iter()
        .map(|(name, error)| (name, error.kind()))
        .collect();
    assert_eq!(bad, [(&nodes[3], "name_unknown")]);
    let said = pair
        .node
        .gen_multi_call(&nodes[..1], "nosuch", &atom("who"), LIMITS)
        .await;
    assert_eq!(said.bad_nodes[0].1.kind(), "down");
    // Who does not answer in time costs the others nothing.
    let short = CallLimits {
        time: std::time::Duration::from_millis(300),
        ..LIMITS
    };
    let said = pair
        .node
        .gen_multi_call(&nodes[..2], "asked", &atom("silence"), short)
        .await;
    assert_eq!((said.replies[0].0.clone(), said.replies.len()), (own, 1));
    assert_eq!(said.bad_nodes[0].1.kind(), "timeout");
    server.abort();
}
