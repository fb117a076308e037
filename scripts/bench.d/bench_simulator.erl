%% Takes what the simulated mesh prints at scale into the values: lines of
%% `name value unit`, others are for people.
-module(bench_simulator).

-export([main/1]).

-spec main([string()]) -> no_return().
main([File]) ->
	{ok, Text} = file:read_file(File),
	_ = [note(string:lexemes(Line, " ")) || Line <- string:lexemes(binary_to_list(Text), "\n")],
	halt(0).

note([Name, Value | Unit]) ->
	case number(Value) of
		not_a_number -> ok;
		Number -> bench_results:note(simulator, with_unit(Name, Unit), pgmesh, Number)
	end;
note(_) ->
	ok.

with_unit(Name, Unit) ->
	list_to_atom(lists:flatten(lists:join(" ", [Name ++ [$, || Unit =/= []] | Unit]))).

number(Text) ->
	case {string:to_float(Text), string:to_integer(Text)} of
		{{Float, ""}, _} -> Float;
		{_, {Integer, ""}} -> Integer;
		_ -> not_a_number
	end.
