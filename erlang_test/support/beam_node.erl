%% A real node, `erl`, `elixir` or a release, as a program of its own, on a loopback
%% address or in a container.
%%
%% It is steered through node_agent, not through the distribution, and its
%% program can be killed, frozen and revived. What happens on the node is in
%% its link_recorder.
-module(beam_node).
-behaviour(gen_server).

-export([start/2, start_all/2, start_each/1, revive/2]).
-export([call/4, call/5]).
-export([kill/1, remove/1, freeze/1, thaw/1]).
-export([events/1, clear_events/1]).
-export([await_exit/2, environment/2]).
-export([start_link/1, init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2,
	terminate/2]).

-export_type([beam/0, options/0]).

-type options() :: #{
	name := node(),
	kind => erl | elixir | release,
	beacon => boolean(),            %% runs pg_beacon; default false
	beacon_interval_ms => pos_integer(),
	flags => [string()]}.           %% more for the emulator
-type beam() :: #{name := node(), server := pid(), options := options()}.

-define(UP_MS, 30000).
-define(CALL_MS, 20000).

%% Returns when the node runs and can be called.
-spec start(lab:lab(), options()) -> beam().
start(Lab, Options) ->
	[Beam] = start_all(Lab, [Options]),
	Beam.

%% Starts several at the same time.
-spec start_all(lab:lab(), [options()]) -> [beam()].
start_all(Lab, Several) ->
	start_each([{Lab, Options} || Options <- Several]).

