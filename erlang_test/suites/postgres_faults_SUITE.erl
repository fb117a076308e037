%% Postgres is there and does not do its work: it ends sessions, is frozen in
%% parts or as a whole, does not answer, has no room.
-module(postgres_faults_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
%% Two and a half announce intervals, of one second here, without an own echo are
%% deafness; the remainder is for a busy machine.
-define(NOTICES_DEAFNESS_MS, 4000).
%% A session that does not come about is given up after five seconds.
-define(GIVES_UP_CONNECTING_MS, 10000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[session_terminated, sessions_terminated_again_and_again, backend_frozen,
		silent_server_instead_of_postgres, silent_host_before_postgres,
		host_that_refuses_before_postgres, postmaster_frozen, whole_server_frozen,
		no_connection_left].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

session_terminated(Config) ->
	ct:comment("An administrator who ends pgmesh's session costs no link and no hearing."),
	World = survival:linked(lab:from(Config)),
	_ = do_terminate(World),
	survival:ends_well(World).

sessions_terminated_again_and_again(Config) ->
	ct:comment("Each session of twenty is ended as soon as it hears: the next one hears, too."),
	World = survival:linked(lab:from(Config)),
	Times = [do_terminate(World) || _ <- lists:seq(1, 20)],
	ct_console:note("listening ~.1f ms after the end of a session (median), ~.1f ms (worst)",
		[links:median(Times), lists:max(Times)]),
	survival:ends_well(World).

backend_frozen(Config) ->
	ct:comment("A session that stands and says nothing is noticed within a few announce intervals."),
	World = #{lab := #{postgres := Postgres}} = survival:linked(lab:from(Config)),
	Backend = backend(World),
	ok = scratch_postgres:freeze(Postgres, Backend),
	%% What the status says of it lasts for a tenth of a second.
	NoticedMs = eventually(fun() -> survival:has_failed(World, <<"deaf">>) end, ?NOTICES_DEAFNESS_MS),
	_ = eventually(fun() -> has_another_backend(World, Backend) end, ?BOUND_MS),
	HearsMs = eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS),
	ct_console:note("deafness noticed ~.1f ms after its backend froze, listening ~.1f ms later",
		[NoticedMs, HearsMs]),
	ok = scratch_postgres:thaw(Postgres),
	survival:ends_well(World).

silent_server_instead_of_postgres(Config) ->
	ct:comment("What takes connections at Postgres' port and never answers is given up in time."),
	World = #{lab := #{postgres := Postgres}} = survival:linked(lab:from(Config)),
	ok = scratch_postgres:down(Postgres, fast),
	ok = survival:cannot_hear(World),
	Silent = listen_and_be_silent(port(Postgres)),
	GivenUpMs = eventually(fun() -> survival:error_kind(World) =:= <<"timeout">> end,
		?GIVES_UP_CONNECTING_MS),
	ct_console:note("a server that does not answer is named after ~.1f ms", [GivenUpMs]),
	ok = holds(fun() -> survival:is_away(World) end, 3000),
	ok = gen_tcp:close(Silent),
	ok = survival:can_hear(World),
	ok = scratch_postgres:up(Postgres),
	_ = survival:hears_again(World, "Postgres answered in the silent server's place"),
	survival:ends_well(World).

silent_host_before_postgres(Config) ->
	ct:comment("A first host that takes connections and never answers does not keep pgmesh from the second."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	Port = free_port:pick(),
	Silent = listen_and_be_silent(Port),
	do_hear_second_host(Lab, [Port, port(Postgres)]),
	ok = gen_tcp:close(Silent).

host_that_refuses_before_postgres(Config) ->
	ct:comment("A first host that is down does not keep pgmesh from the second."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	do_hear_second_host(Lab, [free_port:pick(), port(Postgres)]).

postmaster_frozen(Config) ->
	ct:comment("A Postgres that begins no new session is named, and heard again when it does."),
	World = #{lab := #{postgres := Postgres} = Lab} = survival:linked(lab:from(Config)),
	{ok, Session} = pg_session:connect(lab:postgres(Lab)),
	Backend = backend(World),
	ok = scratch_postgres:freeze(Postgres, postmaster),
	{ok, [[<<"t">>]], _} = pg_session:query(terminate_statement(Backend), Session),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:error_kind(World) =:= <<"timeout">> end,
		?GIVES_UP_CONNECTING_MS),
	ok = holds(fun() -> survival:is_away(World) end, 8000),
	ok = survival:can_hear(World),
	ok = scratch_postgres:thaw(Postgres),
	_ = survival:hears_again(World, "the frozen postmaster went on"),
	survival:ends_well(World).

whole_server_frozen(Config) ->
	ct:comment("A Postgres that stands still for fifteen seconds is not heard, and heard when it goes on."),
	World = #{lab := #{postgres := Postgres}} = survival:linked(lab:from(Config)),
	ok = scratch_postgres:freeze(Postgres, everything),
	ok = survival:cannot_hear(World, ?NOTICES_DEAFNESS_MS),
	NoticedMs = eventually(fun() -> survival:has_failed(World, <<"deaf">>) end, ?NOTICES_DEAFNESS_MS),
	ok = holds(fun() -> survival:is_away(World) end, 15000 - round(NoticedMs)),
	ok = survival:can_hear(World),
	ok = scratch_postgres:thaw(Postgres),
	_ = survival:hears_again(World, "the frozen server went on"),
	survival:ends_well(World).

no_connection_left(Config) ->
	ct:comment("A Postgres whose connections are all used says so, and is heard when there is one."),
	World = survival:linked(lab:from(Config)),
	Sessions = take_all_connections(World),
	ok = survival:cannot_hear(World),
	ok = holds(fun() -> survival:error_kind(World) =:= <<"too_many_connections">> end, 3000),
	ok = survival:can_hear(World),
	[ok = pg_session:close(Session) || Session <- Sessions],
	_ = survival:hears_again(World, "connections were free again"),
	survival:ends_well(World).

%% Helpers.

do_terminate(#{lab := Lab} = World) ->
	Backend = backend(World),
	Started = erlang:monotonic_time(microsecond),
	[[<<"t">>]] = lab:query(Lab, terminate_statement(Backend)),
	_ = eventually(fun() -> has_another_backend(World, Backend) end, ?BOUND_MS),
	_ = eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS),
	(erlang:monotonic_time(microsecond) - Started) / 1000.

do_hear_second_host(#{postgres := Postgres} = Lab, Ports) ->
	Url = survival:database_url(Ports, ""),
	World = survival:linked(Lab, #{flags => #{"--database-url" => Url}}),
	ok = scratch_postgres:down(Postgres, immediate),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, 3000),
	ok = survival:can_hear(World),
	ok = scratch_postgres:up(Postgres),
	_ = survival:hears_again(World, "Postgres, the second host, answered again"),
	survival:ends_well(World).

%% The kernel takes the connections; nobody ever reads them.
listen_and_be_silent(Port) ->
	{ok, Silent} = gen_tcp:listen(Port,
		[binary, {ip, {127, 0, 0, 1}}, {active, false}, {reuseaddr, true}, {backlog, 128}]),
	Silent.

port(Postgres) ->
	maps:get(port, scratch_postgres:options(Postgres)).

%% Backends of pgmesh. Two are there while a frozen one has not noticed its end.

terminate_statement(Backend) ->
	io_lib:format("SELECT pg_terminate_backend(~b)", [Backend]).

backend(World) ->
	[Backend] = backends(World),
	Backend.

backends(#{lab := Lab}) ->
	[binary_to_integer(Pid) || [Pid] <- lab:query(Lab,
		"SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgmesh/%'")].

has_another_backend(World, Backend) ->
	backends(World) -- [Backend] =/= [].

%% The last place is pgmesh's own, and it wants it back: whoever is first has it.
take_all_connections(#{lab := Lab} = World) ->
	{ok, First} = pg_session:connect(lab:postgres(Lab)),
	take_all_connections(World, [First]).

take_all_connections(World, Sessions) ->
	All = fill(World, Sessions),
	case survival:error_kind(World) of
		<<"too_many_connections">> -> All;
		_ -> take_all_connections(World, terminate_with(All))
	end.

fill(#{lab := Lab} = World, Sessions) ->
	case pg_session:connect(lab:postgres(Lab)) of
		{ok, Session} -> fill(World, [Session | Sessions]);
		{error, {postgres, <<"sorry, too many clients already">>}} -> Sessions
	end.

terminate_with([Session | Others]) ->
	{ok, _, Still} = pg_session:query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		"WHERE application_name LIKE 'pgmesh/%'", Session),
	[Still | Others].
