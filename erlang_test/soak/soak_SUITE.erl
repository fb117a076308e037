%% For as long as one likes, everything at once: nobody is lost, and nothing grows.
%%
%% Nodes come, go and stand still, edges and links are cut, Postgres and EPMD are restarted,
%% strangers flood the channel and the port, nodes say much, for $SOAK_MINUTES minutes, in an
%% order that follows from $SOAK_SEED. Between rounds of that the world is left in peace, and
%% must become one mesh. At the end a table says what pgmesh and the nodes took.
-module(soak_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

%% By how much the median of the last third of the rounds may be above that of the first,
%% looked at in peace, and however long it lasts: what leaks goes beyond any of these in time.
-define(MAY_GROW, #{
	%% What was freed stays with malloc, more or less of it: after a message of 30 MB some 10
	%% to 20, until something else needs them.
	memory_mb => 8,
	%% The same nodes run each time, and no stranger is left. A lookup may be under way.
	descriptors => 8,
	%% One that waits; those that ask the system for addresses come and go.
	threads => 2,
	%% What is queued is sent, or its link is closed.
	queued_bytes => 100000,
	%% A node learns every name that it is told of, once: names here are always the same.
	atoms => 20,
	%% A watcher for each daemon, and what OTP starts while a link comes up.
	processes => 5}).

-define(CORE, ['a@127.0.0.1', 'b@127.0.0.1', 'm@127.0.0.1', 'z@127.0.0.1']).
-define(BOUND_MS, 30000).
%% How long everything may take to be one mesh, once it is left in peace.
-define(WHOLE_MS, 30000).
-define(PEACE_MS, 2000).
-define(ROUND, 20).
-define(SAMPLE_MS, 2000).
-define(TOLD_MS, 60000).
-define(AFTERWARDS_MINUTES, 10).

%% ct.

suite() ->
	[{timetrap, {minutes, minutes() + ?AFTERWARDS_MINUTES}}].

all() ->
	[nobody_is_lost_and_nothing_grows].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

