%% From a newcomer's first NOTIFY to its nodeup, with pgmesh or with another BEAM
%% node as the one who hears.
%%
%% Both run all the time, on one Postgres but on two channels, so that only one
%% of them hears a given newcomer and neither loads the other. Rounds alternate.
%% They announce too seldom to meet a newcomer by their own announcement: what
%% is measured is hearing, dialling and the handshake.
-module(bench_join).

-export([run/1]).

-define(AN_HOUR_MS, 3600000).
-define(LINKED_MS, 10000).
%% What libcluster_postgres 0.2.0 took for the same, between Elixir nodes on two cores:
%% the beacon is to stand for it.
-define(LIBCLUSTER_MS, 4.2).
-define(RESIDENT_PGMESH, 'pgmesh@127.0.0.1').
-define(RESIDENT_BEAM, 'resident@127.0.0.1').

-spec run(lab:lab()) -> ok.
run(Lab) ->
	Rounds = list_to_integer(os:getenv("BENCH_ROUNDS", "30")),
	bench_table:title("join: from a node's first NOTIFY to the link being up on it", []),
	WithPgmesh = Lab#{channel := "with_pgmesh"},
	WithBeam = Lab#{channel := "with_beam"},
	_ = pgmesh:start(WithPgmesh, #{name => ?RESIDENT_PGMESH, flags => #{"--announce-interval" => "1h",
		"--announce" => "none", "--introduce" => "none"}}),
	_ = beam_node:start(WithBeam, #{name => ?RESIDENT_BEAM, beacon => true, beacon_interval_ms => ?AN_HOUR_MS}),
	%% The first round of each warms up what later rounds find warm.
	[_ | Pairs] = [round(Number, WithPgmesh, WithBeam) || Number <- lists:seq(0, Rounds)],
	{Pgmesh, Beam} = lists:unzip(Pairs),
	ok = bench_table:samples([{"pgmesh", Pgmesh}, {"BEAM node with beacon", Beam}]),
	ok = bench_results:note(join, linked_ms, pgmesh, bench_table:median(Pgmesh)),
	ok = bench_results:note(join, linked_ms, beam, bench_table:median(Beam)),
	bench_table:ratio(bench_table:median(Pgmesh), bench_table:median(Beam), "half of the BEAM node's time"),
	bench_table:row("BEAM node / libcluster_postgres", [lists:flatten(io_lib:format("~.2f",
		[bench_table:median(Beam) / ?LIBCLUSTER_MS]))]),
	io:format("  expected: within 0.75 and 1.25, where the machine is as fast as the one that gave ~.1f ms~n", [?LIBCLUSTER_MS]).

round(Number, WithPgmesh, WithBeam) when Number rem 2 =:= 0 ->
	Pgmesh = newcomer_ms(Number, WithPgmesh, ?RESIDENT_PGMESH),
	Beam = newcomer_ms(Number, WithBeam, ?RESIDENT_BEAM),
	{Pgmesh, Beam};
round(Number, WithPgmesh, WithBeam) ->
	Beam = newcomer_ms(Number, WithBeam, ?RESIDENT_BEAM),
	Pgmesh = newcomer_ms(Number, WithPgmesh, ?RESIDENT_PGMESH),
	{Pgmesh, Beam}.

newcomer_ms(Number, #{channel := Channel} = Lab, Resident) ->
	Name = list_to_atom(lists:concat([Channel, "_", Number, "@127.0.0.1"])),
	Beam = beam_node:start(Lab, #{name => Name, beacon => true, beacon_interval_ms => ?AN_HOUR_MS}),
	_ = eventually:eventually(fun() -> links:join_times_ms(Beam, Resident) =/= [] end, ?LINKED_MS),
	[JoinMs | _] = links:join_times_ms(Beam, Resident),
	ok = beam_node:kill(Beam),
	JoinMs.
