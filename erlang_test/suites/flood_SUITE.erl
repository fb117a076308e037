%% A flood of names does not keep a newcomer waiting.
%%
%% Any database role can say names by the thousand. Whether their host answers
%% or is silent, a node that really starts is linked as fast as without them, and
%% pgmesh does not grow.
-module(flood_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 15000).
-define(JOIN_BOUND_MS, 5000).
-define(NEWCOMERS, 20).
-define(NAMES, 100000).
-define(BATCHES, 100).
-define(BATCH_GAP_MS, 100).
-define(JOIN_GAP_MS, 400).
-define(MAX_MB, 30).
%% What a node may learn in these seconds for reasons of its own.
-define(MAX_ATOMS, 20).
-define(SETTLED_MS, 2000).

%% ct.

suite() ->
	[{timetrap, {minutes, 3}}].

all() ->
	[names_of_a_host_that_answers, names_of_silent_hosts,
		made_up_names_make_no_atoms].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

names_of_a_host_that_answers(Config) ->
	ct:comment("100,000 names in 10 s, of a host whose EPMD knows none of them."),
	do_flood(Config, "'flood' || i || '@127.0.0.1'").

names_of_silent_hosts(Config) ->
	ct:comment("100,000 names in 10 s, of two hundred hosts that accept and never answer."),
	#{epmd_port := EpmdPort} = lab:from(Config),
	_Listeners = [listen_silently({127, 0, 1, N}, EpmdPort) || N <- lists:seq(1, 200)],
	do_flood(Config, "'flood' || i || '@127.0.1.' || (i % 200 + 1)").

%% An atom lives as long as its node, and there is room for a million of them.
made_up_names_make_no_atoms(Config) ->
	ct:comment("100,000 made-up names on the channel leave no atoms on the nodes that pgmesh heals."),
	Lab = lab:from(Config),
	Beams = beam_node:start_all(Lab, [#{name => newcomer(N)} || N <- lists:seq(1, 3)]),
	Daemon = pgmesh:start(Lab, #{flags => #{"--introduce" => "all"}}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[ok = beam_node:call(Beam, ?MODULE, load_everything, []) || Beam <- Beams],
	ok = warm_up(Beams),
	Before = [atoms(Beam) || Beam <- Beams],
	Flood = start_flood(Lab, "'flood' || i || '@127.0.0.1'"),
	_ = eventually(fun() -> is_flooded(Lab, Daemon) end, ?BOUND_MS),
	ok = warm_up(Beams),
	ok = await_flood(Flood),
	ok = holds(fun() -> links:meshed(Beams) end, ?SETTLED_MS),
	More = [After - Earlier || {Earlier, After} <- lists:zip(Before, [atoms(Beam) || Beam <- Beams])],
	ct_console:note("100,000 names made ~w atoms on three nodes", [More]),
	true = lists:max(More) =< ?MAX_ATOMS,
	ok.

%% Helpers.

%% On a node: a module that is loaded later, because something has to be logged say,
%% brings its atoms with it.
load_everything() ->
	_ = [code:ensure_loaded(Module) || Application <- [kernel, stdlib],
		{ok, Modules} <- [application:get_key(Application, modules)], Module <- Modules],
	ok.

%% What healing needs is loaded when an edge is healed first.
warm_up([First | Others] = Beams) ->
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = [beam_node:call(First, erlang, disconnect_node, [Name]) || #{name := Name} <- Others],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	ok.

atoms(Beam) ->
	beam_node:call(Beam, erlang, system_info, [atom_count]).

%% All newcomers run before it begins; what is measured is from a name's being
%% said to the link.
do_flood(Config, Name) ->
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => #{"--announce" => "none", "--introduce" => "none"}}),
	Newcomers = beam_node:start_all(Lab, [#{name => newcomer(N)} || N <- lists:seq(1, 2 * ?NEWCOMERS)]),
	{Calm, Flooded} = lists:split(?NEWCOMERS, Newcomers),
	Without = [join_ms(Lab, Daemon, Beam) || Beam <- Calm],
	Flood = start_flood(Lab, Name),
	_ = eventually(fun() -> is_flooded(Lab, Daemon) end, ?BOUND_MS),
	With = [join_ms(Lab, Daemon, Beam) || Beam <- Flooded],
	ok = await_flood(Flood),
	#{peak := Peak} = pgmesh:memory(Daemon),
	ct_console:note("NOTIFY to nodeup: ~.2f ms without, ~.2f ms with the flood (medians of ~b); "
		"worst ~.2f and ~.2f ms; at most ~.1f MB", [links:median(Without), links:median(With),
		?NEWCOMERS, lists:max(Without), lists:max(With), Peak]),
	true = lists:max(With) < ?JOIN_BOUND_MS,
	true = Peak < ?MAX_MB,
	_ = eventually(fun() -> links:complete(Lab, Daemon, Newcomers) end, ?BOUND_MS),
	ok.

newcomer(N) ->
	list_to_atom("new" ++ integer_to_list(N) ++ "@127.0.0.1").

%% The kernel accepts for us; nobody reads, nobody answers.
listen_silently(Host, EpmdPort) ->
	{ok, Socket} = gen_tcp:listen(EpmdPort, [{ip, Host}, {backlog, 64}]),
	Socket.

is_flooded(Lab, Daemon) ->
	case pgmesh:status(Lab, Daemon) of
		#{<<"counts">> := #{<<"heard">> := Heard}} when Heard > 3 * ?NEWCOMERS -> true;
		Other -> Other
	end.

%% A thousand names in each transaction, at a steady pace: the time between them
%% is the flood's, nothing is waited for.
start_flood(Lab, Name) ->
	{Flood, Monitor} = spawn_monitor(fun() ->
		{ok, Session} = pg_session:connect(lab:postgres(Lab)),
		flood(Name, 0, erlang:monotonic_time(millisecond), Session)
	end),
	{Flood, Monitor}.

flood(_, ?BATCHES, _, Session) ->
	pg_session:close(Session);
flood(Name, Batch, DueMs, Session) ->
	Size = ?NAMES div ?BATCHES,
	Sql = io_lib:format("SELECT count(pg_notify('cluster', ~s)) FROM generate_series(~b, ~b) AS i",
		[Name, Batch * Size + 1, (Batch + 1) * Size]),
	{ok, _, After} = pg_session:query(Sql, Session),
	NextMs = DueMs + ?BATCH_GAP_MS,
	receive after max(0, NextMs - erlang:monotonic_time(millisecond)) -> ok end,
	flood(Name, Batch + 1, NextMs, After).

await_flood({Flood, Monitor}) ->
	receive {'DOWN', Monitor, process, Flood, Reason} -> normal = Reason, ok end.

join_ms(Lab, Daemon, Beam) ->
	Said = lab:notify(Lab, maps:get(name, Beam)),
	_ = eventually(fun() -> links:has_hidden(Beam, Daemon) end, ?BOUND_MS),
	Up = links:nodeup_after(0, Beam, pgmesh:node_name(Daemon)),
	receive after ?JOIN_GAP_MS -> ok end,
	max(0, Up - Said) / 1000.
