%% pgmesh as a service: how it ends.
-module(service_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 15000).

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[answers_until_goodbye_is_said, streams_end_with_the_daemon, second_signal_ends_at_once].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

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

contains(Part, Text) ->
	string:find(Text, Part) =/= nomatch.

ends_with(End, Bytes) ->
	binary:longest_common_suffix([End, Bytes]) =:= byte_size(End).
