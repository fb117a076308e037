%% One program outside the test VM, on this machine or in a container, with its
%% output in files.
%%
%% The program runs on a leash (the script of that name), so that it cannot
%% outlive this process, nor this process the VM. Its OS process id is known,
%% hence it can be stopped, continued and killed as an operator would.
-module(os_process).
-behaviour(gen_server).

-export([start_link/1, os_pid/1, signal/2, exit_status/1, await_exit/2, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([spec/0]).

%% `stop_signal` is for the end of the test; whoever does not obey it within
%% five seconds gets SIGKILL. A container sees the run's files under their paths here.
-type spec() :: #{program := string(), args := [string()],
	directory := string(), stdout := string(), stderr := string(),
	env => [{string(), string() | false}], stop_signal => 'KILL' | 'QUIT',
	container => container:container()}.

-define(STOP_MS, 5000).
-define(START_MS, 5000).
-define(KILLED, 137).

-spec start_link(spec()) -> {ok, pid()} | {error, term()}.
start_link(Spec) ->
	gen_server:start_link(?MODULE, Spec, []).

-spec os_pid(pid()) -> pos_integer().
os_pid(Process) ->
	gen_server:call(Process, os_pid).

%% A signal by its name without SIG; does nothing when the program is over.
-spec signal(pid(), atom()) -> ok.
signal(Process, Signal) ->
	gen_server:call(Process, {signal, Signal}).

%% The exit code, 128 plus the signal's number after a signal, or running.
-spec exit_status(pid()) -> running | non_neg_integer().
exit_status(Process) ->
	gen_server:call(Process, exit_status).

%% The exit code once there is one, or running when the time is over.
-spec await_exit(pid(), timeout()) -> running | non_neg_integer().
await_exit(Process, TimeoutMs) ->
	gen_server:call(Process, {await_exit, TimeoutMs}, infinity).

%% Returns when the program is gone.
-spec stop(pid()) -> ok.
stop(Process) ->
	gen_server:stop(Process, normal, 3 * ?STOP_MS).

%% gen_server.

init(Spec) ->
	process_flag(trap_exit, true),
	Port = open_leash(Spec),
	receive
		{Port, {data, {eol, "pid " ++ OsPid}}} ->
			{ok, #{port => Port, os_pid => list_to_integer(OsPid), status => running,
				waiting => [], stop_signal => stop_signal(Spec), container => maps:get(container, Spec, none)}}
	after ?START_MS ->
		{stop, {leash_is_silent, Spec}}
	end.

handle_call(os_pid, _From, #{os_pid := OsPid} = State) ->
	{reply, OsPid, State};
handle_call({signal, Signal}, _From, State) ->
	send_signal(Signal, State),
	{reply, ok, State};
handle_call(exit_status, _From, #{status := Status} = State) ->
	{reply, Status, State};
handle_call({await_exit, TimeoutMs}, From, #{status := running, waiting := Waiting} = State) ->
	erlang:send_after(TimeoutMs, self(), {give_up, From}),
	{noreply, State#{waiting := [From | Waiting]}};
handle_call({await_exit, _}, _From, #{status := Status} = State) ->
	{reply, Status, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

handle_info({Port, {data, {eol, "exit " ++ Status}}}, #{port := Port, waiting := Waiting} = State) ->
	Code = list_to_integer(Status),
	[gen_server:reply(From, Code) || From <- Waiting],
	{noreply, State#{status := Code, waiting := []}};
%% The leash went with its container, and the program with the leash.
handle_info({Port, {exit_status, _}}, #{port := Port, status := running, waiting := Waiting} = State) ->
	[gen_server:reply(From, ?KILLED) || From <- Waiting],
	{noreply, State#{status := ?KILLED, waiting := []}};
handle_info({give_up, From}, #{waiting := Waiting} = State) ->
	case lists:member(From, Waiting) of
		true -> gen_server:reply(From, running);
		false -> ok
	end,
	{noreply, State#{waiting := lists:delete(From, Waiting)}};
handle_info(_, State) ->
	{noreply, State}.

terminate(_Reason, #{stop_signal := Signal} = State) ->
	case end_with(Signal, State) of
		gone -> ok;
		running -> end_with('KILL', State)
	end.

%% Helpers.

%% The leash lies beside the compiled modules.
leash() ->
	filename:join(filename:dirname(code:which(?MODULE)), "leash").

open_leash(#{container := Container, program := Program, directory := Directory} = Spec) ->
	Variables = [["--env", Name ++ "=" ++ Value] || {Name, Value} <- maps:get(env, Spec, []), Value =/= false],
	Args = ["exec", "--interactive", "--workdir", Directory | lists:append(Variables)]
		++ [container:name(Container), leash() | leash_args(Program, Spec)],
	open_port({spawn_executable, executable("docker")}, [{args, Args} | port_options()]);
open_leash(#{program := Program, directory := Directory} = Spec) ->
	open_port({spawn_executable, leash()}, [{args, leash_args(executable(Program), Spec)},
		{env, maps:get(env, Spec, [])}, {cd, Directory} | port_options()]).

leash_args(Program, #{args := Args, stdout := Stdout, stderr := Stderr} = Spec) ->
	[atom_to_list(stop_signal(Spec)), Stdout, Stderr, Program | Args].

port_options() ->
	[{line, 256}, exit_status].

executable(Program) ->
	case os:find_executable(Program) of
		false -> error({no_such_program, Program});
		Path -> Path
	end.

stop_signal(Spec) ->
	maps:get(stop_signal, Spec, 'KILL').

send_signal(Signal, #{status := running, os_pid := OsPid, container := Container}) ->
	Kill = lists:flatten(io_lib:format("kill -s ~s ~b", [Signal, OsPid])),
	_ = case Container of
		none -> os:cmd(Kill);
		%% It may have ended meanwhile.
		_ -> catch container:exec(Container, ["sh", "-c", Kill])
	end,
	ok;
send_signal(_, _) ->
	ok.

end_with(_, #{status := Status}) when Status =/= running ->
	gone;
end_with(Signal, #{port := Port} = State) ->
	send_signal(Signal, State),
	receive
		{Port, {data, {eol, "exit " ++ _}}} -> gone;
		{Port, {exit_status, _}} -> gone
	after ?STOP_MS ->
		running
	end.
