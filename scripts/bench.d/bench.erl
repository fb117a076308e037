%% Runs the benchmarks that are named, one after another, each in a lab of its
%% own, and ends the VM: with 1 if one of them could not be carried out. No
%% figure is asserted, for it depends on the machine and on who else uses it.
%%
%% The lab, the nodes and the waiting are those of erlang_test/support.
-module(bench).

-export([main/1]).

-spec main([string()]) -> no_return().
main(Names) ->
	Failed = [Name || Name <- Names, not carried_out(Name)],
	halt(case Failed of [] -> 0; _ -> 1 end).

carried_out(Name) ->
	Config = lab:open([{priv_dir, os:getenv("BENCH_LOGS")}]),
	try (list_to_atom("bench_" ++ Name)):run(lab:from(Config)) of
		ok -> true
	catch Class:Reason:Stack ->
		io:format("~s: could not be measured~n~p~n", [Name, {Class, Reason, Stack}]),
		false
	after
		lab:close(Config)
	end.
