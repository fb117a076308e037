//! Functions of ours, called by real nodes.

use std::sync::Arc;

use pgmesh_dist::terms::{Pid, Term};
use pgmesh_dist::{Exception, Functions, Received};
use pgmesh_testkit::eventually;
use tokio::sync::Semaphore;

use crate::beam::LIMITS;
use crate::mailboxes::{Pair, atom, message};

/// A pair whose node of ours serves these, and `erl` that knows us as `M`.
struct Serving {
    pair: Pair,
    /// Each permit lets one `t:wait` go on.
    gate: Arc<Semaphore>,
    /// Has one permit for each `t:wait` that has begun, and none for one that was ended.
    waiting: Arc<Semaphore>,
}

/// Counts a call that waits, as long as it does.
struct Waits(Arc<Semaphore>);

impl Waits {
    fn new(count: Arc<Semaphore>) -> Self {
        count.add_permits(1);
        Self(count)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.forget_permits(1);
    }
}

impl Serving {
    async fn start(change: impl FnOnce(Functions) -> Functions) -> Self {
        let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let pair = Pair::start().await;
        let functions = functions(gate.clone(), waiting.clone());
        pair.node.serve(change(functions)).unwrap();
        Self {
            pair,
            gate,
            waiting,
        }
    }

    async fn erl(&self, code: &str) -> String {
        let code = format!(
            "M = 'm@host', \
             Try = fun(F) -> try {{ok, F()}} catch C:R -> {{C, R}} end end, {code}"
        );
        self.pair.erl(&code).await.replace('\'', "")
    }

    async fn wait_for(&self, waiting: usize) {
        eventually("calls wait", || {
            (self.waiting.available_permits() == waiting).then_some(())
        })
        .await;
    }
}

fn functions(gate: Arc<Semaphore>, waiting: Arc<Semaphore>) -> Functions {
    fn reason(args: Vec<Term>) -> Term {
        args.into_iter().next().unwrap_or_else(|| atom("none"))
    }
    Functions::new()
        .with("t", "echo", async |args: Vec<Term>| {
            Ok(Term::from(eetf::List::from(args)))
        })
        .with("t", "error", async |args| {
            Err(Exception::error(reason(args)))
        })
        .with("t", "exit", async |args| Err(Exception::exit(reason(args))))
        .with("t", "throw", async |args| {
            Err(Exception::throw(reason(args)))
        })
        .with("t", "panic", async |_| panic!("oh no"))
        .with("t", "wait", move |_| {
            let (gate, waits) = (gate.clone(), Waits::new(waiting.clone()));
            async move {
                gate.acquire().await.unwrap().forget();
                drop(waits);
                Ok(atom("waited"))
            }
        })
}

#[tokio::test]
async fn results_and_exceptions_are_those_of_a_beam() {
    let serving = Serving::start(|functions| functions).await;
    for (call, expected) in [
        (
            "rpc:call(M, t, echo, [a, 1, \"x\", [b]])",
            "[a,1,[120],[b]]",
        ),
        ("erpc:call(M, t, echo, [])", "[]"),
        ("rpc:call(M, t, echo, [1, 2])", "[1,2]"),
        (
            "Try(fun() -> erpc:call(M, t, error, [oops]) end)",
            "{error,{exception,oops,[{t,error,1,[]}]}}",
        ),
        (
            "rpc:call(M, t, error, [oops])",
            "{badrpc,{EXIT,{oops,[{t,error,1,[]}]}}}",
        ),
        (
            "Try(fun() -> erpc:call(M, t, exit, [oops]) end)",
            "{exit,{exception,oops}}",
        ),
        ("rpc:call(M, t, exit, [oops])", "{badrpc,{EXIT,oops}}"),
        (
            "Try(fun() -> erpc:call(M, t, throw, [oops]) end)",
            "{throw,oops}",
        ),
        ("rpc:call(M, t, throw, [oops])", "oops"),
        (
            "Try(fun() -> erpc:call(M, t, nosuch, [1]) end)",
            "{error,{exception,undef,[{t,nosuch,[1],[]}]}}",
        ),
        (
            "rpc:call(M, nosuch, f, [x])",
            "{badrpc,{EXIT,{undef,[{nosuch,f,[x],[]}]}}}",
        ),
        (
            "element(1, element(2, element(2, rpc:call(M, t, panic, []))))",
            "{panicked,<<111,104,32,110,111>>}",
        ),
        (
            "element(1, element(2, Try(fun() -> erpc:call(M, fun() -> hi end) end)))",
            "exception",
        ),
    ] {
        assert_eq!(serving.erl(call).await, expected, "{call}");
    }
    assert_eq!(serving.erl("erpc:call(M, t, echo, [on])").await, "[on]");
}

