%% The values of a run, to be asked for: what the report is made of.
-module(bench_values).

-export([load/1, fact/2, benchmarks/1, metrics/2, contenders/2, samples/3, failures/3]).
-export([summary/3, ratio/4, ratio/5]).

-export_type([values/0, metric/0, summary/0]).

-type metric() :: {Benchmark :: atom(), Metric :: atom()}.
-opaque values() :: #{values := [{metric(), atom(), non_neg_integer(), bench_results:value()}],
	facts := #{atom() => binary()}}.
-type summary() :: #{median := float(), min := number(), max := number(), count := pos_integer()}.

%% Ours first; others after these.
-define(ORDER, [pgmesh, pgmesh_tls, pgmesh_shared, pgmesh_shared_tls, ei, erl_call, jinterface, beam, beam_tls, otp]).


-spec load(file:name_all()) -> values().
load(File) ->
	Results = bench_results:read(File),
	#{values => [{{Benchmark, Metric}, Contender, Round, Value}
			|| {value, Benchmark, Metric, Contender, Round, Value} <- Results],
		facts => maps:from_list([{Key, Text} || {fact, Key, Text} <- Results])}.

-spec fact(values(), atom()) -> binary().
fact(#{facts := Facts}, Key) ->
	maps:get(Key, Facts, <<"unknown">>).

-spec benchmarks(values()) -> [atom()].
benchmarks(#{values := Values}) ->
	lists:uniq([Benchmark || {{Benchmark, _}, _, _, _} <- Values]).

%% In the order in which they were measured.
-spec metrics(values(), atom()) -> [atom()].
metrics(#{values := Values}, Benchmark) ->
	lists:uniq([Metric || {{Of, Metric}, _, _, _} <- Values, Of =:= Benchmark]).

-spec contenders(values(), [metric()]) -> [atom()].
contenders(#{values := Values}, Metrics) ->
	There = lists:uniq([Contender || {Metric, Contender, _, _} <- Values, lists:member(Metric, Metrics)]),
	[Contender || Contender <- ?ORDER, lists:member(Contender, There)] ++ (There -- ?ORDER).

-spec samples(values(), metric(), atom()) -> [number()].
samples(Values, Metric, Contender) ->
	[Value || {_, Value} <- measured(Values, Metric, Contender)].

%% How many rounds had no value.
-spec failures(values(), metric(), atom()) -> non_neg_integer().
failures(#{values := Values}, Metric, Contender) ->
	length([failed || {M, C, _, failed} <- Values, M =:= Metric, C =:= Contender]).

-spec summary(values(), metric(), atom()) -> summary() | none.
summary(Values, Metric, Contender) ->
	summary_of(samples(Values, Metric, Contender)).

%% Of the ratios of each round, which spare what disturbs a whole round; where
%% rounds mean nothing, of the medians.
-spec ratio(values(), metric(), atom(), atom()) -> summary() | none.
ratio(Values, Metric, Contender, Other) ->
	ratio(Values, Metric, Contender, Metric, Other).

%% To another metric of the other one.
-spec ratio(values(), metric(), atom(), metric(), atom()) -> summary() | none.
ratio(Values, Metric, Contender, OtherMetric, Other) ->
	Ours = measured(Values, Metric, Contender),
	Theirs = measured(Values, OtherMetric, Other),
	case has_rounds(Ours) andalso has_rounds(Theirs) of
		true -> summary_of([Value / Beside || {Round, Value} <- Ours, {R, Beside} <- Theirs, R =:= Round, Beside > 0]);
		false -> ratio_of_medians(summary_of([V || {_, V} <- Ours]), summary_of([V || {_, V} <- Theirs]))
	end.

ratio_of_medians(#{median := Ours}, #{median := Theirs}) when Theirs > 0 -> summary_of([Ours / Theirs]);
ratio_of_medians(_, _) -> none.

has_rounds(Measured) ->
	Rounds = [Round || {Round, _} <- Measured],
	Rounds =:= lists:uniq(Rounds).

measured(#{values := Values}, Metric, Contender) ->
	[{Round, Value} || {M, C, Round, Value} <- Values, M =:= Metric, C =:= Contender, is_number(Value)].

summary_of([]) ->
	none;
summary_of(Samples) ->
	#{median => bench_table:median(Samples), min => lists:min(Samples), max => lists:max(Samples),
		count => length(Samples)}.
