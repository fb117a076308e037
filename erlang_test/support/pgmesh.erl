%% The program under test: started as a daemon, and called as a command.
%%
%% Which binary it is says the environment variable PGMESH_BIN. A daemon's
%% standard error goes to a log in the case's directory.
-module(pgmesh).

-export([start/1, start/2, launch/2, restart/2]).
-export([node_name/1, log/1, memory/1, handles/1]).
-export([signal/2, await_exit/2, kill/1]).
-export([status/2, postgres_state/2, members/2, member/3, member_state/3, all_up/3]).
-export([sees_mesh/2]).
-export([command/2, command/3]).
-export([doctor/2, doctor_text/2]).
-export([launch_command/2, interrupt/1, await_outcome/2, stdout_lines/1, stderr/1]).

-export_type([daemon/0, options/0, outcome/0, running/0]).

%% Flags replace the defaults below, or are added to them; false leaves one out.
%% Variables are added to those of the lab.
-type options() :: #{program => string(), name => node(), flags => #{string() => string() | false}, log => string(),
	env => [{string(), string()}]}.
-type daemon() :: #{name := node(), process := pid(), socket := string(), log := string(),
	options := options()}.
-type running() :: #{process := pid(), stdout := string(), stderr := string()}.
-type outcome() :: #{exit := running | non_neg_integer(), stdout := binary(), stderr := binary()}.

-define(NAME, 'pgmesh@127.0.0.1').
-define(ANSWERING_MS, 10000).
-define(LISTENING_MS, 10000).
-define(COMMAND_MS, 30000).

%% Returns when the daemon answers on its socket and listens on Postgres.
-spec start(lab:lab()) -> daemon().
start(Lab) ->
	start(Lab, #{}).

-spec start(lab:lab(), options()) -> daemon().
start(Lab, Options) ->
	Daemon = launch(Lab, Options),
	_ = eventually:eventually(fun() -> answers_or_ended(Lab, Daemon) end, ?ANSWERING_MS),
	running = await_exit(Daemon, 0),
	_ = eventually:eventually(fun() -> is_listening(Lab, Daemon) end, ?LISTENING_MS),
	Daemon.

%% Who has ended need not be waited for.
answers_or_ended(Lab, Daemon) ->
	await_exit(Daemon, 0) =/= running orelse is_map(status(Lab, Daemon)).

is_listening(Lab, Daemon) ->
	case postgres_state(Lab, Daemon) of
		<<"listening">> -> true;
		State -> State
	end.

%% Returns as soon as the program is started; for daemons that are to fail, or
%% whose first moments matter.
-spec launch(lab:lab(), options()) -> daemon().
launch(#{directory := Directory} = Lab, Options) ->
	Name = maps:get(name, Options, ?NAME),
	Log = lab:log_file(Lab, maps:get(log, Options, "pgmesh")),
	Flags = flags(Lab, Options),
	Process = lab:start(Lab, {os_process, start_link, [lab:placed(Lab, #{
		program => maps:get(program, Options, binary()), args => ["run" | flag_list(Flags)], directory => Directory,
		stdout => Log, stderr => Log, env => environment(Lab, Options)})]}),
	#{name => Name, process => Process, socket => maps:get("--socket", Flags), log => Log,
		options => Options}.

