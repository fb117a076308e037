%% Postgres comes and goes; links do not.
%%
%% For the strategy that pgmesh stands beside, any outage is the end. The cases
%% that take long are a group that runs in parallel: together they take as long
%% as the longest of them.
-module(postgres_outage_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
-define(OUTAGES_IN_A_ROW, 50).

%% ct.

suite() ->
	[{timetrap, {minutes, 8}}].

all() ->
	[started_while_postgres_is_down, short_outage, short_crash, {group, long}].

groups() ->
	[{long, [parallel], [outage_of_five_minutes, outage_of_half_a_minute, longer_outage,
		fifty_outages_in_a_row, started_long_before_postgres]}].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

started_while_postgres_is_down(Config) ->
	ct:comment("pgmesh starts without Postgres, says so, and links once there is one."),
	do_start_before_postgres(Config, 1000).

started_long_before_postgres(Config) ->
	ct:comment("pgmesh waits twenty seconds for its first Postgres, and links once there is one."),
	do_start_before_postgres(Config, 20000).

short_outage(Config) ->
	ct:comment("0.4 s without Postgres, after a polite stop, cost no link."),
	do_outage(Config, fast, 400).

short_crash(Config) ->
	ct:comment("0.4 s without Postgres, after a crash, cost no link."),
	do_outage(Config, immediate, 400).

longer_outage(Config) ->
	ct:comment("Eight seconds without Postgres, many announcement intervals, cost no link."),
	do_outage(Config, fast, 8000).

%% Names are forgotten after twelve announce intervals of silence, were they
%% listened to: here after twelve seconds.
outage_of_half_a_minute(Config) ->
	ct:comment("Half a minute without Postgres, more than the expiry, costs no link and no member."),
	do_outage(Config, immediate, 30000).

outage_of_five_minutes(Config) ->
	ct:comment("Five minutes without Postgres cost no link and no member."),
	do_outage(Config, fast, 300000).

fifty_outages_in_a_row(Config) ->
	ct:comment("Postgres that stops fifty times is heard again fifty times, without a link lost."),
	World = survival:linked(lab:from(Config)),
	Times = [do_stop_and_start(World, mode(N), 0) || N <- lists:seq(1, ?OUTAGES_IN_A_ROW)],
	ct_console:note("fifty outages: listening ~.1f ms after Postgres answered again (median), "
		"~.1f ms (worst)", [links:median(Times), lists:max(Times)]),
	survival:ends_well(World).

%% Helpers.

do_start_before_postgres(Config, DurationMs) ->
	#{postgres := Postgres} = Lab = lab:from(Config),
	ok = scratch_postgres:down(Postgres, fast),
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'b@127.0.0.1', beacon => true, kind => elixir}]),
	World = #{daemon := Daemon} = survival:launched(Lab, #{}),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:error_kind(World) =:= <<"unreachable">> end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, DurationMs),
	ok = survival:can_hear(World),
	ok = scratch_postgres:up(Postgres),
	ListeningMs = eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS),
	LinkedMs = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ct_console:note("started ~b s before Postgres: listening ~.1f ms after it answered, "
		"all linked ~.1f ms later", [DurationMs div 1000, ListeningMs, LinkedMs]),
	survival:was_true(World).

do_outage(Config, Mode, DurationMs) ->
	World = survival:linked(lab:from(Config)),
	Ms = do_stop_and_start(World, Mode, DurationMs),
	ct_console:note("~.1f s without Postgres: listening ~.1f ms after it answered again",
		[DurationMs / 1000, Ms]),
	survival:ends_well(World).

do_stop_and_start(#{lab := #{postgres := Postgres}} = World, Mode, DurationMs) ->
	ok = scratch_postgres:down(Postgres, Mode),
	ok = survival:cannot_hear(World),
	_ = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	ok = holds(fun() -> survival:is_away(World) end, DurationMs),
	ok = survival:can_hear(World),
	ok = scratch_postgres:up(Postgres),
	eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS).

mode(N) when N rem 2 =:= 0 -> fast;
mode(_) -> immediate.
