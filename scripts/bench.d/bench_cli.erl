%% One call of erlang:nodes() on a node, from the command line: what it costs to
%% start, to link, to ask and to end. In turns.
%%
%% pgmesh and OTP's erl_call are for that; a whole VM is what else there is.
-module(bench_cli).

-export([run/1]).

-define(CALLS, 50).
%% Of those that take a hundred times as long, fewer will do.
-define(CALLS_OF_VMS, 10).
-define(CALL_MS, 30000).
-define(CALLED, "called@127.0.0.1").

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("cli: one call of erlang:nodes() from the command line", []),
	%% elixir's call evaluates Elixir there.
	_ = beam_node:start(Lab, #{name => list_to_atom(?CALLED), kind => elixir}),
	Callers = callers(Lab),
	%% Reads the programs from disk.
	_ = [call(Lab, Command, 0) || {_, _, Command} <- Callers],
	[note(Contender, Round, call(Lab, Command, Round))
		|| Round <- lists:seq(1, ?CALLS), {Contender, Calls, Command} <- rotated(Round, Callers), Round =< Calls],
	ok.

rotated(Round, Callers) ->
	{Last, First} = lists:split(Round rem length(Callers), Callers),
	First ++ Last.

callers(#{cookie_file := CookieFile} = Lab) ->
	[{Contender, ?CALLS, fun(_) -> [Program, "rpc", "--cookie-file", CookieFile, ?CALLED, "erlang", "nodes"] end}
		|| {Contender, Program} <- pgmesh_builds:all()] ++ others(Lab).

others(#{cookie := Cookie}) ->
	[{erl_call, ?CALLS, fun(_) ->
		["erl_call", "-name", ?CALLED, "-c", Cookie, "-a", "erlang nodes []"]
	end}, {erl, ?CALLS_OF_VMS, fun(Own) ->
		["erl", "-noshell", "-noinput", "-hidden", "-start_epmd", "false", "-name", Own, "-setcookie", Cookie,
			"-eval", "io:format(\"~p~n\", [erpc:call('" ?CALLED "', erlang, nodes, [])]), halt()."]
	end}, {elixir, ?CALLS_OF_VMS, fun(Own) ->
		["elixir", "--hidden", "--name", Own, "--cookie", Cookie, "--erl", "-start_epmd false",
			"--rpc-eval", ?CALLED, "IO.inspect(Node.list())"]
	end}].

call(#{directory := Directory} = Lab, Command, Round) ->
	Own = lists:concat(["caller_", Round, "_", erlang:unique_integer([positive]), "@127.0.0.1"]),
	Program = filename:join(filename:dirname(code:which(?MODULE)), "call_cost"),
	Port = open_port({spawn_executable, Program},
		[{args, Command(Own)}, {env, lab:environment(Lab)}, {cd, Directory}, {line, 128}, exit_status]),
	receive
		{Port, {data, {eol, Line}}} ->
			receive {Port, {exit_status, 0}} -> ok end,
			costs([list_to_integer(Number) || Number <- string:lexemes(Line, " ")])
	after ?CALL_MS ->
		error({takes_too_long, Command(Own)})
	end.

costs([WallUs, CpuUs, PeakKb, Faults, 0]) ->
	#{wall => WallUs / 1000, cpu => CpuUs / 1000, memory => PeakKb * 1024 / 1.0e6, faults => Faults};
costs(_) ->
	failed.

note(Contender, Round, failed) ->
	[ok = bench_results:note(cli, Metric, Contender, Round, failed) || Metric <- [wall, cpu, memory, faults]];
note(Contender, Round, Costs) ->
	[ok = bench_results:note(cli, Metric, Contender, Round, Value) || {Metric, Value} <- maps:to_list(Costs)].