%% The same again, after the end of the first; does not wait for anything.
-spec restart(lab:lab(), daemon()) -> daemon().
restart(Lab, #{options := Options}) ->
	launch(Lab, Options).

-spec node_name(daemon()) -> node().
node_name(#{name := Name}) ->
	Name.

%% What the daemon has logged up to now.
-spec log(daemon()) -> binary().
log(#{log := Log}) ->
	{ok, Content} = file:read_file(Log),
	Content.

%% What of the daemon lies in memory, now and at its worst, in megabytes.
-spec memory(daemon()) -> #{now := float(), peak := float()}.
memory(Daemon) ->
	Status = kernel_status(Daemon),
	#{now => megabytes("VmRSS", Status), peak => megabytes("VmHWM", Status)}.

%% How many descriptors it has open, and how many threads it has.
-spec handles(daemon()) -> #{descriptors := pos_integer(), threads := pos_integer()}.
handles(#{process := Process} = Daemon) ->
	{ok, Descriptors} = file:list_dir(io_lib:format("/proc/~b/fd", [os_process:os_pid(Process)])),
	#{descriptors => length(Descriptors), threads => kernel_number("Threads", kernel_status(Daemon))}.

kernel_status(#{process := Process}) ->
	{ok, Status} = file:read_file(io_lib:format("/proc/~b/status", [os_process:os_pid(Process)])),
	Status.

megabytes(Field, Status) ->
	kernel_number(Field, Status) * 1024 / 1000000.

kernel_number(Field, Status) ->
	{match, [Number]} = re:run(Status, Field ++ ":\\s*([0-9]+)", [{capture, all_but_first, binary}]),
	binary_to_integer(Number).

-spec signal(daemon(), atom()) -> ok.
signal(#{process := Process}, Signal) ->
	os_process:signal(Process, Signal).

-spec await_exit(daemon(), timeout()) -> running | non_neg_integer().
await_exit(#{process := Process}, TimeoutMs) ->
	os_process:await_exit(Process, TimeoutMs).

%% As kill -9; returns when the program is gone.
-spec kill(daemon()) -> ok.
kill(Daemon) ->
	ok = signal(Daemon, 'KILL'),
	137 = await_exit(Daemon, 5000),
	ok.

%% Asking the daemon. While it does not answer, the result is the outcome of
%% the command as {no_answer, Outcome}.

-spec status(lab:lab(), daemon()) -> #{binary() => json_text:json()} | {no_answer, outcome()}.
status(Lab, Daemon) ->
	ask(Lab, Daemon, "status").

-spec postgres_state(lab:lab(), daemon()) -> binary() | term().
postgres_state(Lab, Daemon) ->
	case status(Lab, Daemon) of
		#{<<"postgres">> := #{<<"state">> := State}} -> State;
		Other -> Other
	end.

-spec members(lab:lab(), daemon()) -> [#{binary() => json_text:json()}] | {no_answer, outcome()}.
members(Lab, Daemon) ->
	ask(Lab, Daemon, "members").

%% One member by its node name, or unknown.
-spec member(lab:lab(), daemon(), node()) -> #{binary() => json_text:json()} | unknown.
member(Lab, Daemon, Node) ->
	find_member(Node, members(Lab, Daemon)).

-spec member_state(lab:lab(), daemon(), node()) -> binary() | unknown.
member_state(Lab, Daemon, Node) ->
	state_of(Node, members(Lab, Daemon)).

%% True, or the list of those that are not up with their states; for eventually/2.
-spec all_up(lab:lab(), daemon(), [node()]) -> true | [{node(), binary() | unknown}].
all_up(Lab, Daemon, Nodes) ->
	Members = members(Lab, Daemon),
	case [{Node, State} || Node <- Nodes, State <- [state_of(Node, Members)], State =/= <<"up">>] of
		[] -> true;
		NotUp -> NotUp
	end.

%% True if its matrix is that of a full mesh of exactly these nodes; for eventually/2.
-spec sees_mesh(daemon(), [node()]) -> true | json_text:json() | term().
sees_mesh(Daemon, Nodes) ->
	Expected = lists:sort([atom_to_binary(Node) || Node <- Nodes]),
	Edges = length(Nodes) * (length(Nodes) - 1) div 2,
	case control_socket:get(Daemon, "/api/v1/matrix") of
		#{<<"nodes">> := Expected, <<"linked">> := Edges, <<"missing">> := [], <<"one_way">> := [],
			<<"unknown">> := []} -> true;
		Other -> Other
	end.

state_of(Node, Members) ->
	case find_member(Node, Members) of
		#{<<"state">> := State} -> State;
		unknown -> unknown
	end.

find_member(Node, Members) when is_list(Members) ->
	Name = atom_to_binary(Node),
	case [Member || #{<<"node">> := N} = Member <- Members, N =:= Name] of
		[Member] -> Member;
		[] -> unknown
	end;
find_member(_, _NoAnswer) ->
	unknown.

ask(Lab, #{socket := Socket}, What) ->
	case command(Lab, [What, "--socket", Socket, "--json"]) of
		#{exit := 0, stdout := Json} -> json_text:decode(Json);
		Outcome -> {no_answer, Outcome}
	end.

%% Commands.

%% What `pgmesh doctor` finds with the settings that a daemon with these options has:
%% its exit code and its JSON.
-spec doctor(lab:lab(), options()) -> {non_neg_integer(), json_text:json()}.
doctor(Lab, Options) ->
	#{exit := Exit, stdout := Json} = command(Lab, ["doctor", "--json" | daemon_flags(Lab, Options)]),
	{Exit, json_text:decode(Json)}.

%% The same, as people read it.
-spec doctor_text(lab:lab(), options()) -> outcome().
doctor_text(Lab, Options) ->
	command(Lab, ["doctor" | daemon_flags(Lab, Options)]).

%% Runs the binary with these arguments until it ends.
-spec command(lab:lab(), [string()]) -> outcome().
command(Lab, Args) ->
	command(Lab, Args, ?COMMAND_MS).

%% If it does not end in time it is killed, and its exit is `running`.
-spec command(lab:lab(), [string()], timeout() | #{env => [{string(), string()}]}) -> outcome().
command(Lab, Args, Options) when is_map(Options) ->
	await_outcome(launch_command(Lab, Args, Options), ?COMMAND_MS);
command(Lab, Args, TimeoutMs) ->
	await_outcome(launch_command(Lab, Args), TimeoutMs).

%% Returns at once; for commands that go on for a while.
-spec launch_command(lab:lab(), [string()]) -> running().
launch_command(Lab, Args) ->
	launch_command(Lab, Args, #{}).

launch_command(#{directory := Directory} = Lab, Args, Options) ->
	Base = filename:join(Directory, "command-" ++ integer_to_list(erlang:unique_integer([positive]))),
	Stdout = Base ++ ".out",
	Stderr = Base ++ ".err",
	Process = lab:start(Lab, {os_process, start_link, [lab:placed(Lab, #{program => binary(), args => Args,
		directory => Directory, stdout => Stdout, stderr => Stderr, env => environment(Lab, Options)})]}),
	#{process => Process, stdout => Stdout, stderr => Stderr}.

%% As Ctrl-C.
-spec interrupt(running()) -> ok.
interrupt(#{process := Process}) ->
	os_process:signal(Process, 'INT').

%% Its end, or, when the time is over, as far as it came before it is killed.
-spec await_outcome(running(), timeout()) -> outcome().
await_outcome(#{process := Process, stdout := Stdout, stderr := Stderr}, TimeoutMs) ->
	Exit = os_process:await_exit(Process, TimeoutMs),
	ok = os_process:stop(Process),
	#{exit => Exit, stdout => take_file(Stdout), stderr => take_file(Stderr)}.

%% The whole lines that it has written up to now.
-spec stdout_lines(running()) -> [binary()].
stdout_lines(#{stdout := File}) ->
	{ok, Content} = file:read_file(File),
	lists:droplast(binary:split(Content, <<"\n">>, [global])).

-spec stderr(running()) -> binary().
stderr(#{stderr := File}) ->
	{ok, Content} = file:read_file(File),
	Content.

take_file(File) ->
	{ok, Content} = file:read_file(File),
	ok = file:delete(File),
	Content.

%% Helpers.

binary() ->
	case os:getenv("PGMESH_BIN") of
		false -> error("PGMESH_BIN is not set: it names the pgmesh binary to be tested");
		Path -> Path
	end.

default_flags(#{directory := Directory, cookie_file := CookieFile, channel := Channel} = Lab, Name) ->
	#{"--name" => atom_to_list(Name),
		"--cookie-file" => CookieFile,
		"--epmd" => "external",
		"--database-url" => database_url(lab:postgres(Lab)),
		"--channel" => Channel,
		"--announce-interval" => "1s",
		"--net-ticktime" => "60s",
		"--socket" => filename:join(Directory, atom_to_list(Name) ++ ".sock"),
		"--http" => "127.0.0.1:" ++ integer_to_list(free_port:pick()),
		"--log" => "info"}.

database_url(#{host := Host, port := Port, user := User, database := Database}) ->
	lists:flatten(io_lib:format("postgres://~s@~s:~b/~s", [User, Host, Port, Database])).

%% Ours is no setting of pgmesh, and would be warned about.
environment(Lab, Options) ->
	[{"PGMESH_BIN", false} | lab:environment(Lab)] ++ maps:get(env, Options, []).

daemon_flags(Lab, Options) ->
	flag_list(flags(Lab, Options)).

flags(Lab, Options) ->
	Name = maps:get(name, Options, ?NAME),
	maps:merge(default_flags(Lab, Name), maps:get(flags, Options, #{})).

flag_list(Flags) ->
	lists:append([[Flag, Value] || {Flag, Value} <- maps:to_list(Flags), Value =/= false]).
