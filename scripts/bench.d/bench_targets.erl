%% What pgmesh wants to reach, and whether a run says that it does. The verdict comes
%% from the values and from nothing else.
-module(bench_targets).

-export([rows/1]).

-export_type([row/0]).

%% met is unknown where the run has not measured it.
-type row() :: #{work := string(), target := iodata(), reached := iodata(), met := boolean() | unknown}.

-type condition() ::
	{ratio, bench_values:metric(), Other :: atom(), at_most | at_least, number()}
	%% Of one metric to another one of somebody else.
	| {crossed, bench_values:metric(), bench_values:metric(), Other :: atom(), at_most | at_least, number()}
	| {value, bench_values:metric(), at_most | at_least | below, number()}
	| {value, bench_values:metric(), Contender :: atom(), at_most | at_least | below, number()}
	%% How somebody must be, for the comparison to mean something.
	| {within, bench_values:metric(), Other :: atom(), number(), number()}
	| {none, bench_values:metric()}
	| {measured, bench_values:metric()}
	| {either | both, condition(), condition()}.

%% From a node's NOTIFY to the link, as a cluster of BEAM nodes has it that find each
%% other by Postgres, and how far from that one may be who stands for such a node here.
-define(BEAMS_JOIN_MS, 4.2).
-define(NEARLY, 0.25).

-spec rows(bench_values:values()) -> [row()].
rows(Values) ->
	[row(Values, Target) || Target <- targets()].

row(Values, {Work, Condition}) ->
	{Reached, Met} = judge(Values, Condition),
	#{work => Work, target => say(Condition), reached => Reached, met => Met}.

-spec targets() -> [{string(), condition()}].
targets() ->
	library() ++ programs().

library() ->
	[{"echo, CPU for a round trip", to_ei(echo1_cpu, at_most, 1)},
	{"echo, CPU beside a BEAM", to_beam(echo1_cpu, at_most, 0.5)},
	{"echo, round trips/s with 1 in flight", to_beam(echo1, at_least, 1.3)},
	{"echo, round trips/s with 64 in flight", to_beam(echo64, at_least, 1.2)},
	{"100 B in, CPU each", to_ei(in_100b_cpu, at_most, 0.5)},
	{"64 KiB in, CPU each", to_ei(in_64kib_cpu, at_most, 1)},
	{"1 MiB in, CPU each", to_ei(in_1mib_cpu, at_most, 1)},
	{"64 KiB out, CPU each", to_ei(out_64kib_cpu, at_most, 1)},
	{"1 MiB out, CPU each", to_ei(out_1mib_cpu, at_most, 1)},
	{"dial out, CPU each", to_ei(dial_out_cpu, at_most, 1)},
	{"dial out, failed without a pause between", {none, {links, dial_out_failed}}},
	{"be dialled, CPU each", to_ei(be_dialled_cpu, at_most, 1)},
	{"be dialled, failed without a pause between", {none, {links, be_dialled_failed}}},
	{"erlang:nodes(), CPU for a call", to_ei(rpc1_cpu, at_most, 1)},
	{"erlang:nodes(), calls/s with 64 in flight, beside one at a time",
		{crossed, {links, rpc64}, {links, rpc1}, ei, at_least, 2}},
	{"erlang:nodes(), calls/s with 64 in flight, beside the same",
		{either, to_ei(rpc64, at_least, 2), {value, {links, rpc64_driver_busy}, at_least, 0.9}}}].

programs() ->
	[{"pgmesh rpc, one call", {ratio, {cli, wall}, erl_call, at_most, 1.5}},
	{"pgmesh rpc, CPU for it", {ratio, {cli, cpu}, erl_call, at_most, 1.5}},
	{"memory, nothing linked", {value, {memory, links_0}, below, 6}},
	{"memory, 50 nodes linked", {value, {memory, links_50}, below, 10}},
	{"memory, 1,000 nodes linked", {value, {memory, links_1000}, below, 40}},
	{"memory over TLS, nothing linked", {value, {memory, links_0}, pgmesh_tls, below, 12}},
	{"memory over TLS, 50 nodes linked", {value, {memory, links_50}, pgmesh_tls, below, 16}},
	{"CPU in a minute idle, 50 nodes linked", {value, {idle, cpu_ms}, at_most, 60}},
	{"start to its name in EPMD", {value, {start, registered_ms}, below, 10}},
	{"start to being in a mesh of 5", {value, {start, meshed_ms}, below, 100}},
	{"NOTIFY to the link", {both, {ratio, {join, linked_ms}, beam, at_most, 0.5},
		{within, {join, linked_ms}, beam, ?BEAMS_JOIN_MS * (1 - ?NEARLY), ?BEAMS_JOIN_MS * (1 + ?NEARLY)}}},
	{"1,000 nodes in one program: all linked", {value, {crowd, all_linked_ms}, below, 3000}},
	{"1,000 nodes in one program: all audited", {value, {crowd, all_audited_ms}, below, 1000}},
	{"1,000 nodes on 100 hosts, simulated", {measured, {simulator, 'linked_after, virtual_s'}}}].

