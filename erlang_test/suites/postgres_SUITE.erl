%% Postgres comes and goes; links do not.
%%
%% For the strategy that pgmesh stands beside, any outage is the end.
-module(postgres_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 15000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[started_while_postgres_is_down, short_outage, short_crash, longer_outage,
		session_terminated].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

started_while_postgres_is_down(Config) ->
	ct:comment("pgmesh starts without Postgres, says so, and links once there is one."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	ok = scratch_postgres:down(Postgres, fast),
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'b@127.0.0.1', beacon => true, kind => elixir}]),
	Daemon = pgmesh:launch(Lab, #{}),
	_ = eventually(fun() -> is_away(Lab, Daemon) end, ?BOUND_MS),
	ok = holds(fun() -> is_away(Lab, Daemon) end, 1000),
	ok = scratch_postgres:up(Postgres),
	ListeningMs = eventually(fun() -> is_listening(Lab, Daemon) end, ?BOUND_MS),
	LinkedMs = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ct_console:note("listening ~.1f ms after Postgres answered, all linked ~.1f ms later",
		[ListeningMs, LinkedMs]),
	ok.

short_outage(Config) ->
	ct:comment("Half a second without Postgres, after a polite stop, costs no link."),
	do_outage(Config, fast, 500).

short_crash(Config) ->
	ct:comment("Half a second without Postgres, after a crash, costs no link."),
	do_outage(Config, immediate, 500).

longer_outage(Config) ->
	ct:comment("Eight seconds without Postgres, many announcement intervals, cost no link."),
	do_outage(Config, fast, 8000).

session_terminated(Config) ->
	ct:comment("An administrator who ends pgmesh's session costs no link and no hearing."),
	Lab = lab:from(Config),
	{Daemon, Beams} = start_linked(Lab),
	[_ | _] = lab:query(Lab, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		"WHERE application_name LIKE 'pgmesh%'"),
	do_newcomer_joins(Lab, Daemon, Beams).

%% Helpers.

do_outage(Config, Mode, DurationMs) ->
	#{postgres := Postgres} = Lab = lab:from(Config),
	{Daemon, Beams} = start_linked(Lab),
	ok = scratch_postgres:down(Postgres, Mode),
	_ = eventually(fun() -> is_away(Lab, Daemon) end, ?BOUND_MS),
	ok = holds(fun() -> is_away_with_links(Lab, Daemon, Beams) end, DurationMs),
	ok = scratch_postgres:up(Postgres),
	Ms = eventually(fun() -> is_listening(Lab, Daemon) end, ?BOUND_MS),
	ct_console:note("listening ~.1f ms after Postgres answered again", [Ms]),
	do_newcomer_joins(Lab, Daemon, Beams).

do_newcomer_joins(Lab, Daemon, Beams) ->
	_ = eventually(fun() -> is_listening(Lab, Daemon) end, ?BOUND_MS),
	Newcomer = beam_node:start(Lab, #{name => 'new@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Newcomer | Beams]) end, ?BOUND_MS),
	[[] = links:lost(Beam) || Beam <- Beams],
	ok.

start_linked(Lab) ->
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'z@127.0.0.1', beacon => true},
		#{name => 'ex@127.0.0.1', beacon => true, kind => elixir}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	{Daemon, Beams}.

%% Between two attempts it is down, during one it is connecting.
is_away(Lab, Daemon) ->
	case pgmesh:postgres_state(Lab, Daemon) of
		<<"down">> -> true;
		<<"connecting">> -> true;
		Other -> Other
	end.

is_away_with_links(Lab, Daemon, Beams) ->
	case is_away(Lab, Daemon) of
		true -> links:complete(Lab, Daemon, Beams);
		Other -> Other
	end.

is_listening(Lab, Daemon) ->
	case pgmesh:postgres_state(Lab, Daemon) of
		<<"listening">> -> true;
		Other -> Other
	end.
