%% A primary dies, its standby takes over: pgmesh follows, links stay.
-module(failover_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
-define(NOTICES_DEAFNESS_MS, 4000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[standby_is_named, standby_is_named_if_a_primary_is_asked_for, standby_becomes_the_primary,
		standby_becomes_the_primary_that_is_asked_for, primary_freezes_and_standby_takes_over,
		primary_is_found_behind_a_standby].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

standby_is_named(Config) ->
	ct:comment("A URL that has only a standby is named as that, until the standby is promoted."),
	do_name_standby(Config, "").

standby_is_named_if_a_primary_is_asked_for(Config) ->
	ct:comment("The same with target_session_attrs=read-write."),
	do_name_standby(Config, "?target_session_attrs=read-write").

standby_becomes_the_primary(Config) ->
	ct:comment("The primary dies, the standby is promoted: heard again there, without a link lost."),
	do_fail_over(Config, "").

standby_becomes_the_primary_that_is_asked_for(Config) ->
	ct:comment("The same with target_session_attrs=read-write."),
	do_fail_over(Config, "?target_session_attrs=read-write").

%% Nothing refuses a connection here, as with a host that lost its power.
primary_freezes_and_standby_takes_over(Config) ->
	ct:comment("The primary freezes, the standby is promoted: a silent first host is passed over."),
	#{postgres := Primary} = Lab = lab:from(Config),
	{Standby, World} = start_with_standby(Lab, "?target_session_attrs=read-write"),
	ok = scratch_postgres:freeze(Primary, everything),
	ok = survival:cannot_hear(World, ?NOTICES_DEAFNESS_MS),
	_ = eventually(fun() -> survival:has_failed(World, <<"deaf">>) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, 3000),
	do_take_over(World, Standby).

%% As libpq does it, a URL without target_session_attrs takes the first host that
%% answers, whichever it is.
primary_is_found_behind_a_standby(Config) ->
	ct:comment("With target_session_attrs=read-write a standby that stands first is passed over."),
	#{postgres := Primary} = Lab = lab:from(Config),
	Standby = scratch_postgres:start_standby(Lab, Primary),
	Url = database_url([Standby, Primary], "?target_session_attrs=read-write"),
	World = survival:linked(Lab, #{flags => #{"--database-url" => Url}}),
	survival:ends_well(World).

%% Helpers.

do_name_standby(Config, Query) ->
	#{postgres := Primary} = Lab = lab:from(Config),
	Standby = scratch_postgres:start_standby(Lab, Primary),
	Beam = beam_node:start(Lab#{postgres := Standby}, #{name => 'a@127.0.0.1', beacon => true}),
	Url = database_url([Standby], Query),
	World = #{daemon := Daemon} = survival:launched(Lab, #{flags => #{"--database-url" => Url}}),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:error_kind(World) =:= <<"standby">> end, ?BOUND_MS),
	ok = holds(fun() -> survival:error_kind(World) =:= <<"standby">> end, 3000),
	ok = survival:can_hear(World),
	ok = scratch_postgres:promote(Standby),
	_ = survival:hears_again(World, "the only host was promoted"),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	survival:was_true(World).

do_fail_over(Config, Query) ->
	#{postgres := Primary} = Lab = lab:from(Config),
	{Standby, World} = start_with_standby(Lab, Query),
	ok = scratch_postgres:down(Primary, immediate),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, 3000),
	do_take_over(World, Standby).

start_with_standby(#{postgres := Primary} = Lab, Query) ->
	Standby = scratch_postgres:start_standby(Lab, Primary),
	Url = database_url([Primary, Standby], Query),
	{Standby, survival:linked(Lab, #{flags => #{"--database-url" => Url}})}.

do_take_over(#{lab := Lab} = World, Standby) ->
	ok = survival:can_hear(World),
	ok = scratch_postgres:promote(Standby),
	_ = survival:hears_again(World, "the standby was promoted"),
	survival:ends_well(World, Lab#{postgres := Standby}).

database_url(Several, Query) ->
	survival:database_url([port(Postgres) || Postgres <- Several], Query).

port(Postgres) ->
	maps:get(port, scratch_postgres:options(Postgres)).
