%% What was measured, for the report: one place, in a file that a person can read.
%%
%% Each is a term of its own, as file:consult/1 reads it, in the file that
%% BENCH_RESULTS names; without one nobody asked for a report. Several programs
%% write there one after another.
-module(bench_results).

-export([note/4, note/5, note_rounds/4, fact/2, read/1]).

-export_type([result/0, value/0]).

-type value() :: number() | failed.
%% The round says which values were measured side by side.
-type result() :: {value, Benchmark :: atom(), Metric :: atom(), Contender :: atom(),
		Round :: non_neg_integer(), value()}
	| {fact, Key :: atom(), binary()}.

%% One of several values, the rounds of which do not matter.
-spec note(atom(), atom(), atom(), value()) -> ok.
note(Benchmark, Metric, Contender, Value) ->
	note(Benchmark, Metric, Contender, 0, Value).

-spec note(atom(), atom(), atom(), non_neg_integer(), value()) -> ok.
note(Benchmark, Metric, Contender, Round, Value) ->
	append({value, Benchmark, Metric, Contender, Round, Value}).

%% One of each round, from the first on; of what was measured side by side the rounds
%% are the same for all.
-spec note_rounds(atom(), atom(), atom(), [value()]) -> ok.
note_rounds(Benchmark, Metric, Contender, Values) ->
	_ = [ok = note(Benchmark, Metric, Contender, Round, Value)
		|| {Round, Value} <- lists:zip(lists:seq(1, length(Values)), Values)],
	ok.

%% What is no figure: the machine, a version, a remark. The last of a key holds.
-spec fact(atom(), unicode:chardata()) -> ok.
fact(Key, Text) ->
	append({fact, Key, unicode:characters_to_binary(Text)}).

-spec read(file:name_all()) -> [result()].
read(File) ->
	{ok, Results} = file:consult(File),
	Results.

append(Result) ->
	case os:getenv("BENCH_RESULTS") of
		false -> ok;
		File -> file:write_file(File, io_lib:format("~0tp.~n", [Result]), [append])
	end.
