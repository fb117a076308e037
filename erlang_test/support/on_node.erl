%% Runs a function of a test on a node, in a process of its own and within a
%% time limit, so that a call that hangs is an outcome and not the test's end.
%%
%% The function travels as a fun: the suites' modules are on every node's code
%% path. It has an empty mailbox, and nobody minds what it links itself to.
-module(on_node).

-export([attempt/2, attempt/3]).
-export([bounded/2]).

-export_type([outcome/0]).

-type outcome() :: {value, term()}          %% it returned this
	| {raised, error | exit | throw, term()}
	| {died, term()}                        %% an exit signal ended it
	| hangs.

-define(LIMIT_MS, 5000).
-define(SLACK_MS, 15000).

-spec attempt(beam_node:beam(), fun(() -> term())) -> {outcome(), Ms :: float()}.
attempt(Beam, Function) ->
	attempt(Beam, Function, ?LIMIT_MS).

-spec attempt(beam_node:beam(), fun(() -> term()), pos_integer()) -> {outcome(), Ms :: float()}.
attempt(Beam, Function, LimitMs) ->
	beam_node:call(Beam, ?MODULE, bounded, [Function, LimitMs], LimitMs + ?SLACK_MS).

%% The same, on the node itself.
-spec bounded(fun(() -> term()), pos_integer()) -> {outcome(), Ms :: float()}.
bounded(Function, LimitMs) ->
	Started = erlang:monotonic_time(microsecond),
	{Pid, Monitor} = spawn_monitor(fun() -> exit({?MODULE, evaluate(Function)}) end),
	Outcome = receive
		{'DOWN', Monitor, process, Pid, {?MODULE, Evaluated}} -> Evaluated;
		{'DOWN', Monitor, process, Pid, Reason} -> {died, Reason}
	after LimitMs ->
		exit(Pid, kill),
		hangs
	end,
	{Outcome, (erlang:monotonic_time(microsecond) - Started) / 1000}.

evaluate(Function) ->
	try
		{value, Function()}
	catch Class:Reason ->
		{raised, Class, Reason}
	end.
