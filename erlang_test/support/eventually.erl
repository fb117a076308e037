%% Waiting for a condition, with a bound, and the only place that sleeps.
%%
%% A test that sleeps for a guessed time is either slow or flaky; one that
%% polls is neither, and can say what it saw last when its patience ends.
-module(eventually).

-export([eventually/2, holds/2]).

-define(POLL_MS, 5).

%% Polls until the function returns true, and returns how long that took in
%% milliseconds. Any other value, or an exception, means "not yet"; the last
%% one is in the failure's reason.
-spec eventually(fun(() -> true | term()), non_neg_integer()) -> float().
eventually(Condition, TimeoutMs) ->
	Started = now_us(),
	poll(Condition, Started, Started + TimeoutMs * 1000).

poll(Condition, Started, Deadline) ->
	case evaluate(Condition) of
		true -> (now_us() - Started) / 1000;
		Last -> poll_again(Condition, Started, Deadline, Last)
	end.

poll_again(Condition, Started, Deadline, Last) ->
	case now_us() < Deadline of
		true ->
			pause(),
			poll(Condition, Started, Deadline);
		false ->
			error({not_within_ms, (Deadline - Started) div 1000, {last_value, Last}})
	end.

%% The opposite: the condition must be true each time it is looked at during
%% the whole duration. For "nothing happens", and for outages of a given length.
-spec holds(fun(() -> true | term()), non_neg_integer()) -> ok.
holds(Condition, DurationMs) ->
	Started = now_us(),
	watch(Condition, Started, Started + DurationMs * 1000).

watch(Condition, Started, End) ->
	case evaluate(Condition) of
		true -> watch_again(Condition, Started, End);
		Value -> error({held_only_ms, (now_us() - Started) div 1000, {value, Value}})
	end.

watch_again(Condition, Started, End) ->
	case now_us() < End of
		true ->
			pause(),
			watch(Condition, Started, End);
		false ->
			ok
	end.

evaluate(Condition) ->
	try
		Condition()
	catch Class:Reason:Stack ->
		{Class, Reason, lists:sublist(Stack, 2)}
	end.

pause() ->
	timer:sleep(?POLL_MS).

now_us() ->
	erlang:monotonic_time(microsecond).
