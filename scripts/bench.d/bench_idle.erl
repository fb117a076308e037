%% What an idle daemon with 50 links uses of CPU in a minute, and for what.
%%
%% Several daemons look at the same nodes in the same minute, each on a channel of its
%% own, so that none hears another. The first has everything on, and each of the others
%% leaves out one part more: what that part costs is the difference. Beside them a BEAM
%% node with the beacon, linked to the same nodes.
-module(bench_idle).

-export([run/1]).

-define(NODES, 50).
-define(MEASURED_MS, 60000).
%% Until introductions and first audits are over.
-define(SETTLE_MS, 20000).
-define(LINKED_MS, 60000).
-define(BEACON, 'beacon@127.0.0.1').

-define(ALL_ON, #{"--announce-interval" => "5s", "--audit-interval" => "30s", "--watch-edges" => "on"}).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("idle: CPU in ~b s with ~b nodes linked", [?MEASURED_MS div 1000, ?NODES]),
	Beams = small_nodes:start(Lab, lists:seq(1, ?NODES), []),
	Names = small_nodes:names(Beams),
	Beacon = beam_node:start(Lab#{channel := channel(pgmesh)},
		#{name => ?BEACON, beacon => true, beacon_interval_ms => 5000}),
	Daemons = start_daemons(Lab, [?BEACON | Names]),
	_ = eventually:eventually(fun() -> Names -- beam_node:call(Beacon, erlang, nodes, []) =:= [] end, ?LINKED_MS),
	timer:sleep(?SETTLE_MS),
	Beam = list_to_integer(beam_node:call(Beacon, os, getpid, [])),
	Before = used([{beam, Beam} | Daemons]),
	timer:sleep(?MEASURED_MS),
	After = used([{beam, Beam} | Daemons]),
	show(maps:map(fun(Contender, Us) -> (maps:get(Contender, After) - Us) / 1000 end, Before)).

%% Each with what it leaves out beside what those before it do, and what that is called.
kinds() ->
	[{pgmesh, #{}, all},
		{mute, #{"--announce" => "none"}, announcements},
		{trusting, #{"--audit-interval" => "10h"}, audits},
		{observing, #{"--introduce" => "none"}, epmd_questions},
		{deaf, #{"--database-url" => false, "--channel" => false}, postgres_session}].

start_daemons(Lab, Names) ->
	{Daemons, _} = lists:mapfoldl(fun({Kind, Less, _}, Flags) ->
		Left = maps:merge(Flags, Less),
		{start_daemon(Lab, Kind, Left, Names), Left}
	end, ?ALL_ON, kinds()),
	Daemons.

%% Without Postgres nobody says the names, and the daemon has them in its settings.
start_daemon(#{epmd_port := EpmdPort} = Lab, deaf = Kind, Flags, Names) ->
	Peers = [[atom_to_list(Name), "=", integer_to_list(scratch_epmd:node_port(EpmdPort, alive(Name)))] || Name <- Names],
	Daemon = pgmesh:launch(Lab, #{name => name(Kind), log => atom_to_list(Kind),
		flags => Flags#{"--peers" => lists:flatten(lists:join(",", Peers))}}),
	linked(Lab, Kind, Daemon, Names);
start_daemon(Lab, Kind, Flags, Names) ->
	Own = Lab#{channel := channel(Kind)},
	Daemon = pgmesh:start(Own, #{name => name(Kind), log => atom_to_list(Kind), flags => Flags}),
	_ = lab:notify_all(Own, Names),
	linked(Own, Kind, Daemon, Names).

linked(Lab, Kind, #{process := Process} = Daemon, Names) ->
	ok = small_nodes:await_linked(Lab, Daemon, Names),
	{Kind, os_process:os_pid(Process)}.

alive(Name) ->
	[Alive, _Host] = string:split(atom_to_list(Name), "@"),
	Alive.

channel(Kind) ->
	"idle_" ++ atom_to_list(Kind).

name(Kind) ->
	list_to_atom(atom_to_list(Kind) ++ "@127.0.0.1").

used(Programs) ->
	maps:from_list([{Kind, proc_figures:cpu_us(Pid)} || {Kind, Pid} <- Programs]).

show(#{pgmesh := All, beam := Beam} = Used) ->
	bench_table:row("", ["CPU"]),
	ok = row("pgmesh, all on", cpu_ms, pgmesh, All),
	[ok = row("  of that: " ++ words(Part), list_to_atom(lists:concat([Part, "_ms"])), pgmesh, Ms)
		|| {Part, Ms} <- parts(Used)],
	ok = row("BEAM node with beacon", cpu_ms, beam, Beam),
	io:format("  target: pgmesh at most 60 ms~n").

%% What is left when all has been left out is the links: ticks.
parts(Used) ->
	Steps = [{Part, maps:get(Kind, Used)} || {Kind, _, Part} <- kinds()],
	{_, Last} = lists:last(Steps),
	Pairs = lists:zip(lists:droplast(Steps), tl(Steps)),
	[{Part, Before - After} || {{_, Before}, {Part, After}} <- Pairs] ++ [{ticks, Last}].

words(Part) ->
	lists:flatten(string:replace(atom_to_list(Part), "_", " ")).

row(Label, Metric, Contender, Ms) ->
	ok = bench_results:note(idle, Metric, Contender, Ms),
	bench_table:row(Label, [lists:flatten(io_lib:format("~.1f ms", [float(Ms)]))]).