#[tokio::test]
async fn all_ways_of_calling_end_here() {
    let serving = Serving::start(|functions| functions).await;
    for (call, expected) in [
        (
            "erpc:multicall([M, node()], t, echo, [x], 9999)",
            "[{ok,[x]},{error,{exception,undef,[{t,echo,[x],[]}]}}]",
        ),
        (
            "rpc:multicall([M, 'no@host'], t, echo, [x])",
            "{[[x]],[no@host]}",
        ),
        (
            "erpc:receive_response(erpc:send_request(M, t, echo, [x]), 9999)",
            "[x]",
        ),
        ("rpc:yield(rpc:async_call(M, t, echo, [x]))", "[x]"),
        ("rpc:block_call(M, t, echo, [x])", "[x]"),
        (
            "gen_server:call({rex, M}, {call, t, echo, [x], group_leader()})",
            "[x]",
        ),
        (
            "gen_server:call({rex, M}, {call, t, error, [x], group_leader()})",
            "{badrpc,{EXIT,{x,[{t,error,1,[]}]}}}",
        ),
        // As ei_rpc and erl_call do.
        (
            "{rex, M} ! {self(), {call, t, echo, [x], user}}, Next()",
            "{rex,[x]}",
        ),
        (
            "{rex, M} ! {self(), features_request}, Next()",
            "{features_reply,m@host,[erpc]}",
        ),
        ("rpc:sbcast([M], nosuch, hi)", "{[],[m@host]}"),
        ("is_reference(monitor(process, {rex, M}))", "true"),
    ] {
        assert_eq!(serving.erl(call).await, expected, "{call}");
    }
    let mailbox = serving.pair.open();
    assert_eq!(
        serving.erl("rpc:sbcast([M], box, hi)").await,
        "{[m@host],[]}"
    );
    assert_eq!(message(&mailbox).await, atom("hi"));
    for cast in [
        "rpc:cast(M, t, wait, [])",
        "erpc:cast(M, t, wait, [])",
        "erpc:multicast([M], t, wait, [])",
        "gen_server:cast({rex, M}, {cast, t, wait, [], group_leader()})",
        "is_pid(spawn(M, t, wait, []))",
    ] {
        serving.erl(cast).await;
        serving.wait_for(1).await;
        serving.gate.add_permits(1);
        serving.wait_for(0).await;
    }
}

#[tokio::test]
async fn calls_beyond_the_bound_are_answered_with_system_limit() {
    let serving = Serving::start(|functions| functions.max_calls(2)).await;
    for cast in [
        "erpc:cast(M, t, wait, [])",
        "gen_server:cast({rex, M}, {cast, t, wait, [], group_leader()})",
    ] {
        serving.erl(cast).await;
    }
    serving.wait_for(2).await;
    let to_rex = "gen_server:call({rex, M}, {call, t, echo, [x], user})";
    for (call, expected) in [
        (
            "Try(fun() -> erpc:call(M, t, echo, []) end)",
            "{error,{erpc,system_limit}}",
        ),
        (to_rex, "{badrpc,{EXIT,system_limit}}"),
    ] {
        assert_eq!(serving.erl(call).await, expected, "{call}");
    }
    serving.gate.add_permits(2);
    serving.wait_for(0).await;
    eventually_is(&serving, to_rex, "[x]").await;
}

/// A place is free a little after its call was answered.
async fn eventually_is(serving: &Serving, call: &str, expected: &str) {
    let settled = async { while serving.erl(call).await != expected {} };
    let settled = tokio::time::timeout(LIMITS.time, settled).await;
    settled.expect("places are not given back");
}

#[tokio::test]
async fn arguments_are_bounded_in_bytes() {
    let serving = Serving::start(|functions| functions.max_argument_bytes(2000)).await;
    let large = "Large = binary:copy(<<1>>, 3000), ";
    for (call, expected) in [
        (
            "Try(fun() -> erpc:call(M, t, echo, [Large]) end)",
            "{error,{erpc,system_limit}}",
        ),
        (
            "gen_server:call({rex, M}, {call, t, echo, [Large], user})",
            "{badrpc,{EXIT,system_limit}}",
        ),
    ] {
        let code = format!("{large}{call}");
        assert_eq!(serving.erl(&code).await, expected, "{call}");
    }
    eventually_is(&serving, "rpc:call(M, t, echo, [x])", "[x]").await;
}

