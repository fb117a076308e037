%% What befalls a mesh: chosen by a seed, done one after the other.
%%
%% A trouble leaves the world able to become whole again, though not whole: the next one
%% comes at once, and connections that are held stay for a while. calm/1 ends all that.
-module(soak_troubles).

-export([world/3, each/0, pick/1, strike/2, calm/1, beams/1, counts/1]).
-export([ask_nobody/1, flap/2]).

-export_type([world/0, trouble/0]).

-import(beam_node, [call/4]).

-define(LARGEST, 100).

%% `core` lives from the start to the end; of `churned` each runs or does not. `held` are
%% connections of strangers. `counts` says how often something was done.
-type world() :: #{lab := lab:lab(), daemon := pgmesh:daemon(), port := inet:port_number(),
	http := http_client:address(), silent := [gen_tcp:socket()],
	core := [beam_node:beam()], churned := #{node() => beam_node:beam() | none},
	held := [gen_tcp:socket()], counts := #{atom() => pos_integer()}}.
%% How much of it, and whom it befalls.
-opaque trouble() :: {atom(), Size :: 1..?LARGEST, Where :: non_neg_integer()}.

-define(PGMESH, 'pgmesh@127.0.0.1').
%% The same names for ever: each is an atom on every node.
-define(CHURNED, ['c1@127.0.0.1', 'c2@127.0.0.1', 'c3@127.0.0.1', 'c4@127.0.0.1']).
-define(BROKEN, [<<"broken1@127.0.0.1">>, <<"broken2@127.0.0.1">>, <<"broken3@127.0.0.1">>]).
-define(SILENT_HOSTS, 20).
-define(ANSWER_MS, 5000).
-define(FLAPPING_MS, 30000).
-define(EXIT_MS, 20000).
-define(MOST_HELD, 600).
-define(BATCH, 500).
-define(MEGABYTE, 1000000).
-define(VERSION, 131).
-define(NOBODY, nobody_has_this_name).

%% What stands there more often comes more often.
-define(TROUBLES, [
	start_node, start_node, start_node, start_node, kill_node, kill_node, stop_node, freeze_node,
	cut_edge, cut_edge, cut_edge, isolate_node, cut_link, cut_link, flap_link,
	restart_postgres, crash_postgres, end_sessions, freeze_postgres, restart_epmd,
	names_of_nobody, names_of_silent_hosts, no_names,
	silent_connections, garbage_connections, wrong_cookies, unfinished_handshakes, broken_node,
	big_message, many_messages, calls_to_nobody, http_garbage, event_readers, commands, reload]).
%% What may come while Postgres is away.
-define(WITHOUT_POSTGRES, [start_node, kill_node, cut_edge, cut_link, isolate_node, silent_connections,
	calls_to_nobody]).

