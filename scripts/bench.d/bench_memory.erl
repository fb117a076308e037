%% Resident memory of pgmesh, and of a BEAM node with the beacon beside it, when
%% 0, 3 and 50 nodes are linked to both.
%%
%% The nodes cannot announce themselves; their names are said for them, once.
-module(bench_memory).

-export([run/1]).

-define(SIZES, [0, 3, 50]).
-define(LINKED_MS, 60000).
-define(SETTLE_MS, 2000).
%% Fifty nodes share the machine with what is measured.
-define(SMALL, ["+S", "1", "+SDcpu", "1", "+SDio", "1", "+A", "1"]).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("memory: resident (VmRSS), and its peak (VmHWM), with so many nodes linked", []),
	Beam = beam_node:start(Lab, #{name => 'beacon@127.0.0.1', beacon => true,
		beacon_interval_ms => 3600000}),
	Daemon = pgmesh:start(Lab),
	bench_table:row("nodes", ["pgmesh", "its peak", "BEAM node"]),
	_ = lists:foldl(fun(Size, Nodes) -> grow(Size, Nodes, Lab, Daemon, Beam) end, [], ?SIZES),
	io:format("  target: pgmesh below 10 MB with 50~n").

grow(Size, Nodes, Lab, Daemon, Beam) ->
	New = beam_node:start_all(Lab, [#{name => name(Number), flags => ?SMALL}
		|| Number <- lists:seq(length(Nodes) + 1, Size)]),
	Names = [Name || #{name := Name} <- Nodes ++ New],
	_ = New =:= [] orelse lab:notify_all(Lab, [Name || #{name := Name} <- New]),
	_ = eventually:eventually(fun() -> linked_to_both(Names, Lab, Daemon, Beam) end, ?LINKED_MS),
	timer:sleep(?SETTLE_MS),
	show(Size, os_process:os_pid(maps:get(process, Daemon)), beam_node:call(Beam, os, getpid, [])),
	Nodes ++ New.

name(Number) ->
	list_to_atom(lists:concat(["n", Number, "@127.0.0.1"])).

linked_to_both(Names, Lab, Daemon, Beam) ->
	Missing = Names -- beam_node:call(Beam, erlang, nodes, []),
	Missing =:= [] andalso pgmesh:all_up(Lab, Daemon, Names).

show(Size, PgmeshPid, BeamPid) ->
	bench_table:row(integer_to_list(Size), [megabytes("VmRSS", integer_to_list(PgmeshPid)),
		megabytes("VmHWM", integer_to_list(PgmeshPid)), megabytes("VmRSS", BeamPid)]).

megabytes(Field, Pid) ->
	{ok, Status} = file:read_file("/proc/" ++ Pid ++ "/status"),
	{match, [Kilobytes]} = re:run(Status, Field ++ ":\\s+(\\d+) kB", [{capture, all_but_first, list}]),
	lists:flatten(io_lib:format("~.1f MB", [list_to_integer(Kilobytes) * 1024 / 1.0e6])).