%% The same on several hosts, each with a lab of its own.
-spec start_each([{lab:lab(), options()}]) -> [beam()].
start_each(Several) ->
	Beams = [launch(Lab, Options) || {Lab, Options} <- Several],
	[ok = gen_server:call(Server, await_up, ?UP_MS) || #{server := Server} <- Beams],
	Beams.

%% A new program under the old name, after kill/1.
-spec revive(lab:lab(), beam()) -> beam().
revive(Lab, #{options := Options}) ->
	start(Lab, Options).

-spec call(beam(), module(), atom(), [term()]) -> term().
call(Beam, Module, Function, Args) ->
	call(Beam, Module, Function, Args, ?CALL_MS).

%% Fails in the caller if the function failed on the node.
-spec call(beam(), module(), atom(), [term()], timeout()) -> term().
call(#{server := Server, name := Name}, Module, Function, Args, TimeoutMs) ->
	case gen_server:call(Server, {call, Module, Function, Args}, TimeoutMs) of
		{ok, Value} -> Value;
		Failure -> error({failed_on, Name, {Module, Function, Args}, Failure})
	end.

%% As kill -9; returns when the program is gone.
-spec kill(beam()) -> ok.
kill(#{server := Server}) ->
	Process = gen_server:call(Server, process),
	ok = os_process:signal(Process, 'KILL'),
	137 = os_process:await_exit(Process, 5000),
	ok.

%% Whatever became of its program, nothing is left of it; for tests with many.
-spec remove(beam()) -> ok.
remove(#{server := Server}) ->
	gen_server:stop(Server).

%% The program stands still, its sockets stay open.
-spec freeze(beam()) -> ok.
freeze(#{server := Server}) ->
	os_process:signal(gen_server:call(Server, process), 'STOP').

-spec thaw(beam()) -> ok.
thaw(#{server := Server}) ->
	os_process:signal(gen_server:call(Server, process), 'CONT').

%% The exit code once the program is over, or running.
-spec await_exit(beam(), timeout()) -> running | non_neg_integer().
await_exit(#{server := Server}, TimeoutMs) ->
	os_process:await_exit(gen_server:call(Server, process), TimeoutMs).

%% What the node's program has in its environment, for others that belong to it.
-spec environment(lab:lab(), beam() | options()) -> [{string(), string()}].
environment(Lab, #{options := Options}) ->
	environment(Lab, Options);
environment(Lab, Options) ->
	lab:environment(Lab) ++ beacon_environment(Lab, Options) ++ release_environment(Lab, Options).

-spec events(beam()) -> [link_recorder:event()].
events(Beam) ->
	call(Beam, link_recorder, events, []).

-spec clear_events(beam()) -> ok.
clear_events(Beam) ->
	call(Beam, link_recorder, clear, []).

%% Starting.

launch(Lab, #{name := Name} = Options) ->
	Socket = agent_socket(Lab),
	{ok, Listen} = gen_tcp:listen(0, [binary, {ifaddr, {local, Socket}}, {packet, 4}, {active, false}]),
	Spec = spec(Lab, Options, Socket),
	Server = lab:start(Lab, {?MODULE, start_link, [#{spec => Spec, listen => Listen}]}),
	ok = gen_tcp:controlling_process(Listen, Server),
	#{name => Name, server => Server, options => Options}.

%% Another one for each program, and short, as paths of sockets must be.
agent_socket(#{directory := Directory}) ->
	filename:join(Directory, "agent-" ++ integer_to_list(erlang:unique_integer([positive]))).

spec(#{directory := Directory} = Lab, #{name := Name} = Options, Socket) ->
	Log = lab:log_file(Lab, atom_to_list(Name)),
	{Program, Args} = command(Lab, Options),
	lab:placed(Lab, #{program => Program, args => Args, directory => Directory, stdout => Log, stderr => Log,
		env => [{"NODE_AGENT_SOCKET", Socket} | environment(Lab, Options)]}).

%% For who begins to announce itself later, too.
beacon_environment(#{channel := Channel} = Lab, Options) ->
	case lab:has_postgres(Lab) of
		true ->
			#{host := Host, port := Port, user := User, database := Database} = lab:postgres(Lab),
			Interval = maps:get(beacon_interval_ms, Options, 1000),
			[{"PGHOST", Host}, {"PGPORT", integer_to_list(Port)}, {"PGUSER", User},
				{"PGDATABASE", Database}, {"BEACON_CHANNEL", Channel},
				{"BEACON_INTERVAL_MS", integer_to_list(Interval)}];
		false -> []
	end.

release_environment(Lab, #{kind := release, name := Name} = Options) ->
	mix_release:environment(Lab, Name, emulator_flags(Lab, Options));
release_environment(_, _) ->
	[].

command(Lab, Options) ->
	case maps:get(kind, Options, erl) of
		erl -> {os:getenv("NODE_ERL", "erl"), erl_args(Lab, Options)};
		elixir -> {"elixir", elixir_args(Lab, Options)};
		release -> {mix_release:program(Lab), ["start"]}
	end.

erl_args(#{cookie := Cookie} = Lab, #{name := Name} = Options) ->
	Starts = [["-s", Module, "start_from_env"] || Module <- start_modules(Options)],
	["-noshell", "-name", atom_to_list(Name), "-setcookie", Cookie, "-pa", code_directory(Lab)]
		++ emulator_flags(Lab, Options) ++ lists:append(Starts).

elixir_args(#{cookie := Cookie} = Lab, #{name := Name} = Options) ->
	Starts = [[":", Module, ".start_from_env();"] || Module <- start_modules(Options)],
	["--name", atom_to_list(Name), "--cookie", Cookie, "-pa", code_directory(Lab),
		"--erl", lists:flatten(lists:join(" ", emulator_flags(Lab, Options))),
		"--no-halt", "-e", lists:flatten(Starts)].

%% No EPMD is started by nodes (it would be a daemon), and no scheduler spins
%% while it waits: many nodes share few cores here.
emulator_flags(Lab, Options) ->
	["-start_epmd", "false", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
		++ interface_flags(Lab, Options) ++ epmd_flags(Lab) ++ maps:get(flags, Options, []).

%% Where addresses play hosts, a node is reachable under the one in its name only.
interface_flags(#{container := _}, _) -> [];
interface_flags(_, Options) -> ["-kernel", "inet_dist_use_interface", host_address(Options)].

%% What `elixir -pa` adds comes too late for a module that the kernel starts with.
epmd_flags(#{epmd_address := _} = Lab) -> ["-pa", code_directory(Lab), "-epmd_module", "own_epmd"];
epmd_flags(_) -> [].

host_address(#{name := Name}) ->
	[_Alive, Host] = string:split(atom_to_list(Name), "@"),
	{ok, Address} = inet:parse_address(Host),
	lists:flatten(io_lib:format("~w", [Address])).

start_modules(#{beacon := true}) -> ["node_agent", "pg_beacon"];
start_modules(_) -> ["node_agent"].

%% A container's OTP may be older than ours, and has its own.
code_directory(#{code_directory := Directory}) -> Directory;
code_directory(_) -> filename:dirname(code:which(?MODULE)).

%% gen_server.

start_link(State) ->
	gen_server:start_link(?MODULE, State, []).

init(#{spec := Spec} = State) ->
	process_flag(trap_exit, true),
	{ok, Process} = os_process:start_link(Spec),
	{ok, State#{process => Process, agent => none, calls => #{}, next_call => 1},
		{continue, {accept, erlang:monotonic_time(millisecond) + ?UP_MS}}}.

%% In small steps, so that a program which dies at once is noticed at once.
handle_continue({accept, Deadline}, #{listen := Listen, process := Process} = State) ->
	case gen_tcp:accept(Listen, 50) of
		{ok, Agent} ->
			ok = inet:setopts(Agent, [{active, true}]),
			{noreply, State#{agent := Agent}};
		{error, timeout} ->
			running = os_process:exit_status(Process),
			true = erlang:monotonic_time(millisecond) < Deadline,
			{noreply, State, {continue, {accept, Deadline}}}
	end.

handle_call(await_up, _From, State) ->
	{reply, ok, State};
handle_call(process, _From, #{process := Process} = State) ->
	{reply, Process, State};
handle_call({call, _, _, _}, _From, #{agent := gone} = State) ->
	{reply, {error, node_is_gone}, State};
handle_call({call, Module, Function, Args}, From, State) ->
	#{agent := Agent, calls := Calls, next_call := Id} = State,
	_ = gen_tcp:send(Agent, term_to_binary({Id, Module, Function, Args})),
	{noreply, State#{calls := Calls#{Id => From}, next_call := Id + 1}}.

handle_cast(_Message, State) ->
	{noreply, State}.

handle_info({tcp, Agent, Answer}, #{agent := Agent, calls := Calls} = State) ->
	{Id, Result} = binary_to_term(Answer),
	{From, Remaining} = maps:take(Id, Calls),
	gen_server:reply(From, Result),
	{noreply, State#{calls := Remaining}};
handle_info({tcp_closed, Agent}, #{agent := Agent, calls := Calls} = State) ->
	[gen_server:reply(From, {error, node_is_gone}) || From <- maps:values(Calls)],
	{noreply, State#{agent := gone, calls := #{}}};
handle_info(_, State) ->
	{noreply, State}.

terminate(_Reason, #{process := Process}) ->
	os_process:stop(Process).
