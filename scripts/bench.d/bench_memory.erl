%% Resident memory of pgmesh: alone, with 3, 50 and 1,000 nodes linked, without and with
%% TLS, and of a BEAM node with the beacon beside it.
%%
%% Up to 50 they are real nodes, in one full mesh. A thousand are a crowd in one VM, which
%% says of itself that it is one: pgmesh has a watcher on each, and a list of all others
%% from each. The nodes cannot announce themselves; their names are said for them, once.
-module(bench_memory).

-export([run/1]).

-define(CROWD, 1000).
-define(SETTLE_MS, 5000).
%% Fifty that shake hands over TLS with each other take half a minute of two slow cores.
-define(LINKED_MS, 180000).
-define(AN_HOUR_MS, 3600000).
%% As people run it.
-define(INTERVAL, #{"--announce-interval" => "5s"}).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("memory: resident (VmRSS), without pages of files (RssAnon), and at its peak, with so many nodes linked", []),
	bench_table:row("nodes", ["pgmesh", "of its own", "its peak", "BEAM node"]),
	Plain = #{daemon => #{}, node => []},
	Tls = tls(Lab),
	lists:foreach(fun({Build, Program}) ->
		ok = beside_a_beam(Lab, [0, 3, 50], plain(Build), Plain#{program => Program}),
		ok = beside_a_beam(Lab, [0, 50], over_tls(Build), Tls#{program => Program})
	end, pgmesh_builds:all()),
	ok = in_a_crowd(crowd:hosts(Lab)),
	io:format("  target: pgmesh below 6 MB alone, 10 MB with 50, 40 MB with 1000; 6 MB more with TLS~n").

%% How the values are named. The BEAM needs measuring once.
plain(pgmesh) -> #{contender => pgmesh, beam => beam, label => ""};
plain(pgmesh_shared) -> #{contender => pgmesh_shared, beam => none, label => ", shared"}.

over_tls(pgmesh) -> #{contender => pgmesh_tls, beam => beam_tls, label => " over TLS"};
over_tls(pgmesh_shared) -> #{contender => pgmesh_shared_tls, beam => none, label => " over TLS, shared"}.

tls(#{directory := Directory}) ->
	{Server, Client} = scratch_authority:mutual(scratch_authority:write(Directory, [{127, 0, 0, 1}]), []),
	Optfile = scratch_authority:write_optfile(filename:join(Directory, "tls.conf"), Server, Client),
	#{daemon => #{"--tls-optfile" => Optfile}, node => ["-proto_dist", "inet_tls", "-ssl_dist_optfile", Optfile]}.

beside_a_beam(Lab, Sizes, Names, #{program := Program, daemon := DaemonFlags, node := NodeFlags}) ->
	Beam = beam_node:start(Lab, #{name => 'beacon@127.0.0.1', beacon => true,
		beacon_interval_ms => ?AN_HOUR_MS, flags => NodeFlags}),
	Daemon = pgmesh:start(Lab, #{program => Program, flags => maps:merge(?INTERVAL, DaemonFlags)}),
	All = lists:foldl(fun(Size, Nodes) ->
		Grown = grow(Size, Nodes, Lab, Daemon, Beam, NodeFlags),
		show(Size, Daemon, list_to_integer(beam_node:call(Beam, os, getpid, [])), Names),
		Grown
	end, [], Sizes),
	ok = pgmesh:kill(Daemon),
	lists:foreach(fun beam_node:remove/1, [Beam | All]).

grow(Size, Nodes, Lab, Daemon, Beam, NodeFlags) ->
	New = small_nodes:start(Lab, lists:seq(length(Nodes) + 1, Size), NodeFlags),
	_ = New =:= [] orelse lab:notify_all(Lab, small_nodes:names(New)),
	Names = small_nodes:names(Nodes ++ New),
	_ = eventually:eventually(fun() -> Names -- beam_node:call(Beam, erlang, nodes, []) =:= [] end, ?LINKED_MS),
	ok = small_nodes:await_linked(Lab, Daemon, Names),
	timer:sleep(?SETTLE_MS),
	Nodes ++ New.

in_a_crowd({OfCrowd, OfDaemon}) ->
	Crowd = crowd:open(OfCrowd, ?CROWD),
	Daemon = crowd:start_daemon(OfDaemon, #{}),
	_ = lab:notify_all(OfDaemon, crowd:names(Crowd)),
	ok = small_nodes:await_linked(OfDaemon, Daemon, crowd:names(Crowd)),
	timer:sleep(?SETTLE_MS),
	show(?CROWD, Daemon, none, (plain(pgmesh))#{beam := none}),
	ok = crowd:close(Crowd),
	pgmesh:kill(Daemon).

show(Size, #{process := Process}, BeamPid, #{contender := Contender, beam := Beam, label := Label}) ->
	Pid = os_process:os_pid(Process),
	{Resident, Own, Peak} = {proc_figures:resident_mb(Pid), proc_figures:own_mb(Pid), proc_figures:peak_mb(Pid)},
	Metric = list_to_atom(lists:concat(["links_", Size])),
	ok = bench_results:note(memory, Metric, Contender, Resident),
	ok = bench_results:note(memory_own, Metric, Contender, Own),
	ok = bench_results:note(memory_peak, Metric, Contender, Peak),
	ok = note_parts(Size, Contender, Pid, Own),
	bench_table:row(integer_to_list(Size) ++ Label,
		[megabytes(Resident), megabytes(Own), megabytes(Peak), beside(Metric, Beam, BeamPid)]).

%% What it is made of while nothing is linked.
note_parts(0, Contender, Pid, Own) ->
	Parts = maps:fold(fun(File, Megabytes, Parts) ->
		maps:update_with(part(filename:basename(File)), fun(Others) -> Others + Megabytes end, Parts)
	end, #{own => Own, program => 0.0, openssl => 0.0, libraries => 0.0}, proc_figures:of_files_mb(Pid)),
	lists:foreach(fun({Part, Megabytes}) ->
		ok = bench_results:note(memory_parts, Part, Contender, Megabytes)
	end, maps:to_list(Parts));
note_parts(_, _, _, _) ->
	ok.

part("pgmesh" ++ _) -> program;
part("libssl" ++ _) -> openssl;
part("libcrypto" ++ _) -> openssl;
part(_) -> libraries.

beside(_, none, _) ->
	"-";
beside(Metric, Beam, Pid) ->
	Resident = proc_figures:resident_mb(Pid),
	ok = bench_results:note(memory, Metric, Beam, Resident),
	megabytes(Resident).

megabytes(Megabytes) ->
	lists:flatten(io_lib:format("~.1f MB", [Megabytes])).
