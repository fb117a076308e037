%% The programs that `links` compares, started in a lab: the same messages go to each.
-module(link_targets).

-export([start_all/1, start_dialled/1]).

-export_type([target/0]).

-type target() :: #{contender := atom(), node := node(), os_pid := pos_integer()}.

-define(UP_MS, 20000).
%% What a node has that nobody told anything else, against what beam_node sets.
-define(NO_EPMD_OF_ITS_OWN, ["-start_epmd", "false"]).

%% Returns when all are in EPMD.
-spec start_all(lab:lab()) -> [target()].
start_all(Lab) ->
	[start(Lab, Contender, Contender, program(Contender, Lab)) || Contender <- [beam, ei, jinterface, pgmesh]].

%% A node that is there to be dialled.
-spec start_dialled(lab:lab()) -> node().
start_dialled(Lab) ->
	#{node := Node} = start(Lab, beam, dialled, fun(Name, Cookie) -> erl(Name, Cookie, []) end),
	Node.

start(#{directory := Directory, epmd_port := EpmdPort, cookie := Cookie} = Lab, Contender, Alive, Program) ->
	Node = lists:concat([Alive, "@127.0.0.1"]),
	Log = lab:log_file(Lab, Node),
	{Command, Args} = Program(Node, Cookie),
	Process = lab:start(Lab, {os_process, start_link, [#{program => Command, args => Args,
		directory => Directory, stdout => Log, stderr => Log, env => lab:environment(Lab)}]}),
	_ = eventually:eventually(fun() -> is_registered(atom_to_list(Alive), EpmdPort, Process) end, ?UP_MS),
	#{contender => Contender, node => list_to_atom(Node), os_pid => os_process:os_pid(Process)}.

is_registered(Alive, EpmdPort, Process) ->
	running = os_process:exit_status(Process),
	lists:member(Alive, scratch_epmd:names(EpmdPort)).

program(beam, _) ->
	fun(Name, Cookie) -> erl(Name, Cookie, ["-hidden", "-run", "beam_target", "start"]) end;
program(ei, _) ->
	fun(Name, Cookie) -> {beside_us("ei_target"), [Name, Cookie]} end;
program(jinterface, _) ->
	Classes = os:getenv("BENCH_JINTERFACE") ++ ":" ++ beside_us(""),
	fun(Name, Cookie) -> {"java", ["-cp", Classes, "JinterfaceTarget", Name, Cookie]} end;
program(pgmesh, _) ->
	fun(Name, Cookie) -> {os:getenv("BENCH_PEER"), [Name, Cookie]} end.

erl(Name, Cookie, More) ->
	{"erl", ["-noshell", "-name", Name, "-setcookie", Cookie, "-pa", beside_us(""),
		"-kernel", "inet_dist_use_interface", "{127,0,0,1}" | ?NO_EPMD_OF_ITS_OWN ++ More]}.

beside_us(File) ->
	filename:join(filename:dirname(code:which(?MODULE)), File).
