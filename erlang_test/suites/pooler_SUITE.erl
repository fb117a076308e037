%% A pooler stands between pgmesh and Postgres.
%%
%% In session mode that is as good as a direct connection. In transaction mode
%% LISTEN belongs to whatever server session happens to be at hand: what is heard
%% there is luck, so that pgmesh must name the pooler instead of trusting it.
-module(pooler_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 15000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[session_mode_works, pooler_is_killed, postgres_behind_a_pooler_stops,
		transaction_mode_is_named, statement_mode_is_named].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

session_mode_works(Config) ->
	ct:comment("Through a pooler in session mode nodes are linked, and newcomers heard."),
	{World, _} = start_pooled(lab:from(Config)),
	ok = holds(fun() -> survival:is_listening(World) end, 5000),
	[] = status_watch:kinds(maps:get(watch, World)),
	survival:ends_well(World).

pooler_is_killed(Config) ->
	ct:comment("A pooler that dies and comes back costs no link."),
	Lab = lab:from(Config),
	{World, Pooler} = start_pooled(Lab),
	ok = scratch_pgbouncer:kill(Pooler),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, 3000),
	ok = survival:can_hear(World),
	_ = scratch_pgbouncer:restart(Lab, Pooler),
	_ = survival:hears_again(World, "the pooler was back"),
	survival:ends_well(World).

%% The pooler keeps its clients waiting meanwhile.
postgres_behind_a_pooler_stops(Config) ->
	ct:comment("Ten seconds without Postgres behind a pooler that stays cost no link."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	{World, _} = start_pooled(Lab),
	ok = scratch_postgres:down(Postgres, fast),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, 10000),
	ok = survival:can_hear(World),
	ok = scratch_postgres:up(Postgres),
	_ = survival:hears_again(World, "Postgres answered again behind its pooler"),
	survival:ends_well(World).

transaction_mode_is_named(Config) ->
	ct:comment("A pooler in transaction mode is named and not listened to."),
	do_name_pooler(Config, transaction).

statement_mode_is_named(Config) ->
	ct:comment("A pooler in statement mode is named and not listened to."),
	do_name_pooler(Config, statement).

%% Helpers.

start_pooled(Lab) ->
	Pooler = scratch_pgbouncer:start(Lab, session),
	{survival:linked(Lab, #{flags => flags(Pooler)}), Pooler}.

do_name_pooler(Config, PoolMode) ->
	Lab = lab:from(Config),
	Pooler = scratch_pgbouncer:start(Lab, PoolMode),
	World = survival:launched(Lab, #{flags => flags(Pooler)}),
	ok = survival:cannot_hear(World, 0),
	_ = eventually(fun() -> is_named(World) end, ?BOUND_MS),
	ok = holds(fun() -> is_named(World) end, 8000),
	survival:was_true(World).

is_named(World) ->
	case survival:error_kind(World) of
		<<"pooler">> -> true;
		Other -> Other
	end.

flags(Pooler) ->
	#{"--database-url" => survival:database_url([scratch_pgbouncer:port(Pooler)], "")}.
