%% Figures as a person reads them: a line for each contender, and how pgmesh's
%% compares with the BEAM's and with the target.
-module(bench_table).

-export([title/2, samples/1, row/2, ratio/3, median/1]).

-spec title(io:format(), [term()]) -> ok.
title(Format, Args) ->
	io:format("~n" ++ Format ++ "~n", Args).

%% Milliseconds: median, smallest, largest, number.
-spec samples([{string(), [number()]}]) -> ok.
samples(Rows) ->
	io:format("  ~-34s ~10s ~10s ~10s ~5s~n", ["", "median", "min", "max", "n"]),
	[io:format("  ~-34s ~7.2f ms ~7.2f ms ~7.2f ms ~5b~n", [Label, float(median(Samples)),
		float(lists:min(Samples)), float(lists:max(Samples)), length(Samples)])
		|| {Label, Samples} <- Rows],
	ok.

-spec row(string(), [string()]) -> ok.
row(Label, Cells) ->
	io:format("  ~-34s~s~n", [Label, [io_lib:format(" ~12s", [Cell]) || Cell <- Cells]]).

-spec ratio(number(), number(), string()) -> ok.
ratio(Pgmesh, Beam, Target) ->
	io:format("  pgmesh / BEAM: ~.3f    target: ~s~n", [Pgmesh / Beam, Target]).

%% Of an even number, the mean of the two in the middle.
-spec median([number()]) -> number().
median(Samples) ->
	Sorted = lists:sort(Samples),
	Count = length(Sorted),
	(lists:nth((Count + 1) div 2, Sorted) + lists:nth(Count div 2 + 1, Sorted)) / 2.
