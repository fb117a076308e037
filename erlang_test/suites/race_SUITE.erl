%% Both sides dial at the same moment, again and again.
%%
%% With two discoverers on one channel this is the normal case, not the rare
%% one: a node hears pgmesh's name while pgmesh hears the node's. The handshake
%% settles it by comparing the names, so nodes on both sides of pgmesh's name
%% take part. A stuck dial blocks a BEAM for seven seconds and then shows up
%% here as a missing link.
-module(race_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).
-define(ROUND_BOUND_MS, 6000).
-define(ROUNDS, 200).
-define(AN_HOUR_MS, 3600000).

%% ct.

suite() ->
	[{timetrap, {minutes, 10}}].

all() ->
	[two_hundred_rounds, name_before_all_others, name_after_all_others].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

two_hundred_rounds(Config) ->
	ct:comment("200 simultaneous connects in a row, with names on both sides of pgmesh's."),
	do_race(lab:from(Config), 'pgmesh@127.0.0.1', ?ROUNDS).

name_before_all_others(Config) ->
	ct:comment("The same with a name that is smaller than every other: ours get nok."),
	do_race(lab:from(Config), 'aaa@127.0.0.1', ?ROUNDS div 4).

name_after_all_others(Config) ->
	ct:comment("The same with a name that is greater than every other: ours win."),
	do_race(lab:from(Config), 'zzz@127.0.0.1', ?ROUNDS div 4).

%% Helpers.

do_race(Lab, Name, Rounds) ->
	Beams = start_meshed(Lab),
	Daemon = pgmesh:start(Lab, #{name => Name}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	Results = [play_round(Lab, Daemon, Beams) || _ <- lists:seq(1, Rounds)],
	%% A link that is about to be lost would be lost by the end of this.
	ok = holds(fun() -> links:complete(Lab, Daemon, Beams) end, 3000),
	[[] = links:visible_events(Beam) || Beam <- Beams],
	Cut = lists:sum([Cuts || {_, Cuts, _} <- Results]),
	Lost = lists:sum([length(links:lost(Beam, Name)) || Beam <- Beams]),
	print(Rounds, Results, Lost - Cut).

%% Their beacons speak once only: the test itself says the names.
start_meshed(Lab) ->
	Beams = beam_node:start_all(Lab, [
		#{name => 'alpha@127.0.0.1', beacon => true, beacon_interval_ms => ?AN_HOUR_MS},
		#{name => 'omega@127.0.0.1', beacon => true, beacon_interval_ms => ?AN_HOUR_MS},
		#{name => 'zeta@127.0.0.1', beacon => true, beacon_interval_ms => ?AN_HOUR_MS, kind => elixir}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Beams.

%% The time until all are linked again, how many links were there to be cut,
%% and who dialled in the end.
play_round(Lab, Daemon, Beams) ->
	Name = pgmesh:node_name(Daemon),
	Cuts = [beam_node:call(Beam, erlang, disconnect_node, [Name]) || Beam <- Beams],
	_ = lab:notify_all(Lab, [Name | [BeamName || #{name := BeamName} <- Beams]]),
	Ms = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?ROUND_BOUND_MS),
	Directions = [maps:get(<<"direction">>, pgmesh:member(Lab, Daemon, BeamName))
		|| #{name := BeamName} <- Beams],
	{Ms, length([true || true <- Cuts]), Directions}.

%% A link beyond those we cut was made twice: no loss, but worth knowing.
print(Rounds, Results, Remade) ->
	Times = [Ms || {Ms, _, _} <- Results],
	Directions = lists:append([D || {_, _, D} <- Results]),
	Initiated = length([D || <<"initiator">> = D <- Directions]),
	ct_console:note("~b rounds: all linked again after ~.1f ms (median), ~.1f ms (worst); "
		"pgmesh was the initiator of ~b links of ~b; ~b links made twice",
		[Rounds, links:median(Times), lists:max(Times), Initiated, length(Directions), Remade]),
	ok.
