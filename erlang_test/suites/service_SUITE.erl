%% pgmesh as a service: what systemd is told, and how it ends.
-module(service_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).
-import(service_manager, [says/2, says_last/3]).

-define(BOUND_MS, 15000).
-define(WATCHDOG_MS, 400).

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[starts_without_postgres, status_follows_the_mesh, pings_end_while_it_stands_still,
		epmd_does_not_speak_for_us, tells_of_a_reload, tells_that_it_is_stopping, answers_until_goodbye_is_said,
		streams_end_with_the_daemon, second_signal_ends_at_once].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: what the service manager is told.

starts_without_postgres(Config) ->
	ct:comment("READY=1 comes although Postgres is down, and STATUS says that it is."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	ok = scratch_postgres:down(Postgres, fast),
	Manager = service_manager:open(Lab),
	_ = pgmesh:launch(Lab, #{env => service_manager:environment(Manager)}),
	_ = eventually(fun() -> says(Manager, <<"READY=1">>) end, ?BOUND_MS),
	_ = eventually(fun() -> says_last(Manager, <<"STATUS">>, <<"no nodes up; Postgres down (">>) end, ?BOUND_MS),
	ok = scratch_postgres:up(Postgres),
	_ = eventually(fun() -> says_last(Manager, <<"STATUS">>, <<"no nodes up; Postgres listening">>) end, ?BOUND_MS),
	1 = length([ready || <<"READY=1">> <- service_manager:said(Manager)]),
	ok.

status_follows_the_mesh(Config) ->
	ct:comment("STATUS counts the nodes, and is silent while nothing changes."),
	Lab = lab:from(Config),
	Manager = service_manager:open(Lab),
	_ = pgmesh:start(Lab, #{env => service_manager:environment(Manager)}),
	[_, Second] = beam_node:start_all(Lab, [#{name => Name, beacon => true} || Name <- ['a@127.0.0.1', 'b@127.0.0.1']]),
	_ = eventually(fun() -> says_last(Manager, <<"STATUS">>, <<"2 nodes up, full mesh; Postgres listening">>) end,
		?BOUND_MS),
	Said = service_manager:said(Manager),
	ok = holds(fun() -> service_manager:said(Manager) =:= Said end, 2500),
	ok = beam_node:kill(Second),
	_ = eventually(fun() -> says_last(Manager, <<"STATUS">>, <<"1 node up; Postgres listening">>) end, ?BOUND_MS),
	ok.

pings_end_while_it_stands_still(Config) ->
	ct:comment("WATCHDOG=1 comes while the daemon runs, and no more while it is stopped."),
	Lab = lab:from(Config),
	Manager = service_manager:open(Lab),
	Daemon = pgmesh:start(Lab, #{env => service_manager:environment(Manager, ?WATCHDOG_MS)}),
	Pings = fun() -> length([ping || <<"WATCHDOG=1">> <- service_manager:said(Manager)]) end,
	_ = eventually(fun() -> Pings() >= 5 end, ?BOUND_MS),
	ok = pgmesh:signal(Daemon, 'STOP'),
	%% A ping may be on its way.
	_ = eventually(fun() -> is_stopped(Daemon) end, ?BOUND_MS),
	Stuck = Pings(),
	ok = holds(fun() -> Pings() =:= Stuck end, 3 * ?WATCHDOG_MS),
	ok = pgmesh:signal(Daemon, 'CONT'),
	_ = eventually(fun() -> Pings() > Stuck end, ?BOUND_MS),
	ok.

epmd_does_not_speak_for_us(Config) ->
	ct:comment("An EPMD that pgmesh starts does not know the service manager."),
	#{directory := Directory, epmd := Epmd} = Lab = lab:from(Config),
	ok = scratch_epmd:kill(Epmd),
	Seen = filename:join(Directory, "seen"),
	ok = file:write_file(filename:join(Directory, "epmd"), ["#!/bin/sh\nenv >", Seen, ".new; mv ", Seen, ".new ", Seen, "\n"]),
	ok = file:change_mode(filename:join(Directory, "epmd"), 8#755),
	Manager = service_manager:open(Lab),
	_ = pgmesh:launch(Lab, #{flags => #{"--epmd" => "auto"}, env => [{"PATH", Directory ++ ":" ++ os:getenv("PATH")}
		| service_manager:environment(Manager, 60000)]}),
	_ = eventually(fun() -> filelib:is_regular(Seen) end, ?BOUND_MS),
	{ok, Environment} = file:read_file(Seen),
	true = contains(<<"ERL_EPMD_PORT=">>, Environment),
	[false = contains(Variable, Environment) || Variable <- [<<"NOTIFY_SOCKET">>, <<"WATCHDOG">>]],
	ok.

tells_of_a_reload(Config) ->
	ct:comment("RELOADING=1, with the time, and READY=1 again after it."),
	#{directory := Directory} = Lab = lab:from(Config),
	File = filename:join(Directory, "pgmesh.toml"),
	ok = file:write_file(File, "log = \"info\"\n"),
	Manager = service_manager:open(Lab),
	Daemon = pgmesh:start(Lab, #{env => service_manager:environment(Manager), flags => #{"--config" => File}}),
	ok = pgmesh:signal(Daemon, 'HUP'),
	_ = eventually(fun() -> says_last(Manager, <<"MONOTONIC_USEC">>, <<>>) end, ?BOUND_MS),
	_ = eventually(fun() -> last_states(Manager) =:= [<<"READY=1">>, <<"RELOADING=1">>, <<"READY=1">>] end, ?BOUND_MS),
	ok.

tells_that_it_is_stopping(Config) ->
	ct:comment("STOPPING=1 comes last, with what it was that stopped it."),
	Lab = lab:from(Config),
	Manager = service_manager:open(Lab),
	Daemon = pgmesh:start(Lab, #{env => service_manager:environment(Manager)}),
	ok = pgmesh:signal(Daemon, 'TERM'),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	[<<"STATUS=stopping after SIGTERM">>, <<"STOPPING=1">> | _] = lists:reverse(service_manager:said(Manager)),
	ok.

%% Tests: how it ends.

answers_until_goodbye_is_said(Config) ->
	ct:comment("While goodbye is being said, /readyz is 503 and status is answered; then the end, with 0."),
	{Lab, Daemon} = cannot_say_goodbye(Config),
	ok = pgmesh:signal(Daemon, 'TERM'),
	_ = eventually(fun() -> control_socket:ask(Daemon, "/readyz") =:= {503, <<"not ready: stopping\n">>} end, 1000),
	#{<<"node">> := _} = control_socket:get(Daemon, "/api/v1/status"),
	{503, #{<<"error">> := #{<<"kind">> := <<"stopping">>}}} =
		control_socket:post(Daemon, "/api/v1/forget", #{node => <<"a@127.0.0.1">>}),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	ok = ended(Lab, Daemon).

streams_end_with_the_daemon(Config) ->
	ct:comment("A stream of events is ended by the daemon, whole; one that asks nothing delays nobody."),
	#{socket := Socket} = Daemon = pgmesh:start(lab:from(Config)),
	Idle = http_client:connect({{local, Socket}, 0}),
	Stream = http_client:connect({{local, Socket}, 0}),
	ok = http_client:send(Stream, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"),
	{ok, <<"HTTP/1.1 200 ", _/binary>>} = gen_tcp:recv(Stream, 0, ?BOUND_MS),
	ok = pgmesh:signal(Daemon, 'TERM'),
	%% The last chunk of an answer.
	true = ends_with(<<"0\r\n\r\n">>, http_client:rest(Stream)),
	true = http_client:await_closed(Idle, ?BOUND_MS),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	ok.

second_signal_ends_at_once(Config) ->
	ct:comment("A second signal does not wait for goodbye, and leaves nothing behind either."),
	{Lab, Daemon} = cannot_say_goodbye(Config),
	ok = pgmesh:signal(Daemon, 'TERM'),
	ok = pgmesh:signal(Daemon, 'INT'),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	true = contains(<<"stopped again">>, pgmesh:log(Daemon)),
	ok = ended(Lab, Daemon).

%% Helpers.

%% Its last words wait for a Postgres that is frozen.
cannot_say_goodbye(Config) ->
	#{postgres := Postgres} = Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => #{"--dialect" => "heartbeat"}}),
	ok = scratch_postgres:freeze(Postgres, everything),
	{Lab, Daemon}.

ended(#{epmd_port := EpmdPort}, #{socket := Socket}) ->
	false = filelib:is_file(Socket),
	_ = eventually(fun() -> scratch_epmd:names(EpmdPort) =:= [] end, ?BOUND_MS),
	ok.

last_states(Manager) ->
	[Line || Line <- service_manager:said(Manager), lists:member(Line, [<<"READY=1">>, <<"RELOADING=1">>])].

is_stopped(#{process := Process}) ->
	{ok, Status} = file:read_file(io_lib:format("/proc/~b/status", [os_process:os_pid(Process)])),
	contains(<<"State:\tT">>, Status).

contains(Part, Text) ->
	string:find(Text, Part) =/= nomatch.

ends_with(End, Bytes) ->
	binary:longest_common_suffix([End, Bytes]) =:= byte_size(End).
