%% One program outside the test VM, with its output in files.
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
%% five seconds gets SIGKILL.
-type spec() :: #{program := string(), args := [string()],
	directory := string(), stdout := string(), stderr := string(),
	env => [{string(), string() | false}], stop_signal => 'KILL' | 'QUIT'}.

-define(STOP_MS, 5000).
-define(START_MS, 5000).

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
	Port = open_port({spawn_executable, leash()}, port_options(Spec)),
	receive
		{Port, {data, {eol, "pid " ++ OsPid}}} ->
			{ok, #{port => Port, os_pid => list_to_integer(OsPid), status => running,
				waiting => [], stop_signal => stop_signal(Spec)}}
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

port_options(#{program := Program, args := Args, directory := Directory,
		stdout := Stdout, stderr := Stderr} = Spec) ->
	LeashArgs = [atom_to_list(stop_signal(Spec)), Stdout, Stderr, executable(Program) | Args],
	[{args, LeashArgs}, {env, maps:get(env, Spec, [])}, {cd, Directory}, {line, 256},
		exit_status].

executable(Program) ->
	case os:find_executable(Program) of
		false -> error({no_such_program, Program});
		Path -> Path
	end.

stop_signal(Spec) ->
	maps:get(stop_signal, Spec, 'KILL').

send_signal(Signal, #{status := running, os_pid := OsPid}) ->
	_ = os:cmd(lists:flatten(io_lib:format("kill -s ~s ~b", [Signal, OsPid]))),
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
