%% From the start of the program to its name being registered with EPMD.
%%
%% The programs are started without the leash of erlang_test, whose two shells
%% would be measured too. What any program takes to be started from here is
%% shown beside them.
-module(bench_start).

-export([run/1]).

-define(ROUNDS, 20).
-define(REGISTERED_MS, 10000).

-spec run(lab:lab()) -> ok.
run(#{epmd_port := EpmdPort} = Lab) ->
	bench_table:title("start: from the start of the program to its name being in EPMD", []),
	Tapped = Lab#{epmd_port := epmd_tap:start(EpmdPort)},
	%% The first round reads the programs from disk.
	[_ | Rounds] = [{registered_ms(Tapped, pgmesh(Lab)), registered_ms(Tapped, erl(Lab)), ended_ms(Lab)}
		|| _ <- lists:seq(0, ?ROUNDS)],
	{Pgmesh, Erl, Any} = lists:unzip3(Rounds),
	ok = bench_table:samples([{"pgmesh", Pgmesh}, {"erl", Erl}, {"(/bin/true, to its end)", Any}]),
	bench_table:ratio(bench_table:median(Pgmesh), bench_table:median(Erl), "pgmesh in less than 10 ms").

pgmesh(#{directory := Directory, cookie_file := CookieFile} = Lab) ->
	#{host := Host, port := Port, user := User, database := Database} = lab:postgres(Lab),
	Url = lists:concat(["postgres://", User, "@", Host, ":", Port, "/", Database]),
	{os:getenv("PGMESH_BIN"), ["run", "--name", "pgmesh@127.0.0.1", "--cookie-file", CookieFile,
		"--database-url", Url, "--channel", "start", "--listen", "127.0.0.1:0",
		"--socket", filename:join(Directory, "start.sock")]}.

erl(#{cookie := Cookie}) ->
	{os:find_executable("erl"), ["-noshell", "-name", "erl@127.0.0.1", "-setcookie", Cookie,
		"-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]}.

registered_ms(Lab, Program) ->
	StartedUs = erlang:monotonic_time(microsecond),
	Port = start(Lab, Program),
	receive
		{registered, Us} ->
			ok = kill(Port),
			(Us - StartedUs) / 1000;
		{Port, {exit_status, Status}} ->
			error({ended_early, Program, Status})
	after ?REGISTERED_MS ->
		error({not_registered, Program})
	end.

ended_ms(Lab) ->
	StartedUs = erlang:monotonic_time(microsecond),
	Port = start(Lab, {"/bin/true", []}),
	receive {Port, {exit_status, 0}} -> (erlang:monotonic_time(microsecond) - StartedUs) / 1000 end.

start(#{directory := Directory} = Lab, {Program, Args}) ->
	open_port({spawn_executable, Program}, [{args, Args}, {cd, Directory},
		{env, lab:environment(Lab)}, exit_status, stderr_to_stdout, binary]).

%% Returns when the program is gone, and with it its name from EPMD.
kill(Port) ->
	{os_pid, Pid} = erlang:port_info(Port, os_pid),
	_ = os:cmd("kill -9 " ++ integer_to_list(Pid)),
	await_end(Port).

await_end(Port) ->
	receive
		{Port, {exit_status, _}} -> ok;
		{Port, {data, _}} -> await_end(Port)
	end.
