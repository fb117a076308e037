%% What a daemon and the nodes around it take, looked at regularly, and whether it grows.
%%
%% What comes and goes is told from what grows by samples at peace, when nothing happens and
%% nobody is in the way: their medians, of the first third and of the last.
-module(soak_samples).

-export([start/3, at_peace/1, latest/1, so_far/1, stop/1]).
-export([table/2, breaches/2]).

-export_type([sampler/0, sample/0, bounds/0]).

-type quantity() :: memory_mb | descriptors | threads | links | members | queued_bytes | atoms | processes.
-type sample() :: #{at_s := float(), at_peace := boolean(), quantity() => number()}.
%% By how much the median of the last third at peace may be above that of the first.
-type bounds() :: #{quantity() => number()}.
-opaque sampler() :: pid().

-define(QUANTITIES, [
	{memory_mb, "memory of pgmesh, MB"},
	{descriptors, "descriptors of pgmesh"},
	{threads, "threads of pgmesh"},
	{links, "links of pgmesh"},
	{members, "members that it knows"},
	{queued_bytes, "bytes that it queues"},
	{atoms, "atoms of a node, at most"},
	{processes, "processes of a node, at most"}]).
-define(ANSWER_MS, 30000).
%% At peace: a third must have a median.
-define(LEAST_SAMPLES, 6).

