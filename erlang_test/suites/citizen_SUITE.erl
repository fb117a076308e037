%% pgmesh answers whatever a node may ask of a neighbour.
%%
%% Nobody lives on pgmesh, but code on real nodes calls, monitors, links to and
%% spawns on every name in nodes(connected), and most of that waits without a
%% limit. So each question has its answer, soon, and none costs the link. The
%% functions given to answer/3 run on the node.
-module(citizen_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).
-define(ANSWER_BOUND_MS, 2000).
-define(TIMES, 10).
-define(UNLINKS, 1000).
-define(CYCLES, 100).
-define(PGMESH, 'pgmesh@127.0.0.1').
-define(NEW_PID_EXT, 88).
-define(SMALL_ATOM_UTF8_EXT, 119).
-define(TICKTIME, "4").
-define(MB, 1000000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[ping_is_pong, calls_to_nobody_are_noproc, calls_to_net_kernel_are_unsupported,
		net_kernel_answers_whatever_the_term, multi_calls_name_pgmesh_as_bad, casts_are_harmless,
		monitors_of_nobody_fire, monitor_of_net_kernel_lasts, links_to_nobody_break,
		unlinks_are_acknowledged, remote_calls_are_notsup, spawns_are_refused,
		traced_messages_are_answered, printing_to_nobody_ends, aliases_are_let_go,
		every_term_is_taken, nameless_node_gets_a_name, hundred_disconnects, epmd_dies_and_returns,
		large_messages_between_ticks, frame_within_the_limit, frame_beyond_the_limit,
		wrong_cookie_is_named].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: what is asked for an answer.

ping_is_pong(Config) ->
	ct:comment("net_adm:ping gives pong."),
	World = start_pair(Config),
	{value, pong} = answer(World, "net_adm:ping", fun() -> net_adm:ping(?PGMESH) end),
	{value, true} = answer(World, "net_kernel:connect_node",
		fun() -> net_kernel:connect_node(?PGMESH) end),
	undisturbed(World).

calls_to_nobody_are_noproc(Config) ->
	ct:comment("Calls to names that pgmesh does not have exit with noproc, however they are made."),
	World = start_pair(Config),
	Nobody = {nosuch, ?PGMESH},
	[{What, {raised, exit, {noproc, _}}} = {What, answer(World, What, Call)} || {What, Call} <- [
		{"gen_server:call", fun() -> gen_server:call(Nobody, x) end},
		{"gen_server:call, no time limit", fun() -> gen_server:call(Nobody, x, infinity) end},
		{"gen_server:call to rex",
			fun() -> gen_server:call({rex, ?PGMESH}, {call, erlang, node, [], self()}, infinity) end},
		{"gen_server:call to global",
			fun() -> gen_server:call({global_name_server, ?PGMESH}, get_known, infinity) end},
		{"gen_statem:call", fun() -> gen_statem:call(Nobody, x) end},
		{"sys:get_status", fun() -> sys:get_status(Nobody, infinity) end},
		{"supervisor:which_children", fun() -> supervisor:which_children(Nobody) end}]],
	{value, {error, noproc}} = answer(World, "gen_server:send_request",
		fun() -> reason_of(gen_server:wait_response(gen_server:send_request(Nobody, x), infinity)) end),
	undisturbed(World).

calls_to_net_kernel_are_unsupported(Config) ->
	ct:comment("A call to net_kernel is answered, even one that pgmesh does not know."),
	World = start_pair(Config),
	{value, yes} = answer(World, "is_auth", fun() -> ask_net_kernel({is_auth, node()}) end),
	[{What, {value, {error, unsupported}}} = {What, answer(World, What, fun() -> ask_net_kernel(Request) end)}
		|| {What, Request} <- [
			{"an atom", get_state},
			{"is_auth of three", {is_auth, a, b}},
			{"a spawn of old", {spawn, erlang, self, [], self()}},
			{"a list", [1, 2, 3]},
			{"an empty tuple", {}},
			{"a megabyte", binary:copy(<<"x">>, ?MB)}]],
	{value, {value, {error, unsupported}}} = answer(World, "a call in another's name, with a plain tag",
		fun() ->
			{net_kernel, ?PGMESH} ! {'$gen_call', {self(), a_tag}, get_state},
			receive {a_tag, Answer} -> {value, Answer} end
		end),
	undisturbed(World).

net_kernel_answers_whatever_the_term(Config) ->
	ct:comment("A call to net_kernel is answered without a time limit, whatever term the request is."),
	World = start_pair(Config),
	Answers = [{What, outcome(World, fun() -> ask_net_kernel(Term()) end)} || {What, Term} <- terms()],
	[] = [Other || {_, Answer} = Other <- Answers, Answer =/= {value, {error, unsupported}}],
	undisturbed(World).

multi_calls_name_pgmesh_as_bad(Config) ->
	ct:comment("Calls to many nodes list pgmesh as bad, and have the others' answers."),
	#{beam := #{name := Name}} = World = start_pair(Config),
	{value, {[{Name, _}], [?PGMESH]}} = answer(World, "gen_server:multi_call", fun() ->
		{Replies, Bad} = gen_server:multi_call([node(), ?PGMESH], rex, {call, erlang, node, [], self()}),
		{Replies, Bad}
	end),
	{value, {[], [?PGMESH]}} = answer(World, "gen_server:multi_call, no time limit",
		fun() -> gen_server:multi_call([?PGMESH], nosuch, x, infinity) end),
	{value, {[{?PGMESH, {error, unsupported}}], []}} = answer(World, "gen_server:multi_call of net_kernel",
		fun() -> gen_server:multi_call([?PGMESH], net_kernel, x) end),
	undisturbed(World).

monitors_of_nobody_fire(Config) ->
	ct:comment("A monitor of a name or pid that is not there is down with noproc at once."),
	World = start_pair(Config),
	[{What, {value, noproc}} = {What, answer(World, What, fun() -> down_reason(Target) end)}
		|| {What, Target} <- [
			{"monitor of a name", {nosuch, ?PGMESH}},
			{"monitor of a name in UTF-8", {'имя', ?PGMESH}},
			{"monitor of a pid", made_up_pid(World, 4711)},
			{"monitor of a pid of an earlier life", stale_pid(World)}]],
	{value, true} = answer(World, "monitor and demonitor",
		fun() -> erlang:demonitor(erlang:monitor(process, {nosuch, ?PGMESH}), [flush]) end),
	undisturbed(World).

monitor_of_net_kernel_lasts(Config) ->
	ct:comment("A monitor of net_kernel fires when pgmesh ends, with noconnection, and not before."),
	#{beam := Beam, daemon := Daemon} = World = start_pair(Config),
	ok = beam_node:call(Beam, ?MODULE, start_watcher, [{net_kernel, ?PGMESH}]),
	_ = answer(World, "net_adm:ping meanwhile", fun() -> net_adm:ping(?PGMESH) end),
	ok = holds(fun() -> beam_node:call(Beam, ?MODULE, watched, []) =:= [] end, 1000),
	ok = pgmesh:signal(Daemon, 'TERM'),
	Ms = eventually(fun() -> beam_node:call(Beam, ?MODULE, watched, []) =:= [noconnection] end, ?BOUND_MS),
	ct_console:note("SIGTERM to DOWN: ~.1f ms", [Ms]),
	ok.

links_to_nobody_break(Config) ->
	ct:comment("A link to a pid that is not there is an exit signal, noproc."),
	World = start_pair(Config),
	Nobody = made_up_pid(World, 4712),
	{value, noproc} = answer(World, "link, exits trapped", fun() -> exit_reason(Nobody) end),
	{died, noproc} = answer(World, "link, exits not trapped", fun() -> link(Nobody), idle() end),
	Stale = stale_pid(World),
	{value, noproc} = answer(World, "link to a pid of an earlier life", fun() -> exit_reason(Stale) end),
	undisturbed(World).

unlinks_are_acknowledged(Config) ->
	ct:comment("A thousand links undone at once: no exit signal after unlink, nothing kept."),
	World = start_pair(Config),
	Pids = [made_up_pid(World, Id) || Id <- lists:seq(1000, 1000 + ?UNLINKS)],
	{{value, {Early, Late, Grown}}, Ms} = attempt(World, fun() -> link_and_unlink(Pids) end),
	ct_console:note("~b links and unlinks: ~.1f ms; exit signals before the unlink: ~b, after it: ~b; "
		"~b bytes more in the process", [?UNLINKS, Ms, Early, Late, Grown]),
	0 = Late,
	true = Grown < 10 * ?UNLINKS,
	undisturbed(World).

remote_calls_are_notsup(Config) ->
	ct:comment("rpc and erpc to pgmesh fail at once with notsup."),
	World = start_pair(Config),
	[{What, {value, {badrpc, notsup}}} = {What, answer(World, What, Call)} || {What, Call} <- [
		{"rpc:call", fun() -> rpc:call(?PGMESH, erlang, node, []) end},
		{"rpc:call of a list of bytes", fun() -> rpc:call(?PGMESH, lists, seq, [1, 2]) end},
		{"rpc:async_call", fun() -> rpc:yield(rpc:async_call(?PGMESH, erlang, node, [])) end},
		{"rpc:pinfo", fun() -> rpc:pinfo(made_up_pid(World, 4713)) end}]],
	[{What, {raised, error, {erpc, notsup}}} = {What, answer(World, What, Call)} || {What, Call} <- [
		{"erpc:call", fun() -> erpc:call(?PGMESH, erlang, node, []) end},
		{"erpc:call of a list of bytes", fun() -> erpc:call(?PGMESH, lists, seq, [1, 2]) end},
		{"erpc:call with a time limit", fun() -> erpc:call(?PGMESH, erlang, node, [], 60000) end},
		{"erpc:send_request", fun() ->
			erpc:receive_response(erpc:send_request(?PGMESH, erlang, node, []))
		end}]],
	#{beam := #{name := Name}} = World,
	{value, {[Name, {badrpc, notsup}], []}} = answer(World, "rpc:multicall",
		fun() -> rpc:multicall([node(), ?PGMESH], erlang, node, []) end),
	{value, [{ok, Name}, {error, {erpc, notsup}}]} = answer(World, "erpc:multicall",
		fun() -> erpc:multicall([node(), ?PGMESH], erlang, node, []) end),
	%% The one that asks rex.
	{value, {badrpc, {'EXIT', {noproc, _}}}} = answer(World, "rpc:block_call",
		fun() -> rpc:block_call(?PGMESH, erlang, node, []) end),
	undisturbed(World).

spawns_are_refused(Config) ->
	ct:comment("Nothing can be spawned on pgmesh, and whoever tries is told so at once."),
	World = start_pair(Config),
	[begin
		Title = What ++ " " ++ atom_to_list(Function),
		{Title, Expected} = {Title, answer(World, Title, fun() -> Spawn(Module, Function, Args) end)}
	end || {Module, Function, Args} <- [{erlang, self, []}, {lists, seq, [1, 2]}],
		{What, Spawn, Expected} <- [
			{"spawn_request", fun(M, F, A) -> spawn_request_reply(M, F, A, []) end, {value, notsup}},
			{"spawn_request, link and monitor",
				fun(M, F, A) -> spawn_request_reply(M, F, A, [link, monitor]) end, {value, notsup}},
			%% The pid is that of a process here, which has ended or is about to.
			{"spawn", fun(M, F, A) -> node(spawn(?PGMESH, M, F, A)) =:= node() end, {value, true}},
			{"spawn_link", fun(M, F, A) ->
				process_flag(trap_exit, true),
				Pid = spawn_link(?PGMESH, M, F, A),
				receive {'EXIT', Pid, Reason} -> Reason end
			end, {value, notsup}},
			{"spawn_monitor", fun(M, F, A) -> spawn_monitor(?PGMESH, M, F, A) end,
				{raised, error, notsup}}]],
	undisturbed(World).

traced_messages_are_answered(Config) ->
	ct:comment("A trace token on a message, call, monitor, link or spawn changes no answer."),
	World = start_pair(Config),
	Nobody = made_up_pid(World, 4714),
	{raised, exit, {noproc, _}} = answer(World, "call", traced(fun() -> gen_server:call({nosuch, ?PGMESH}, x) end)),
	{value, {error, unsupported}} = answer(World, "call of net_kernel", traced(fun() -> ask_net_kernel(x) end)),
	{value, pong} = answer(World, "net_adm:ping", traced(fun() -> net_adm:ping(?PGMESH) end)),
	{value, noproc} = answer(World, "monitor", traced(fun() -> down_reason({nosuch, ?PGMESH}) end)),
	{value, noproc} = answer(World, "link", traced(fun() -> exit_reason(Nobody) end)),
	{value, notsup} = answer(World, "spawn_request",
		traced(fun() -> spawn_request_reply(lists, seq, [1, 2], [monitor]) end)),
	{value, {badrpc, notsup}} = answer(World, "rpc:call",
		traced(fun() -> rpc:call(?PGMESH, erlang, node, []) end)),
	{value, sent} = answer(World, "messages and exits", traced(fun() ->
		_ = {nosuch, ?PGMESH} ! a_message,
		_ = Nobody ! a_message,
		true = exit(Nobody, kill),
		true = exit(Nobody, {a, reason}),
		sent
	end)),
	undisturbed(World).

printing_to_nobody_ends(Config) ->
	ct:comment("Printing to a group leader on pgmesh ends: with an error if it is nobody, else it is dropped."),
	World = start_pair(Config),
	[begin
		Title = What ++ ", " ++ Whose,
		Answer = answer(World, Title, Print),
		true = IsExpected(Answer),
		ct_console:note("    ~0p", [Answer])
	end || {Whose, Leader, IsExpected} <- [
			{"nobody", made_up_pid(World, 4715), fun({Kind, Class, _}) -> {Kind, Class} =:= {raised, error} end},
			%% The one pid that pgmesh calls others from: a call must not fail because its function prints.
			{"caller", made_up_pid(World, 1), fun(Answer) -> Answer =:= {value, ok} end}],
		{What, Print} <- [
			{"io:format to it", fun() -> io:format(Leader, "hello~n", []) end},
			{"io:format under it", fun() ->
				true = group_leader(Leader, self()),
				io:format("hello~n")
			end}]],
	undisturbed(World).

aliases_are_let_go(Config) ->
	ct:comment("A monitor with an alias is answered as any other, and the alias with it."),
	World = start_pair(Config),
	[{Option, {value, {noproc, Left}}} = {Option, answer(World, "alias, " ++ atom_to_list(Option), fun() ->
		Alias = erlang:monitor(process, {nosuch, ?PGMESH}, [{alias, Option}]),
		{nosuch, ?PGMESH} ! {'$gen_call', {self(), [alias | Alias]}, x},
		Reason = receive {'DOWN', Alias, process, _, R} -> R end,
		{Reason, erlang:unalias(Alias)}
	end)} || {Option, Left} <- [{explicit_unalias, true}, {demonitor, false}, {reply_demonitor, false}]],
	{value, {error, unsupported}} = answer(World, "an answer to an alias", fun() ->
		Alias = erlang:monitor(process, {net_kernel, ?PGMESH}, [{alias, reply_demonitor}]),
		{net_kernel, ?PGMESH} ! {'$gen_call', {self(), [alias | Alias]}, x},
		receive {[alias | Alias], Answer} -> Answer end
	end),
	{value, {error, unsupported}} = answer(World, "an answer by an alias alone", fun() ->
		Alias = erlang:alias(),
		{net_kernel, ?PGMESH} ! {'$gen_call', {self(), Alias}, x},
		receive {Alias, Answer} -> Answer end
	end),
	undisturbed(World).

%% Tests: what is sent and forgotten.

casts_are_harmless(Config) ->
	ct:comment("Whatever is sent without asking for an answer does no harm."),
	World = start_pair(Config),
	Nobody = made_up_pid(World, 4716),
	Name = {nosuch, ?PGMESH},
	[{What, {value, _}} = {What, answer(World, What, Cast)} || {What, Cast} <- [
		{"gen_server:cast", fun() -> gen_server:cast(Name, x) end},
		{"gen_server:cast to net_kernel", fun() -> gen_server:cast({net_kernel, ?PGMESH}, x) end},
		{"gen_server:abcast", fun() -> gen_server:abcast([node(), ?PGMESH], nosuch, x) end},
		{"gen_event:notify", fun() -> gen_event:notify(Name, x) end},
		{"rpc:cast", fun() -> rpc:cast(?PGMESH, erlang, node, []) end},
		{"rpc:cast of a list of bytes", fun() -> rpc:cast(?PGMESH, lists, seq, [1, 2]) end},
		{"rpc:abcast", fun() -> rpc:abcast([?PGMESH], nosuch, x) end},
		{"rpc:eval_everywhere", fun() -> rpc:eval_everywhere([?PGMESH], erlang, node, []) end},
		{"erpc:cast", fun() -> erpc:cast(?PGMESH, erlang, node, []) end},
		{"erpc:multicast", fun() -> erpc:multicast([?PGMESH], lists, seq, [1, 2]) end},
		{"a message to a name", fun() -> Name ! x end},
		{"a message to net_kernel", fun() -> {net_kernel, ?PGMESH} ! x end},
		{"a message to a pid", fun() -> Nobody ! x end},
		{"erlang:send, nosuspend", fun() -> erlang:send(Nobody, x, [nosuspend, noconnect]) end},
		{"exit(Pid, kill)", fun() -> exit(Nobody, kill) end},
		{"exit(Pid, Reason)", fun() -> exit(Nobody, {some, [reason]}) end},
		{"group_leader", fun() -> group_leader(self(), Nobody) end},
		{"group_leader of its caller", fun() -> group_leader(self(), made_up_pid(World, 1)) end},
		{"exit of its caller", fun() -> exit(made_up_pid(World, 1), kill) end},
		{"a message to its caller", fun() -> made_up_pid(World, 1) ! {no_reference, x} end},
		{"demonitor of net_kernel",
			fun() -> erlang:demonitor(erlang:monitor(process, {net_kernel, ?PGMESH})) end}]],
	undisturbed(World).

every_term_is_taken(Config) ->
	ct:comment("No term in a message costs the link: each is followed by a pong over the same link."),
	World = start_pair(Config),
	lists:foreach(fun({What, Term}) ->
		{{value, pong}, Ms} = attempt(World, fun() ->
			{nosuch, ?PGMESH} ! Term(),
			made_up_pid(World, 4717) ! Term(),
			gen_server:cast({nosuch, ?PGMESH}, Term()),
			net_adm:ping(?PGMESH)
		end),
		ct_console:note("~s, three times, and a ping: ~.2f ms", [What, Ms])
	end, terms()),
	undisturbed(World).

%% Tests: links and what they need.

nameless_node_gets_a_name(Config) ->
	ct:comment("A node that asks for a name (-name undefined) gets one from pgmesh, and is linked."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	Beam = beam_node:start(Lab, #{name => 'undefined@127.0.0.1'}),
	nonode@nohost = beam_node:call(Beam, erlang, node, []),
	{{value, true}, Ms} = on_node:attempt(Beam, fun() -> net_kernel:connect_node(?PGMESH) end),
	Name = beam_node:call(Beam, erlang, node, []),
	ct_console:note("net_kernel:connect_node of a nameless node: ~.2f ms; it is ~s now", [Ms, Name]),
	[_ | _] = string:find(atom_to_list(Name), "@127.0.0.1"),
	pong = beam_node:call(Beam, net_adm, ping, [?PGMESH]),
	_ = eventually(fun() -> pgmesh:member_state(Lab, Daemon, Name) =:= <<"up">> end, ?BOUND_MS),
	true = links:has_hidden(Beam, Daemon),
	ok.

hundred_disconnects(Config) ->
	ct:comment("A hundred disconnects and pings in a row under one name: always pong, then stable."),
	#{lab := Lab, beam := Beam, daemon := Daemon} = World = start_pair(Config),
	{{value, Times}, Ms} = attempt(World, fun() -> [disconnect_and_ping() || _ <- lists:seq(1, ?CYCLES)] end, 60000),
	[] = [Answer || {Answer, _} <- Times, Answer =/= pong],
	Each = [Us / 1000 || {_, Us} <- Times],
	ct_console:note("~b disconnects and pings: ~.1f ms; median ~.2f ms, worst ~.2f ms",
		[?CYCLES, Ms, links:median(Each), lists:max(Each)]),
	SettledMs = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:clear_events(Beam),
	ok = holds(fun() -> links:complete(Lab, Daemon, [Beam]) end, 2000),
	ct_console:note("linked in both views ~.1f ms later, and it stays", [SettledMs]),
	undisturbed(World).

epmd_dies_and_returns(Config) ->
	ct:comment("EPMD's death costs no link and no answer; its return brings the name back."),
	#{epmd := Epmd, epmd_port := EpmdPort} = lab:from(Config),
	#{lab := Lab, beam := Beam, daemon := Daemon} = World
		= start_pair(Config, #{daemon => #{"--epmd" => "external"}}),
	true = is_registered(Lab, Daemon),
	ok = scratch_epmd:kill(Epmd),
	GoneMs = eventually(fun() -> is_registered(Lab, Daemon) =:= false end, ?BOUND_MS),
	ok = holds(fun() -> beam_node:call(Beam, net_adm, ping, [?PGMESH]) =:= pong end, 1000),
	_ = scratch_epmd:start(Lab, EpmdPort),
	BackMs = eventually(fun() -> is_registered(Lab, Daemon) end, ?BOUND_MS),
	ct_console:note("registered: false ~.1f ms after EPMD's death, true ~.1f ms after its return (target 2000)",
		[GoneMs, BackMs]),
	true = lists:member("pgmesh", scratch_epmd:names(EpmdPort)),
	undisturbed(World).

large_messages_between_ticks(Config) ->
	ct:comment("Five messages of 40 MB while net_ticktime is 4 s: the link stays up for 15 s."),
	World = start_pair(Config, #{flags => ["-kernel", "net_ticktime", ?TICKTIME],
		daemon => #{"--net-ticktime" => ?TICKTIME ++ "s"}}),
	Times = [begin
		{{value, pong}, Ms} = attempt(World, fun() -> send_megabytes(40) end, 20000),
		ok = holds(fun() -> has_lost_nothing(World) end, 3000),
		Ms
	end || _ <- lists:seq(1, 5)],
	ct_console:note("40 MB and a ping, five times: ~w ms", [[round(Ms) || Ms <- Times]]),
	undisturbed(World).

frame_within_the_limit(Config) ->
	ct:comment("A message of 100 MB is taken by a pgmesh that is allowed 128 MiB."),
	World = start_pair(Config, #{daemon => #{"--max-frame" => "128MiB"}}),
	{{value, pong}, Ms} = attempt(World, fun() -> send_megabytes(100) end, 20000),
	ct_console:note("100 MB and a ping: ~.1f ms", [Ms]),
	undisturbed(World).

frame_beyond_the_limit(Config) ->
	ct:comment("A message of 100 MB ends a link that is allowed 64 MiB; it is named, and linked again."),
	#{lab := Lab, beam := Beam, daemon := Daemon} = World = start_pair(Config),
	{_, _} = attempt(World, fun() -> send_megabytes(100) end, 20000),
	_ = eventually(fun() -> is_logged([<<"nodedown">>, <<"frame_too_large">>], Daemon) end, ?BOUND_MS),
	_ = eventually(fun() -> links:lost(Beam, ?PGMESH) =/= [] end, ?BOUND_MS),
	Ms = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ct_console:note("linked again ~.1f ms after the nodedown was seen", [Ms]),
	{value, pong} = answer(World, "net_adm:ping", fun() -> net_adm:ping(?PGMESH) end),
	ok.

wrong_cookie_is_named(Config) ->
	ct:comment("A node with another cookie is refused in both directions, named, and no cookie is shown."),
	#{cookie := Cookie} = Lab = lab:from(Config),
	OtherCookie = "another_cookie_for_tests",
	Daemon = pgmesh:start(Lab),
	Other = beam_node:start(Lab#{cookie := OtherCookie}, #{name => 'other@127.0.0.1'}),
	_ = lab:notify(Lab, 'other@127.0.0.1'),
	Ms = eventually(fun() -> is_refused(pgmesh:member(Lab, Daemon, 'other@127.0.0.1')) end, ?BOUND_MS),
	{{value, false}, DialMs} = on_node:attempt(Other, fun() -> net_kernel:connect_node(?PGMESH) end, 20000),
	_ = eventually(fun() -> is_logged([<<"cookie_rejected_by_us">>, <<"other@127.0.0.1">>], Daemon) end, ?BOUND_MS),
	ct_console:note("refused ~.1f ms after it was said; its own dial fails after ~.1f ms", [Ms, DialMs]),
	#{stdout := Members} = pgmesh:command(Lab, ["members", "--socket", maps:get(socket, Daemon)]),
	Shown = [pgmesh:log(Daemon), Members, json_of(Lab, Daemon, "members"), json_of(Lab, Daemon, "status")],
	[] = [{Secret, Text} || Secret <- [Cookie, OtherCookie], Text <- Shown, string:find(Text, Secret) =/= nomatch],
	ok.

%% Helpers: the world.

start_pair(Config) ->
	start_pair(Config, #{}).

start_pair(Config, Options) ->
	Lab = lab:from(Config),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true,
		flags => maps:get(flags, Options, [])}),
	Daemon = pgmesh:start(Lab, #{flags => maps:get(daemon, Options, #{})}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:clear_events(Beam),
	#{<<"creation">> := Creation} = pgmesh:status(Lab, Daemon),
	#{lab => Lab, beam => Beam, daemon => Daemon, creation => Creation}.

%% The same answer each time, well within the bound.
answer(World, What, Function) ->
	Attempts = [attempt(World, Function) || _ <- lists:seq(1, ?TIMES)],
	[Outcome] = lists:usort([normal(O) || {O, _} <- Attempts]),
	Times = [Ms || {_, Ms} <- Attempts],
	ct_console:note("~s: median ~.2f ms, worst ~.2f ms", [What, links:median(Times), lists:max(Times)]),
	{What, true} = {What, lists:max(Times) < ?ANSWER_BOUND_MS},
	Outcome.

%% Without what differs from one call to the next.
normal({raised, exit, {Reason, _}}) -> {raised, exit, {Reason, a_call}};
normal({raised, error, {Reason, Ref}}) when is_reference(Ref) -> {raised, error, {Reason, a_reference}};
normal(Outcome) -> Outcome.

outcome(World, Function) ->
	{Outcome, _} = attempt(World, Function),
	Outcome.

attempt(#{beam := Beam}, Function) ->
	on_node:attempt(Beam, Function).

attempt(#{beam := Beam}, Function, LimitMs) ->
	on_node:attempt(Beam, Function, LimitMs).

%% After all that: the same link, and it answers.
undisturbed(#{lab := Lab, beam := #{name := Name} = Beam, daemon := Daemon} = World) ->
	pong = beam_node:call(Beam, net_adm, ping, [?PGMESH]),
	true = has_lost_nothing(World),
	<<"up">> = pgmesh:member_state(Lab, Daemon, Name),
	running = pgmesh:await_exit(Daemon, 0),
	nomatch = string:find(pgmesh:log(Daemon), <<"panicked">>),
	ok.

has_lost_nothing(#{beam := Beam}) ->
	links:lost(Beam) =:= [] orelse links:lost(Beam).

is_registered(Lab, Daemon) ->
	#{<<"epmd">> := #{<<"registered">> := IsRegistered}} = pgmesh:status(Lab, Daemon),
	IsRegistered.

is_refused(#{<<"state">> := <<"refused">>, <<"error">> := #{<<"kind">> := <<"cookie_rejected_by_peer">>}}) -> true;
is_refused(Other) -> Other.

%% Is there a line with all of these?
is_logged(Words, Daemon) ->
	lists:any(fun(Line) ->
		lists:all(fun(Word) -> string:find(Line, Word) =/= nomatch end, Words)
	end, string:split(pgmesh:log(Daemon), "\n", all)).

json_of(Lab, #{socket := Socket}, What) ->
	#{exit := 0, stdout := Json} = pgmesh:command(Lab, [What, "--socket", Socket, "--json"]),
	Json.

%% Pids of pgmesh that it never made. 1 is the one it has.
made_up_pid(#{creation := Creation}, Id) ->
	pid_of_pgmesh(Id, Creation).

stale_pid(#{creation := Creation}) ->
	pid_of_pgmesh(1, Creation bxor 16#5555).

pid_of_pgmesh(Id, Creation) ->
	Name = atom_to_binary(?PGMESH),
	binary_to_term(<<131, ?NEW_PID_EXT, ?SMALL_ATOM_UTF8_EXT, (byte_size(Name)), Name/binary,
		Id:32, 0:32, Creation:32>>).

%% Helpers that run on the node.

ask_net_kernel(Request) ->
	gen_server:call({net_kernel, ?PGMESH}, Request, infinity).

reason_of({error, {Reason, _}}) -> {error, Reason};
reason_of(Other) -> Other.

down_reason(Target) ->
	Monitor = erlang:monitor(process, Target),
	receive {'DOWN', Monitor, process, _, Reason} -> Reason end.

exit_reason(Pid) ->
	process_flag(trap_exit, true),
	link(Pid),
	receive {'EXIT', Pid, Reason} -> Reason end.

spawn_request_reply(Module, Function, Args, Options) ->
	Request = spawn_request(?PGMESH, Module, Function, Args, Options),
	receive {spawn_reply, Request, error, Reason} -> Reason end.

traced(Function) ->
	fun() ->
		_ = seq_trace:set_token(label, {a_label, make_ref()}),
		_ = seq_trace:set_token(send, true),
		Function()
	end.

idle() ->
	receive never -> ok end.

%% A process that remembers how its monitors fired.
start_watcher(Target) ->
	Caller = self(),
	Pid = spawn(fun() ->
		true = register(watcher, self()),
		Monitor = erlang:monitor(process, Target),
		Caller ! {self(), ready},
		watch(Monitor, [])
	end),
	receive {Pid, ready} -> ok end.

watch(Monitor, Fired) ->
	receive
		{'DOWN', Monitor, process, _, Reason} -> watch(Monitor, [Reason | Fired]);
		{ask, From} -> From ! {fired, Fired}, watch(Monitor, Fired)
	end.

watched() ->
	watcher ! {ask, self()},
	receive {fired, Fired} -> Fired end.

%% How many exit signals came before and after the unlink, and how much the
%% process has grown: a link stays in it until its unlink is acknowledged. The
%% ping comes back after all acknowledgements.
link_and_unlink([First | Pids]) ->
	process_flag(trap_exit, true),
	_ = link_unlink(First),
	pong = net_adm:ping(?PGMESH),
	Before = memory(),
	Early = lists:sum([link_unlink(Pid) || Pid <- Pids]),
	pong = net_adm:ping(?PGMESH),
	{message_queue_len, Late} = process_info(self(), message_queue_len),
	{Early, Late, memory() - Before}.

link_unlink(Pid) ->
	true = link(Pid),
	true = unlink(Pid),
	receive {'EXIT', Pid, noproc} -> 1 after 0 -> 0 end.

memory() ->
	true = erlang:garbage_collect(),
	{memory, Bytes} = process_info(self(), memory),
	Bytes.

disconnect_and_ping() ->
	_ = erlang:disconnect_node(?PGMESH),
	{Us, Answer} = timer:tc(net_adm, ping, [?PGMESH]),
	{Answer, Us}.

send_megabytes(Megabytes) ->
	{nosuch, ?PGMESH} ! binary:copy(<<"0123456789">>, Megabytes * ?MB div 10),
	net_adm:ping(?PGMESH).

%% Every kind of term that there is, and large ones. As functions, since ports,
%% funs and references are to be those of the node.
terms() ->
	[{"floats", fun() -> [0.0, -1.5, 1.0e308, 5.0e-324] end},
		{"integers", fun() -> [0, 255, 256, -1, 1 bsl 31, -(1 bsl 31), 1 bsl 63, 1 bsl 64, -(1 bsl 2040)] end},
		{"an integer of 10,000 digits", fun() -> -list_to_integer(lists:duplicate(10000, $7)) end},
		{"bit strings", fun() -> [<<>>, <<1:1>>, <<255, 5:3>>, <<0:7>>] end},
		{"funs", fun() -> [fun lists:map/2, fun ?MODULE:idle/0, fun() -> self() end] end},
		{"a fun with an environment", fun() -> Held = lists:seq(1, 1000), fun(X) -> [X, Held, self()] end end},
		{"maps", fun() -> [#{}, #{a => #{b => 1.0}}, #{[] => {}, <<>> => 0}] end},
		{"a map of 1000 keys", fun() -> maps:from_list([{{key, N}, [N]} || N <- lists:seq(1, 1000)]) end},
		{"lists of bytes", fun() -> [[1, 2], "text", lists:duplicate(65535, 7), lists:duplicate(65536, 7)] end},
		{"improper lists", fun() -> [[a | b], [1, 2 | 3], [[] | <<>>]] end},
		{"lists of 100,000 levels", fun() -> nested(fun(Inner) -> [Inner] end, 100000) end},
		{"tuples of 100,000 levels", fun() -> nested(fun(Inner) -> {Inner} end, 100000) end},
		{"tuples", fun() -> [{}, {a}, list_to_tuple(lists:seq(1, 255)), list_to_tuple(lists:seq(1, 256))] end},
		{"a binary of 1 MB", fun() -> binary:copy(<<0>>, ?MB) end},
		{"a list of a million", fun() -> lists:seq(1, ?MB) end},
		{"atoms", fun() -> ['', ordinary, 'with space', 'caf\x{e9}', 'имя', '名前', '🙂',
			list_to_atom(lists:duplicate(255, $a)), list_to_atom(lists:duplicate(255, 16#1F600))] end},
		{"pids, ports and references", fun() ->
			[self(), hd(erlang:ports()), make_ref(), erlang:alias(), group_leader()]
		end}].

nested(Wrap, Levels) ->
	lists:foldl(fun(_, Inner) -> Wrap(Inner) end, [], lists:seq(1, Levels)).