nobody_is_lost_and_nothing_grows(Config) ->
	ct:comment("Whatever befalls it and however long, the mesh becomes whole, and pgmesh does not grow."),
	Seed = seed(),
	ct_console:note("SOAK_MINUTES=~b SOAK_SEED=~b", [minutes(), Seed]),
	#{daemon := Daemon, core := Core} = World = everything_once(start_world(Config)),
	Sampler = soak_samples:start(Daemon, Core, #{every_ms => ?SAMPLE_MS,
		file => filename:join(proplists:get_value(priv_dir, Config), "samples.tsv")}),
	Lasts = now_ms() + minutes() * 60000,
	After = try
		go_on(#{until => Lasts, told => now_ms(), sampler => Sampler, seed => rand:seed_s(exsss, Seed), healed => []}, World)
	after
		ct_console:note("~ts", [soak_samples:table(soak_samples:so_far(Sampler), ?MAY_GROW)])
	end,
	Samples = soak_samples:stop(Sampler),
	ct_console:note("troubles: ~0p", [soak_troubles:counts(After)]),
	ok = lives_on(After),
	[] = soak_samples:breaches(Samples, ?MAY_GROW),
	ok.

%% Helpers: rounds.

%% What is learned, loaded and set aside at the first time is no growth.
everything_once(World) ->
	{Ms, Calm} = await_whole(lists:foldl(fun soak_troubles:strike/2, World, soak_troubles:each())),
	ct_console:note("everything once; whole again after ~.2f s", [Ms / 1000]),
	Calm.

go_on(#{until := Until, healed := Healed} = Course, World) ->
	case now_ms() < Until of
		true ->
			{Struck, Seed} = strike_round(?ROUND, Until, World, maps:get(seed, Course)),
			{Ms, Calm} = await_whole(Struck),
			ok = soak_samples:at_peace(maps:get(sampler, Course)),
			go_on(tell(Course#{seed := Seed, healed := [Ms | Healed]}), Calm);
		false ->
			ct_console:note("~b rounds; whole again after ~.2f s (median), ~.2f s (worst)",
				[length(Healed), links:median(Healed) / 1000, lists:max(Healed) / 1000]),
			World
	end.

strike_round(Left, Until, World, Seed) ->
	case Left > 0 andalso now_ms() < Until of
		true ->
			{Trouble, Next} = soak_troubles:pick(Seed),
			ct:log("~0p", [Trouble]),
			strike_round(Left - 1, Until, soak_troubles:strike(Trouble, World), Next);
		false -> {World, Seed}
	end.

%% As the nodes see it, and as people see it.
await_whole(Struck) ->
	#{lab := Lab, daemon := Daemon} = World = soak_troubles:calm(Struck),
	Beams = soak_troubles:beams(World),
	Ms = eventually(fun() -> is_whole(Lab, Daemon, Beams) end, ?WHOLE_MS),
	ok = holds(fun() -> links:meshed(Beams) end, ?PEACE_MS),
	ok = sees_whole(Lab, Daemon, Beams),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = lives_on(World),
	{Ms, World}.

is_whole(Lab, Daemon, Beams) ->
	case {links:meshed(Beams), pgmesh:sees_mesh(Daemon, names(Beams))} of
		{true, true} -> links:complete(Lab, Daemon, Beams);
		Others -> Others
	end.

sees_whole(Lab, #{socket := Socket}, Beams) ->
	#{exit := 0, stdout := Json} = pgmesh:command(Lab, ["matrix", "--socket", Socket, "--json"]),
	#{<<"nodes">> := Nodes, <<"missing">> := [], <<"one_way">> := []} = json_text:decode(Json),
	{Nodes, Nodes} = {Nodes, lists:sort([atom_to_binary(Name) || Name <- names(Beams)])},
	ok.

%% The same program as at the start, without a panic.
lives_on(#{daemon := Daemon}) ->
	running = pgmesh:await_exit(Daemon, 0),
	nomatch = string:find(pgmesh:log(Daemon), <<"panicked">>),
	ok.

tell(#{told := Told, sampler := Sampler} = Course) ->
	case now_ms() - Told >= ?TOLD_MS of
		true ->
			ct_console:note("~ts", [soak_samples:latest(Sampler)]),
			Course#{told := now_ms()};
		false -> Course
	end.

%% Helpers: the world.

start_world(Config) ->
	Lab = lab:from(Config),
	Core = beam_node:start_all(Lab, [#{name => Name} || Name <- ?CORE]),
	[ok = beam_node:call(Beam, ?MODULE, load_everything, []) || Beam <- Core],
	Http = free_port:pick(),
	Daemon = pgmesh:start(Lab, #{flags => #{"--config" => config_file(Lab),
		"--http" => "127.0.0.1:" ++ integer_to_list(Http)}}),
	_ = eventually(fun() -> is_whole(Lab, Daemon, Core) end, ?BOUND_MS),
	soak_troubles:world(Lab, Daemon, #{core => Core, http => {{127, 0, 0, 1}, Http}}).

%% There is something to be read again at a reload.
config_file(#{directory := Directory}) ->
	File = filename:join(Directory, "pgmesh.toml"),
	ok = file:write_file(File, "audit-interval = \"5s\"\n"),
	File.

%% On a node: a module that is loaded later, because something has to be logged say, brings
%% its atoms with it.
load_everything() ->
	_ = [code:ensure_loaded(Module) || Application <- [kernel, stdlib],
		{ok, Modules} <- [application:get_key(Application, modules)], Module <- Modules],
	ok.

names(Beams) ->
	[Name || #{name := Name} <- Beams].

minutes() ->
	list_to_integer(os:getenv("SOAK_MINUTES", "3")).

seed() ->
	case os:getenv("SOAK_SEED") of
		false -> erlang:system_time(second);
		Seed -> list_to_integer(Seed)
	end.

now_ms() ->
	erlang:monotonic_time(millisecond).