%% Hosts that accept and never answer belong to every world.
-spec world(lab:lab(), pgmesh:daemon(), #{core := [beam_node:beam()], http := http_client:address()}) -> world().
world(#{epmd_port := EpmdPort} = Lab, Daemon, Rest) ->
	Silent = [begin
		{ok, Listen} = gen_tcp:listen(EpmdPort, [{ip, {127, 0, 1, N}}, {backlog, 64}, {reuseaddr, true}]),
		Listen
	end || N <- lists:seq(1, ?SILENT_HOSTS)],
	Rest#{lab => Lab, daemon => Daemon, port => scratch_epmd:node_port(EpmdPort, "pgmesh"), silent => Silent,
		churned => maps:from_list([{Name, none} || Name <- ?CHURNED]), held => [], counts => #{}}.

%% All of them, as large as they come; and messages of many sizes: malloc keeps more or less
%% for itself after each, up to a few times what it kept after the first.
-spec each() -> [trouble()].
each() ->
	[{big_message, Size, Where} || Where <- [0, 1, 2, 3], Size <- lists:seq(4, 64, 4)]
		++ [{What, ?LARGEST, 0} || What <- lists:uniq(?TROUBLES)].

%% The same seed gives the same troubles.
-spec pick(rand:state()) -> {trouble(), rand:state()}.
pick(Seed) ->
	{Which, Second} = rand:uniform_s(length(?TROUBLES), Seed),
	{Size, Third} = rand:uniform_s(?LARGEST, Second),
	{Where, Next} = rand:uniform_s(1 bsl 32, Third),
	{{lists:nth(Which, ?TROUBLES), Size, Where}, Next}.

-spec strike(trouble(), world()) -> world().
strike({What, Size, Where}, World) ->
	do(What, Size, Where, count(What, World)).

%% Every node runs and nobody is in the way: from here on the mesh must become whole.
-spec calm(world()) -> world().
calm(#{held := Held, churned := Churned} = World) ->
	lists:foreach(fun raw_peer:close/1, Held),
	Absent = [Name || {Name, none} <- maps:to_list(Churned)],
	lists:foldl(fun start_churned/2, World#{held := []}, Absent).

%% All that run.
-spec beams(world()) -> [beam_node:beam()].
beams(#{core := Core, churned := Churned}) ->
	Core ++ [Beam || Beam <- maps:values(Churned), Beam =/= none].

-spec counts(world()) -> #{atom() => pos_integer()}.
counts(#{counts := Counts}) ->
	Counts.

%% Nodes that come and go.

do(start_node, _, Where, World) ->
	with_one(churned(none, World), Where, fun start_churned/2, World);
do(kill_node, _, Where, World) ->
	with_one(churned(running, World), Where, fun kill_churned/2, World);
do(stop_node, _, Where, World) ->
	with_one(churned(running, World), Where, fun stop_churned/2, World);
do(freeze_node, Size, Where, World) ->
	with_one(churned(running, World), Where, fun(Name, #{churned := Churned}) ->
		#{Name := Beam} = Churned,
		ok = beam_node:freeze(Beam),
		ok = pause(30 * Size),
		ok = beam_node:thaw(Beam),
		World
	end, World);

%% Links.

do(cut_edge, _, Where, World) ->
	Beam = one(beams(World), Where),
	_ = case call(Beam, erlang, nodes, []) of
		[] -> ok;
		Nodes -> call(Beam, erlang, disconnect_node, [one(Nodes, Where bsr 8)])
	end,
	World;
do(isolate_node, _, Where, World) ->
	Beam = one(beams(World), Where),
	_ = [call(Beam, erlang, disconnect_node, [Node]) || Node <- call(Beam, erlang, nodes, [])],
	World;
do(cut_link, _, Where, World) ->
	_ = call(one(beams(World), Where), erlang, disconnect_node, [?PGMESH]),
	World;
do(flap_link, Size, Where, World) ->
	Beam = one(beams(World), Where),
	{{value, Pangs}, _} = on_node:attempt(Beam, fun() -> ?MODULE:flap(?PGMESH, Size) end, ?FLAPPING_MS),
	count(pang, Pangs, World);

%% Postgres and EPMD.

do(restart_postgres, Size, Where, World) ->
	without_postgres(fast, Size, Where, World);
do(crash_postgres, Size, Where, World) ->
	without_postgres(immediate, Size, Where, World);
do(end_sessions, _, _, #{lab := Lab} = World) ->
	_ = lab:query(Lab, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
		"WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"),
	World;
do(freeze_postgres, Size, _, #{lab := #{postgres := Postgres}} = World) ->
	ok = scratch_postgres:freeze(Postgres, everything),
	ok = pause(50 * Size),
	ok = scratch_postgres:thaw(Postgres),
	World;
do(restart_epmd, Size, _, #{lab := #{epmd := Epmd, epmd_port := Port} = Lab} = World) ->
	ok = scratch_epmd:kill(Epmd),
	ok = pause(20 * Size),
	World#{lab := Lab#{epmd := scratch_epmd:start(Lab, Port)}};

%% The channel.

do(names_of_nobody, Size, Where, World) ->
	flood(["'n", integer_to_list(Where rem 1000), "_' || i || '@127.0.0.1'"], Size, World);
do(names_of_silent_hosts, Size, Where, World) ->
	flood(["'s", integer_to_list(Where rem 1000), "_' || i || '@127.0.1.' || (i % ",
		integer_to_list(?SILENT_HOSTS), " + 1)"], Size, World);
do(no_names, Size, _, World) ->
	flood("repeat(chr(1 + i % 1000), i % 1900)", Size, World);

%% Strangers at the door.

do(silent_connections, Size, _, #{port := Port} = World) ->
	hold([Socket || _ <- lists:seq(1, Size), {ok, Socket} <- [attempt(fun() -> raw_peer:connect(Port) end)]], World);
do(garbage_connections, Size, Where, #{port := Port} = World) ->
	{Garbage, _} = rand:bytes_s(10 * Size, rand:seed_s(exsss, Where)),
	_ = [attempt(fun() -> say(Port, [binary:part(Garbage, N, 9 * Size)]) end) || N <- lists:seq(0, Size - 1)],
	World;
do(wrong_cookies, Size, _, #{port := Port} = World) ->
	Guess = #{port => Port, cookie => "guess"},
	_ = [attempt(fun() -> raw_peer:link(Guess, one(?BROKEN, N)) end) || N <- lists:seq(1, Size)],
	World;
do(unfinished_handshakes, Size, _, #{port := Port} = World) ->
	Claimed = [atom_to_binary(Name) || #{name := Name} <- beams(World)],
	hold([Socket || N <- lists:seq(1, Size), {ok, Socket} <- [attempt(fun() ->
		Socket = raw_peer:connect(Port),
		_ = raw_peer:send(Socket, raw_peer:name_frame(one(Claimed, N))),
		Socket
	end)]], World);
do(broken_node, Size, Where, #{port := Port, lab := #{cookie := Cookie}} = World) ->
	{Garbage, _} = rand:bytes_s(100 * Size, rand:seed_s(exsss, Where)),
	case attempt(fun() -> raw_peer:link(#{port => Port, cookie => Cookie}, one(?BROKEN, Where)) end) of
		{ok, Socket} ->
			_ = raw_peer:send(Socket, [raw_peer:frame([112, ?VERSION, 104, Garbage]), Garbage]),
			hold([Socket], count(broken_node_linked, World));
		_ -> World
	end;

%% Nodes that say much.

do(big_message, Size, Where, World) ->
	Beam = one(beams(World), Where),
	_ = call(Beam, erlang, send, [{?NOBODY, ?PGMESH}, binary:copy(<<0>>, Size * ?MEGABYTE)]),
	World;
do(many_messages, Size, Where, World) ->
	{{value, ok}, _} = on_node:attempt(one(beams(World), Where), fun() ->
		lists:foreach(fun(N) -> {?NOBODY, ?PGMESH} ! lists:seq(1, N rem 5000) end, lists:seq(1, 100 * Size))
	end, ?FLAPPING_MS),
	World;
do(calls_to_nobody, Size, Where, World) ->
	Beam = one(beams(World), Where),
	{{value, Answers}, _} = on_node:attempt(Beam, fun() ->
		[?MODULE:ask_nobody(?PGMESH) || _ <- lists:seq(1, Size)]
	end, ?FLAPPING_MS),
	[] = [Answer || {timeout, _} = Answer <- Answers],
	World;

%% People and their programs.

do(http_garbage, Size, Where, #{http := {_, Port}} = World) ->
	{Garbage, _} = rand:bytes_s(10 * Size, rand:seed_s(exsss, Where)),
	_ = [attempt(fun() -> say(Port, ["GET / HTTP/1.1\r\n", Garbage]) end) || _ <- lists:seq(1, Size)],
	World;
do(event_readers, Size, _, #{http := Http} = World) ->
	hold([Socket || _ <- lists:seq(1, Size div 10), {ok, Socket} <- [attempt(fun() ->
		Socket = http_client:connect(Http),
		_ = http_client:send(Socket, "GET /api/v1/events HTTP/1.1\r\nHost: pgmesh\r\n\r\n"),
		Socket
	end)]], World);
do(commands, _, _, #{lab := Lab, daemon := Daemon} = World) ->
	#{} = pgmesh:status(Lab, Daemon),
	true = is_list(pgmesh:members(Lab, Daemon)),
	World;
do(reload, _, _, #{daemon := Daemon} = World) ->
	ok = pgmesh:signal(Daemon, 'HUP'),
	World.

%% On a node.

%% How an exit that must come at once is called.
-spec ask_nobody(node()) -> term().
ask_nobody(Node) ->
	Monitor = monitor(process, {?NOBODY, Node}),
	try
		gen_server:call({?NOBODY, Node}, are_you_there, ?ANSWER_MS)
	catch exit:{Reason, _} ->
		{Reason, receive {'DOWN', Monitor, process, _, _} -> down after ?ANSWER_MS -> error(not_told) end}
	end.

%% How often a ping right after the link's end was answered by pang.
-spec flap(node(), pos_integer()) -> non_neg_integer().
flap(Node, Times) ->
	length([pang || _ <- lists:seq(1, Times), pang =:= begin
		_ = erlang:disconnect_node(Node),
		net_adm:ping(Node)
	end]).

%% Helpers: the world.

start_churned(Name, #{lab := Lab, churned := Churned} = World) ->
	World#{churned := Churned#{Name := beam_node:start(Lab, #{name => Name})}}.

kill_churned(Name, #{churned := Churned} = World) ->
	#{Name := Beam} = Churned,
	ok = beam_node:kill(Beam),
	ok = beam_node:remove(Beam),
	World#{churned := Churned#{Name := none}}.

stop_churned(Name, #{churned := Churned} = World) ->
	#{Name := Beam} = Churned,
	ok = call(Beam, init, stop, []),
	_ = beam_node:await_exit(Beam, ?EXIT_MS),
	ok = beam_node:remove(Beam),
	World#{churned := Churned#{Name := none}}.

churned(none, #{churned := Churned}) ->
	[Name || {Name, none} <- lists:sort(maps:to_list(Churned))];
churned(running, #{churned := Churned}) ->
	[Name || {Name, Beam} <- lists:sort(maps:to_list(Churned)), Beam =/= none].

with_one([], _, _, World) -> World;
with_one(Names, Where, Function, World) -> Function(one(Names, Where), World).

one(Some, Where) ->
	lists:nth(Where rem length(Some) + 1, Some).

%% Further troubles come before Postgres is back, of those that do not need it.
without_postgres(Mode, Size, Where, #{lab := #{postgres := Postgres}} = World) ->
	ok = scratch_postgres:down(Postgres, Mode),
	After = lists:foldl(fun(N, Now) ->
		strike({one(?WITHOUT_POSTGRES, Where bsr (4 * N)), Size, Where bsr N}, Now)
	end, World, lists:seq(1, Where rem 4)),
	ok = pause(30 * Size),
	ok = scratch_postgres:up(Postgres),
	After.

%% A hundred names for each of its size, in a transaction for each few hundred.
flood(Payload, Size, #{lab := #{channel := Channel} = Lab} = World) ->
	_ = [lab:query(Lab, ["SELECT count(pg_notify('", Channel, "', ", Payload, ")) FROM generate_series(",
		integer_to_list(First), ", ", integer_to_list(min(First + ?BATCH - 1, 100 * Size)), ") AS i"])
		|| First <- lists:seq(1, 100 * Size, ?BATCH)],
	World.

%% The oldest make room.
hold(Sockets, #{held := Held} = World) ->
	All = Sockets ++ Held,
	{Kept, Old} = lists:split(min(?MOST_HELD, length(All)), All),
	lists:foreach(fun raw_peer:close/1, Old),
	World#{held := Kept}.

say(Port, Bytes) ->
	Socket = raw_peer:connect(Port),
	_ = raw_peer:send(Socket, Bytes),
	raw_peer:close(Socket).

%% Strangers may be sent away at any time.
attempt(Function) ->
	try
		{ok, Function()}
	catch error:Reason ->
		{sent_away, Reason}
	end.

pause(Ms) ->
	receive after Ms -> ok end.

count(What, World) ->
	count(What, 1, World).

count(_, 0, World) ->
	World;
count(What, Times, #{counts := Counts} = World) ->
	World#{counts := maps:update_with(What, fun(Before) -> Before + Times end, Times, Counts)}.
