%% From the start of the program to its name being registered with EPMD, and to its
%% links to the four nodes of a mesh that runs.
%%
%% Those announce themselves every five seconds, as with libcluster, on this host or on
%% another: whoever waits for that is not linked in time.
%%
%% The programs are started without the leash of erlang_test, whose two shells
%% would be measured too. What any program takes to be started from here is
%% shown beside them.
-module(bench_start).

-export([run/1]).

-define(ROUNDS, 20).
-define(REGISTERED_MS, 10000).
-define(MESH, 4).
-define(MESHED_MS, 30000).
-define(BEACON_MS, 5000).
-define(OTHER_HOST, "127.0.0.2").
-define(OURS, 'pgmesh@127.0.0.1').

-spec run(lab:lab()) -> ok.
run(Lab) ->
	ok = registration(Lab),
	ok = mesh(Lab).

registration(#{epmd_port := EpmdPort} = Lab) ->
	bench_table:title("start: from the start of the program to its name being in EPMD", []),
	Tapped = Lab#{epmd_port := epmd_tap:start(EpmdPort)},
	%% The first round reads the programs from disk.
	[_ | Rounds] = [{registered_ms(Tapped, pgmesh(Lab)), registered_ms(Tapped, erl(Lab)), ended_ms(Lab)}
		|| _ <- lists:seq(0, ?ROUNDS)],
	{Pgmesh, Erl, Any} = lists:unzip3(Rounds),
	ok = bench_table:samples([{"pgmesh", Pgmesh}, {"erl", Erl}, {"(/bin/true, to its end)", Any}]),
	ok = bench_results:note(start, registered_ms, pgmesh, bench_table:median(Pgmesh)),
	ok = bench_results:note(start, registered_ms, beam, bench_table:median(Erl)),
	ok = bench_results:note(start, any_program_ms, bin_true, bench_table:median(Any)),
	bench_table:ratio(bench_table:median(Pgmesh), bench_table:median(Erl), "pgmesh in less than 10 ms").

mesh(Lab) ->
	bench_table:title("start: from the start of the program to its links to a mesh of four", []),
	Here = meshed_ms(Lab, start_mesh(Lab, "127.0.0.1")),
	OtherHost = loopback_host:open(Lab, ?OTHER_HOST),
	There = meshed_ms(Lab, start_mesh(OtherHost, ?OTHER_HOST)),
	ok = bench_table:samples([{"pgmesh, the nodes on its host", Here}, {"pgmesh, the nodes on another", There}]),
	ok = bench_results:note(start, meshed_ms, pgmesh, bench_table:median(Here)),
	ok = bench_results:note(start, meshed_with_other_host_ms, pgmesh, bench_table:median(There)),
	io:format("  target: less than 100 ms~n").

start_mesh(Lab, Host) ->
	Beams = beam_node:start_all(Lab, [#{name => list_to_atom(lists:concat(["m", Number, "@", Host])),
		beacon => true, beacon_interval_ms => ?BEACON_MS} || Number <- lists:seq(1, ?MESH)]),
	_ = eventually:eventually(fun() -> links:meshed(Beams) end, ?MESHED_MS),
	Beams.

%% The nodes end with the measurement.
meshed_ms(Lab, Beams) ->
	[_ | Rounds] = [started_ms(Lab, Beams) || _ <- lists:seq(0, ?ROUNDS)],
	lists:foreach(fun beam_node:remove/1, Beams),
	Rounds.

started_ms(Lab, Beams) ->
	lists:foreach(fun beam_node:clear_events/1, Beams),
	StartedUs = erlang:system_time(microsecond),
	Port = start(Lab, pgmesh(Lab)),
	_ = eventually:eventually(fun() -> linked(StartedUs, Beams) end, ?MESHED_MS),
	LinkedUs = lists:max([links:nodeup_after(StartedUs, Beam, ?OURS) || Beam <- Beams]),
	ok = kill(Port),
	_ = eventually:eventually(fun() -> unlinked(Beams) end, ?MESHED_MS),
	(LinkedUs - StartedUs) / 1000.

linked(SinceUs, Beams) ->
	[] =:= [Name || #{name := Name} = Beam <- Beams, links:nodeup_after(SinceUs, Beam, ?OURS) =:= none].

unlinked(Beams) ->
	[] =:= [Name || #{name := Name} = Beam <- Beams,
		lists:member(?OURS, beam_node:call(Beam, erlang, nodes, [hidden]))].

pgmesh(#{directory := Directory, cookie_file := CookieFile, channel := Channel} = Lab) ->
	#{host := Host, port := Port, user := User, database := Database} = lab:postgres(Lab),
	Url = lists:concat(["postgres://", User, "@", Host, ":", Port, "/", Database]),
	{os:getenv("PGMESH_BIN"), ["run", "--name", "pgmesh@127.0.0.1", "--cookie-file", CookieFile,
		"--database-url", Url, "--channel", Channel, "--listen", "127.0.0.1:0",
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