%% Looks at the daemon and these nodes until it is stopped. Who sees nothing fails, and with
%% it who has started this.
-spec start(pgmesh:daemon(), [beam_node:beam()], #{every_ms := pos_integer(), file := string()}) -> sampler().
start(Daemon, Beams, #{every_ms := EveryMs, file := File}) ->
	spawn_link(fun() ->
		{ok, Output} = file:open(File, [write]),
		ok = io:format(Output, "at_s\tat_peace~s~n", [[["\t", atom_to_list(Name)] || {Name, _} <- ?QUANTITIES]]),
		Started = now_ms(),
		loop(#{daemon => Daemon, beams => Beams, every_ms => EveryMs, output => Output,
			started => Started, due => Started, samples => []})
	end).

%% One more, now that nothing happens.
-spec at_peace(sampler()) -> ok.
at_peace(Sampler) ->
	ask(Sampler, at_peace).

%% As a line for people.
-spec latest(sampler()) -> iolist().
latest(Sampler) ->
	case ask(Sampler, samples) of
		[] -> "nothing seen yet";
		[#{at_s := At} = Last | _] ->
			io_lib:format("~.1f min:~s", [At / 60, [io_lib:format(" ~s ~s,", [Name, number(maps:get(Name, Last))])
				|| {Name, _} <- ?QUANTITIES]])
	end.

%% All samples, the oldest first.
-spec so_far(sampler()) -> [sample()].
so_far(Sampler) ->
	lists:reverse(ask(Sampler, samples)).

%% The same, with one more, and it ends.
-spec stop(sampler()) -> [sample()].
stop(Sampler) ->
	Samples = ask(Sampler, stop),
	lists:reverse(Samples).

%% A line for each quantity.
-spec table([sample()], bounds()) -> iolist().
table([], _) ->
	"nothing was seen";
table(Samples, Bounds) ->
	Head = ["", "start", "median", "maximum", "end", "per hour", "1st third", "last third", "may grow"],
	[line(Head) | [line([Title | figures(Quantity, Samples, Bounds)]) || {Quantity, Title} <- ?QUANTITIES]].

%% What has grown by more than it may, and from where to where.
-spec breaches([sample()], bounds()) -> [{quantity(), #{from := number(), to := number(), may := number()}}].
breaches(Samples, Bounds) ->
	true = length(at_peace_only(Samples)) >= ?LEAST_SAMPLES,
	[{Quantity, #{from => First, to => Last, may => Bound}} || {Quantity, Bound} <- maps:to_list(Bounds),
		{First, Last} <- [thirds(Quantity, Samples)], Last - First > Bound].

%% Sampling.

loop(#{due := Due, samples := Samples} = State) ->
	receive
		{samples, From} ->
			From ! {self(), Samples},
			loop(State);
		{at_peace, From} ->
			Looked = State#{samples := [look(true, State) | Samples]},
			From ! {self(), ok},
			loop(Looked);
		{stop, From} ->
			From ! {self(), [look(false, State) | Samples]}
	after max(0, Due - now_ms()) ->
		#{every_ms := EveryMs} = State,
		loop(State#{samples := [look(false, State) | Samples], due := max(Due + EveryMs, now_ms())})
	end.

look(AtPeace, #{daemon := Daemon, beams := Beams, started := Started, output := Output}) ->
	At = (now_ms() - Started) / 1000,
	Nodes = [counts_of(Beam) || Beam <- Beams],
	Sample = maps:merge(of_daemon(Daemon), #{at_s => At, at_peace => AtPeace,
		atoms => lists:max([Atoms || {Atoms, _} <- Nodes]),
		processes => lists:max([Processes || {_, Processes} <- Nodes])}),
	ok = io:format(Output, "~.1f\t~s~s~n", [At, AtPeace, [["\t", number(maps:get(Name, Sample))] || {Name, _} <- ?QUANTITIES]]),
	Sample.

of_daemon(Daemon) ->
	#{now := Megabytes} = pgmesh:memory(Daemon),
	#{descriptors := Descriptors, threads := Threads} = pgmesh:handles(Daemon),
	Series = scrape:series(Daemon),
	#{memory_mb => Megabytes, descriptors => Descriptors, threads => Threads,
		links => sum(<<"pgmesh_links{">>, Series),
		members => sum(<<"pgmesh_members{">>, Series),
		queued_bytes => maps:get(<<"pgmesh_queued_bytes">>, Series)}.

sum(Prefix, Series) ->
	Length = byte_size(Prefix),
	lists:sum([Value || {<<Start:Length/binary, _/binary>>, Value} <- maps:to_list(Series), Start =:= Prefix]).

counts_of(Beam) ->
	{beam_node:call(Beam, erlang, system_info, [atom_count]),
		beam_node:call(Beam, erlang, system_info, [process_count])}.

ask(Sampler, What) ->
	Monitor = monitor(process, Sampler),
	Sampler ! {What, self()},
	receive
		{Sampler, Answer} ->
			true = demonitor(Monitor, [flush]),
			Answer;
		{'DOWN', Monitor, process, Sampler, Reason} ->
			error({sampler_is_gone, Reason})
	after ?ANSWER_MS ->
		error(sampler_hangs)
	end.

%% Figures.

figures(Quantity, Samples, Bounds) ->
	Values = values(Quantity, Samples),
	{First, Last} = thirds(Quantity, Samples),
	[number(Figure) || Figure <- [hd(Values), links:median(Values), lists:max(Values), lists:last(Values),
		per_hour(Quantity, Samples), First, Last]] ++ [number(maps:get(Quantity, Bounds, none))].

values(Quantity, Samples) ->
	[maps:get(Quantity, Sample) || Sample <- Samples].

thirds(Quantity, Samples) ->
	thirds(values(Quantity, at_peace_only(Samples))).

thirds([]) ->
	{none, none};
thirds(Values) ->
	Third = max(1, length(Values) div 3),
	{links:median(lists:sublist(Values, Third)), links:median(lists:nthtail(length(Values) - Third, Values))}.

at_peace_only(Samples) ->
	[Sample || #{at_peace := true} = Sample <- Samples].

%% The slope of the line through the second half, by least squares.
per_hour(Quantity, Samples) ->
	Half = lists:nthtail(length(Samples) div 2, Samples),
	Points = [{At / 3600, maps:get(Quantity, Sample)} || #{at_s := At} = Sample <- Half],
	{MeanX, MeanY} = {mean([X || {X, _} <- Points]), mean([Y || {_, Y} <- Points])},
	case lists:sum([(X - MeanX) * (X - MeanX) || {X, _} <- Points]) of
		Spread when Spread > 0 -> lists:sum([(X - MeanX) * (Y - MeanY) || {X, Y} <- Points]) / Spread;
		_ -> 0
	end.

mean(Numbers) ->
	lists:sum(Numbers) / length(Numbers).

line([Title | Figures]) ->
	io_lib:format("~n        ~-30ts~s", [Title, [io_lib:format("~12s", [Figure]) || Figure <- Figures]]).

number(none) -> "-";
number(Text) when is_list(Text) -> Text;
number(Number) when is_integer(Number) -> integer_to_list(Number);
number(Number) when Number == trunc(Number) -> integer_to_list(trunc(Number));
number(Number) -> io_lib:format("~.1f", [Number]).

now_ms() ->
	erlang:monotonic_time(millisecond).