#[tokio::test]
async fn what_runs_for_others_is_a_process() {
    let serving = Serving::start(|functions| functions).await;
    let spawn = "{P, R} = spawn_monitor(M, t, wait, []), ";
    let down = "receive {DOWN, R, process, P, Why} -> Why after 9999 -> nothing end";
    let down = down.replace("DOWN", "'DOWN'");
    for (end, why) in [
        ("exit(P, kill)", "killed"),
        ("exit(P, enough)", "enough"),
        ("exit(P, normal), exit(P, {a, b})", "{a,b}"),
    ] {
        let code = format!("{spawn}{end}, {down}");
        assert_eq!(serving.erl(&code).await, why, "{end}");
        serving.wait_for(0).await;
    }
    // It ends with whoever is linked to it.
    let owner = "register(owner, spawn(fun() -> spawn_link(M, t, wait, []), \
        receive go -> exit(gone) end end))";
    serving.erl(owner).await;
    serving.wait_for(1).await;
    serving.erl("owner ! go").await;
    serving.wait_for(0).await;
    for (call, why) in [
        ("spawn_monitor(M, t, echo, [])", "normal"),
        ("spawn_monitor(M, t, exit, [oops])", "oops"),
        ("spawn_monitor(M, t, throw, [oops])", "{{nocatch,oops},[]}"),
    ] {
        let code = format!("{{P, R}} = {call}, {down}");
        assert_eq!(serving.erl(&code).await, why, "{call}");
    }
    let abandoned = "Try(fun() -> erpc:call(M, t, wait, [], 50) end)";
    assert_eq!(serving.erl(abandoned).await, "{error,{erpc,timeout}}");
    serving.wait_for(1).await;
    serving.gate.add_permits(1);
    serving.wait_for(0).await;
}

#[tokio::test]
async fn what_is_not_served_cannot_be_spawned() {
    let serving = Serving::start(|functions| functions).await;
    let request = "R = spawn_request(M, lists, seq, [1, 2], [monitor]), \
        receive {spawn_reply, R, error, Why} -> Why after 9999 -> nothing end";
    assert_eq!(serving.erl(request).await, "notsup");
}

#[tokio::test]
async fn rex_that_is_killed_begins_anew_and_is_taken_only_once() {
    let serving = Serving::start(|functions| functions).await;
    let node = &serving.pair.node;
    assert_eq!(node.register("rex").unwrap_err().kind(), "name_taken");
    let again = node.serve(Functions::new());
    assert_eq!(again.unwrap_err().kind(), "name_taken");
    // The first pid of the node.
    let creation = node.creation().unwrap();
    let rex = Pid::new(node.name().unwrap().as_str(), 2, 0, creation);
    let mailbox = serving.pair.open();
    let monitor = mailbox.monitor(&rex).await.unwrap();
    mailbox.send_exit(&rex, &atom("kill")).await.unwrap();
    match mailbox.recv().await.unwrap() {
        Received::Down {
            monitor: fired,
            reason,
            ..
        } => assert_eq!((fired, reason), (monitor, atom("killed"))),
        other => panic!("{other:?}"),
    }
    let call = "gen_server:call({rex, M}, {call, t, echo, [x], user})";
    let call = format!("Try(fun() -> {call} end)");
    eventually_is(&serving, &call, "{ok,[x]}").await;
}

#[tokio::test]
async fn our_own_functions_are_called_as_those_of_others() {
    let serving = Serving::start(|functions| functions).await;
    let node = &serving.pair.node;
    let own = node.name().unwrap();
    let parts = ["call", "t", "echo"].map(atom).to_vec();
    let args = vec![Term::from(eetf::List::from(vec![atom("x")])), atom("user")];
    let request = Term::from(eetf::Tuple::from([parts, args].concat()));
    let reply = node.gen_call(("rex", own), &request, LIMITS).await;
    assert_eq!(
        reply.unwrap(),
        Term::from(eetf::List::from(vec![atom("x")]))
    );
}

/// As of a node that has none of its modules: it may say so to whoever looks at it.
#[tokio::test]
async fn what_observer_asks_is_answered_with_undef() {
    let serving = Serving::start(|functions| functions).await;
    for call in [
        "rpc:call(M, observer_backend, sys_info, [])",
        "rpc:call(M, observer_backend, get_port_list, [])",
        "rpc:call(M, observer_backend, vsn, [])",
        "rpc:call(M, code, ensure_loaded, [observer_backend])",
        "rpc:call(M, erlang, system_info, [wordsize])",
        "rpc:call(M, net_adm, localhost, [])",
        "rpc:block_call(M, application, which_applications, [])",
        "rpc:block_call(M, erlang, whereis, [sasl_sup])",
    ] {
        let asked = format!("element(1, element(2, element(2, {call})))");
        assert_eq!(serving.erl(&asked).await, "undef", "{call}");
    }
    // Which it dials first.
    assert_eq!(
        serving.erl("net_kernel:hidden_connect_node(M)").await,
        "true"
    );
}
