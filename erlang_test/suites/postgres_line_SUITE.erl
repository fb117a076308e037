%% Postgres is well, the line to it is not: cut, or dead in silence, and at the
%% worst of moments.
-module(postgres_line_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 20000).
%% More pieces than pgmesh sends until it listens.
-define(STEPS, 10).
%% Each server then has two seconds instead of five.
-define(QUICK, "?connect_timeout=2").

%% ct.

suite() ->
	[{timetrap, {minutes, 3}}].

all() ->
	[line_is_cut_again_and_again, line_goes_dead, line_dies_while_a_session_is_made,
		line_dies_while_a_session_is_proven, one_connection_is_enough].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

line_is_cut_again_and_again(Config) ->
	ct:comment("A line that is cut twenty times, whenever it is heard through, is heard through again."),
	{Line, World} = start(lab:from(Config), ""),
	Times = [do_cut(Line, World) || _ <- lists:seq(1, 20)],
	ct_console:note("listening ~.1f ms after the line was cut (median), ~.1f ms (worst)",
		[links:median(Times), lists:max(Times)]),
	survival:ends_well(World).

line_goes_dead(Config) ->
	ct:comment("A line that loses all words of one side or both, in silence, is left for another."),
	{Line, World} = start(lab:from(Config), ""),
	lists:foreach(fun(Lost) ->
		ok = shaky_line:lose(Line, Lost),
		NoticedMs = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
		Ms = eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS),
		ct_console:note("words of ~s lost: noticed after ~.1f ms, listening ~.1f ms later",
			[Lost, NoticedMs, Ms])
	end, [client, server, everybody]),
	survival:ends_well(World).

line_dies_while_a_session_is_made(Config) ->
	ct:comment("Whatever step of a new session is the one that gets no answer, the next session hears."),
	{Line, World} = start(lab:from(Config), ?QUICK),
	Times = [do_die(Line, World, [Pieces]) || Pieces <- lists:seq(0, ?STEPS)],
	note_steps("a new session", Times),
	survival:ends_well(World).

%% pgmesh proves with a second connection that it hears others if something lies
%% between it and Postgres, as the line does.
line_dies_while_a_session_is_proven(Config) ->
	ct:comment("The same for the second connection, by which the first is proven to hear."),
	{Line, World} = start(lab:from(Config), ?QUICK),
	Times = [do_die(Line, World, [infinity, Pieces]) || Pieces <- lists:seq(0, ?STEPS)],
	note_steps("its proof", Times),
	survival:ends_well(World).

one_connection_is_enough(Config) ->
	ct:comment("A role that may have a single connection hears, and hears again once that was cut."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	[] = lab:query(Lab, "CREATE ROLE narrow LOGIN CONNECTION LIMIT 1"),
	Line = shaky_line:start(Lab, port(Postgres)),
	Options = #{flags => #{"--database-url" =>
		survival:database_url("narrow", [shaky_line:port(Line)], "")}},
	World = survival:linked(Lab, Options),
	_ = do_cut(Line, World),
	survival:ends_well(World).

%% Helpers.

start(#{postgres := Postgres} = Lab, Query) ->
	Line = shaky_line:start(Lab, port(Postgres)),
	Url = survival:database_url([shaky_line:port(Line)], Query),
	{Line, survival:linked(Lab, #{flags => #{"--database-url" => Url}})}.

do_die(Line, World, Plan) ->
	ok = shaky_line:plan(Line, Plan),
	do_cut(Line, World).

do_cut(Line, World) ->
	ok = shaky_line:cut(Line),
	AwayMs = eventually(fun() -> survival:is_away(World) end, ?BOUND_MS),
	AwayMs + eventually(fun() -> survival:is_listening(World) end, ?BOUND_MS).

note_steps(What, Times) ->
	Texts = [io_lib:format("~.1f", [Ms / 1000]) || Ms <- Times],
	ct_console:note("~s unanswered from step 0, 1 and so on: listening after ~s s",
		[What, lists:join(", ", Texts)]).

port(Postgres) ->
	maps:get(port, scratch_postgres:options(Postgres)).
