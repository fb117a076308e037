%% A BEAM as what the benchmark `links` speaks to; the protocol is in links_driver.erl.
%%
%%     erl -hidden -name NAME@HOST … -run beam_target start
-module(beam_target).

-export([start/0]).

-spec start() -> true.
start() ->
	register(bench, spawn(fun() -> serve(no_sink, 1, 0) end)).

serve(Sink, Every, Count) ->
	receive
		Drop when is_binary(Drop), (Count + 1) rem Every =/= 0 ->
			serve(Sink, Every, Count + 1);
		Drop when is_binary(Drop) ->
			Sink ! {ack, Count + 1},
			serve(Sink, Every, Count + 1);
		{sink, Pid, NewEvery} ->
			Pid ! {sink_ready, NewEvery},
			serve(Pid, NewEvery, 0);
		Question ->
			answer(Question),
			serve(Sink, Every, Count)
	end.

answer({ping, Pid, Ref}) ->
	Pid ! {pong, Ref};
answer({source, Pid, Ref, Count, Size}) ->
	pour(Pid, binary:copy(<<"y">>, Size), Count),
	Pid ! {source_done, Ref};
answer({dial, Pid, Ref, Node, Count}) ->
	Pid ! {done, Ref, dial(Node, Count, 0)};
answer({rpc, Pid, Ref, Count}) ->
	Pid ! {done, Ref, call(node(Pid), Count, 0)};
answer({rpc, Pid, Ref, Count, AtOnce}) ->
	Pid ! {done, Ref, call_at_once(node(Pid), Count, AtOnce)}.

pour(_, _, 0) ->
	ok;
pour(Pid, Drop, Count) ->
	Pid ! Drop,
	pour(Pid, Drop, Count - 1).

dial(_, 0, Succeeded) ->
	Succeeded;
dial(Node, Count, Succeeded) ->
	case net_kernel:connect_node(Node) of
		true ->
			true = monitor_node(Node, true),
			_ = erlang:disconnect_node(Node),
			receive {nodedown, Node} -> ok end,
			dial(Node, Count - 1, Succeeded + 1);
		_ ->
			dial(Node, Count - 1, Succeeded)
	end.

call(_, 0, Succeeded) ->
	Succeeded;
call(Node, Count, Succeeded) ->
	true = is_list(erpc:call(Node, erlang, nodes, [])),
	call(Node, Count - 1, Succeeded + 1).

%% As many callers as calls at once: that is how a BEAM has several.
call_at_once(Node, Count, AtOnce) ->
	Callers = [spawn_monitor(fun() -> exit({called, call(Node, Each, 0)}) end)
		|| Each <- shares(Count, AtOnce)],
	lists:sum([receive
			{'DOWN', Monitor, process, Pid, {called, Succeeded}} -> Succeeded;
			{'DOWN', Monitor, process, Pid, _} -> 0
		end || {Pid, Monitor} <- Callers]).

shares(Count, Parts) ->
	[Count div Parts + min(1, max(0, Count rem Parts - Part)) || Part <- lists:seq(0, Parts - 1)].