to_ei(Metric, Direction, Bound) ->
	{ratio, {links, Metric}, ei, Direction, Bound}.

to_beam(Metric, Direction, Bound) ->
	{ratio, {links, Metric}, beam, Direction, Bound}.

%% In words.

say({ratio, _, Other, Direction, Bound}) ->
	[words(Direction), " ", number(Bound), " × ", bench_text:contender_of(Other)];
say({crossed, _, _, Other, Direction, Bound}) ->
	[words(Direction), " ", number(Bound), " × ", bench_text:contender_of(Other)];
say({value, Metric, Direction, Bound}) ->
	[words(Direction), " ", bench_text:value(Metric, Bound)];
say({value, Metric, _, Direction, Bound}) ->
	say({value, Metric, Direction, Bound});
say({within, Metric, Other, Least, Most}) ->
	[bench_text:contender_of(Other), " own from ", bench_text:value(Metric, Least), " to ",
		bench_text:value(Metric, Most)];
say({none, _}) ->
	"none";
say({measured, _}) ->
	"converges";
say({either, One, {value, {links, rpc64_driver_busy}, _, _} = Busy}) ->
	[say(One), ", or the BEAM's schedulers at work for ", say(Busy)];
say({either, One, Other}) ->
	[say(One), ", or ", say(Other)];
say({both, One, Other}) ->
	[say(One), ", with ", say(Other)].

words(at_most) -> "at most";
words(at_least) -> "at least";
words(below) -> "under".

number(Number) -> bench_text:number(Number).

%% From the values.

judge(Values, {ratio, Metric, Other, Direction, Bound}) ->
	judge_ratio(bench_values:ratio(Values, Metric, pgmesh, Other), Other, Direction, Bound);
judge(Values, {crossed, Metric, OtherMetric, Other, Direction, Bound}) ->
	judge_ratio(bench_values:ratio(Values, Metric, pgmesh, OtherMetric, Other), Other, Direction, Bound);
judge(Values, {value, Metric, Direction, Bound}) ->
	judge(Values, {value, Metric, pgmesh, Direction, Bound});
judge(Values, {value, Metric, Contender, Direction, Bound}) ->
	judge_value(bench_values:summary(Values, Metric, Contender), Metric,
		fun(Median) -> holds(Direction, Median, Bound) end);
judge(Values, {within, Metric, Other, Least, Most}) ->
	{Reached, Met} = judge_value(bench_values:summary(Values, Metric, Other), Metric,
		fun(Median) -> Median >= Least andalso Median =< Most end),
	{[bench_text:contender_of(Other), " own ", Reached], Met};
judge(Values, {measured, Metric}) ->
	judge_value(bench_values:summary(Values, Metric, pgmesh), Metric, fun(_) -> true end);
judge(Values, {none, Metric}) ->
	case bench_values:samples(Values, Metric, pgmesh) of
		[] -> unknown();
		Counts -> {io_lib:format("~b in ~b rounds", [lists:sum(Counts), length(Counts)]), lists:sum(Counts) =:= 0}
	end;
judge(Values, {Both, One, Other}) ->
	{Reached, Met} = judge(Values, One),
	{OtherReached, OtherMet} = judge(Values, Other),
	{[Reached, "; ", OtherReached], combine(Both, Met, OtherMet)}.

combine(_, unknown, _) -> unknown;
combine(_, _, unknown) -> unknown;
combine(either, One, Other) -> One orelse Other;
combine(both, One, Other) -> One andalso Other.

judge_ratio(none, _, _, _) ->
	unknown();
judge_ratio(#{median := Median, count := 1}, Other, Direction, Bound) ->
	{[number(Median), " × ", bench_text:contender_of(Other)], holds(Direction, Median, Bound)};
judge_ratio(#{median := Median, min := Min, max := Max}, Other, Direction, Bound) ->
	{io_lib:format("~ts × ~ts (~ts–~ts)", [number(Median), bench_text:contender_of(Other), number(Min), number(Max)]),
		holds(Direction, Median, Bound)}.

judge_value(none, _, _) ->
	unknown();
judge_value(#{median := Median}, Metric, Holds) ->
	{bench_text:value(Metric, Median), Holds(Median)}.

unknown() ->
	{"not measured", unknown}.

holds(at_most, Value, Bound) -> Value =< Bound;
holds(at_least, Value, Bound) -> Value >= Bound;
holds(below, Value, Bound) -> Value < Bound.
