%% What an idle daemon with 50 links uses of CPU in a minute, and for what.
%%
%% Several daemons look at the same nodes in the same minute, each on a channel of its
%% own, so that none hears another: one with everything on, and others that leave out
%% one part each. The difference is what that part costs. Beside them a BEAM node with the
%% beacon, linked to the same nodes.
-module(bench_idle).

-export([run/1]).

-define(NODES, 50).
-define(MEASURED_MS, 60000).
%% Until introductions and first audits are over.
-define(SETTLE_MS, 20000).
-define(LINKED_MS, 60000).
-define(BEACON, 'beacon@127.0.0.1').

-define(ALL_ON, #{"--announce-interval" => "5s", "--audit-interval" => "30s", "--watch-edges" => "on"}).
-define(NO_ANNOUNCEMENTS, #{"--announce" => "none"}).
-define(NO_AUDITS, #{"--audit-interval" => "10h"}).
-define(NO_INTRODUCTIONS, #{"--introduce" => "none"}).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("idle: CPU in ~b s with ~b nodes linked", [?MEASURED_MS div 1000, ?NODES]),
	Beams = small_nodes:start(Lab, lists:seq(1, ?NODES), []),
	Names = small_nodes:names(Beams),
	Beacon = beam_node:start(Lab#{channel := channel(pgmesh)},
		#{name => ?BEACON, beacon => true, beacon_interval_ms => 5000}),
	Daemons = [start_daemon(Lab, Kind, Flags, [?BEACON | Names]) || {Kind, Flags} <- kinds()],
	_ = eventually:eventually(fun() -> Names -- beam_node:call(Beacon, erlang, nodes, []) =:= [] end, ?LINKED_MS),
	timer:sleep(?SETTLE_MS),
	Beam = list_to_integer(beam_node:call(Beacon, os, getpid, [])),
	Before = used([{beam, Beam} | Daemons]),
	timer:sleep(?MEASURED_MS),
	After = used([{beam, Beam} | Daemons]),
	show([{Contender, (maps:get(Contender, After) - Us) / 1000} || {Contender, Us} <- maps:to_list(Before)]).

kinds() ->
	Without = fun(Parts) -> lists:foldl(fun maps:merge/2, ?ALL_ON, Parts) end,
	[{pgmesh, Without([])},
		{without_announcements, Without([?NO_ANNOUNCEMENTS])},
		{without_audits, Without([?NO_AUDITS])},
		{links_alone, Without([?NO_ANNOUNCEMENTS, ?NO_AUDITS, ?NO_INTRODUCTIONS])}].

start_daemon(Lab, Kind, Flags, Names) ->
	Own = Lab#{channel := channel(Kind)},
	#{process := Process} = Daemon = pgmesh:start(Own, #{name => name(Kind), log => atom_to_list(Kind), flags => Flags}),
	_ = lab:notify_all(Own, Names),
	ok = small_nodes:await_linked(Own, Daemon, Names),
	{Kind, os_process:os_pid(Process)}.

channel(Kind) ->
	"idle_" ++ atom_to_list(Kind).

name(Kind) ->
	list_to_atom(atom_to_list(Kind) ++ "@127.0.0.1").

used(Programs) ->
	maps:from_list([{Kind, proc_figures:cpu_us(Pid)} || {Kind, Pid} <- Programs]).

show(Used) ->
	Value = fun(Kind) -> proplists:get_value(Kind, Used) end,
	All = Value(pgmesh),
	bench_table:row("", ["CPU"]),
	[row(Label, Metric, Contender, Ms) || {Label, Metric, Contender, Ms} <- [
		{"pgmesh, all on", cpu_ms, pgmesh, All},
		{"  of that: announcements, EPMD", announcements_ms, pgmesh, All - Value(without_announcements)},
		{"  of that: audits", audits_ms, pgmesh, All - Value(without_audits)},
		{"  pgmesh with links alone", links_alone_ms, pgmesh, Value(links_alone)},
		{"BEAM node with beacon", cpu_ms, beam, Value(beam)}]],
	io:format("  target: pgmesh at most 60 ms~n").

row(Label, Metric, Contender, Ms) ->
	ok = bench_results:note(idle, Metric, Contender, Ms),
	bench_table:row(Label, [lists:flatten(io_lib:format("~.1f ms", [float(Ms)]))]).
