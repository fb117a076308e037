%% Drives what the benchmark `links` compares. Runs on a BEAM node of its own and
%% does not know which library it speaks to.
%%
%% Every target is a hidden node with a process `bench`, to which one sends
%%
%%   {ping, Pid, Ref}               answered by {pong, Ref}
%%   {sink, Pid, Every}             by {sink_ready, Every}, and from then on binaries;
%%                                  after each Every of them Pid gets {ack, Count}
%%   {source, Pid, Ref, Count, Size}  by as many binaries of that size and
%%                                  {source_done, Ref}
%%   {dial, Pid, Ref, Node, N}      by {done, Ref, M} after N links to Node were opened
%%                                  and closed, M of them with success
%%   {rpc, Pid, Ref, N}             by {done, Ref, M} after N calls of erlang:nodes()
%%                                  on Pid's node, one after another
%%   {rpc, Pid, Ref, N, AtOnce}     the same, so many of them at a time
-module(links_driver).

-export([measure/4, answers/1]).

-export_type([work/0, outcome/0]).

-type work() :: {echo, InFlight :: pos_integer()}
	| {in | out, Size :: pos_integer(), Batch :: pos_integer()}
	| be_dialled
	| {dial_out, Node :: node()}
	| {rpc, AtOnce :: pos_integer()}.
%% What was done in which time, what failed meanwhile, and which share of this node's
%% schedulers was at work.
-type outcome() :: #{done := non_neg_integer(), failed := non_neg_integer(), us := pos_integer(),
	busy := float(), cores_busy := float()}.

-define(ANSWER_MS, 8000).
-define(GONE_MS, 5000).
%% Batches that a target may leave unacknowledged.
-define(WINDOW, 4).
-define(DIALS, 20).
-define(CALLS, 256).
%% So that the clock is not read for every echo.
-define(LOOK_AT_CLOCK, 16).

%% Does the work for that long. In a process of its own: what comes too late comes
%% to nobody.
-spec measure(node(), work(), pos_integer(), timeout()) -> {ok, outcome()} | {failed, term()}.
measure(Node, Work, Ms, TimeoutMs) ->
	{Worker, Monitor} = spawn_monitor(fun() -> exit({measured, watched(Node, Work, Ms)}) end),
	receive
		{'DOWN', Monitor, process, Worker, {measured, Outcome}} -> {ok, Outcome};
		{'DOWN', Monitor, process, Worker, Reason} -> {failed, Reason}
	after TimeoutMs ->
		exit(Worker, kill),
		{failed, takes_too_long}
	end.

-spec answers(node()) -> boolean().
answers(Node) ->
	Ref = make_ref(),
	{bench, Node} ! {ping, self(), Ref},
	receive {pong, Ref} -> true after 200 -> false end.

watched(Node, Work, Ms) ->
	_ = erlang:system_flag(scheduler_wall_time, true),
	{Before, CoresBefore} = {erlang:statistics(scheduler_wall_time), proc_figures:core_ticks()},
	Started = now_us(),
	{Done, Failed} = work(Work, {bench, Node}, Started + Ms * 1000),
	Us = now_us() - Started,
	#{done => Done, failed => Failed, us => Us, busy => busy(Before, erlang:statistics(scheduler_wall_time)),
		cores_busy => cores_busy(CoresBefore, proc_figures:core_ticks())}.

%% Dirty schedulers have the higher numbers, and nothing to do here.
busy(Before, After) ->
	Schedulers = erlang:system_info(schedulers),
	Shares = [{A1 - A0, T1 - T0} || {{Id, A0, T0}, {Id, A1, T1}}
		<- lists:zip(lists:sort(Before), lists:sort(After)), Id =< Schedulers],
	{Active, Total} = lists:unzip(Shares),
	lists:sum(Active) / max(1, lists:sum(Total)).

cores_busy({Active0, Total0}, {Active1, Total1}) ->
	(Active1 - Active0) / max(1, Total1 - Total0).

work({echo, InFlight}, To, End) ->
	_ = [ping(To) || _ <- lists:seq(1, InFlight)],
	Done = echo(To, End, 1),
	_ = [await_pong() || _ <- lists:seq(2, InFlight)],
	{Done + InFlight - 1, 0};
work({in, Size, Batch}, To, End) ->
	To ! {sink, self(), Batch},
	receive {sink_ready, Batch} -> ok after ?ANSWER_MS -> exit(no_sink) end,
	{Batch * pour(To, binary:copy(<<"x">>, Size), Batch, End, 0, 0), 0};
work({out, Size, Batch}, To, End) ->
	{Batch * fill(To, Size, Batch, End, 0), 0};
work(be_dialled, {_, Node} = To, End) ->
	ok = unlink_node(Node),
	Outcome = dial(Node, End, 0, 0),
	_ = [exit(deaf_after_dials) || not answers_within(To, ?ANSWER_MS)],
	Outcome;
work({dial_out, Node}, To, End) ->
	batches(To, fun(Ref) -> {dial, self(), Ref, Node, ?DIALS} end, ?DIALS, End, 0, 0);
work({rpc, 1}, To, End) ->
	batches(To, fun(Ref) -> {rpc, self(), Ref, ?CALLS} end, ?CALLS, End, 0, 0);
work({rpc, AtOnce}, To, End) ->
	Calls = ?CALLS * 8,
	batches(To, fun(Ref) -> {rpc, self(), Ref, Calls, AtOnce} end, Calls, End, 0, 0).

ping(To) ->
	To ! {ping, self(), make_ref()}.

await_pong() ->
	receive {pong, _} -> ok after ?ANSWER_MS -> exit(no_pong) end.

echo(To, End, Done) ->
	ok = await_pong(),
	case Done rem ?LOOK_AT_CLOCK =:= 0 andalso now_us() >= End of
		true ->
			Done;
		false ->
			ping(To),
			echo(To, End, Done + 1)
	end.

%% Returns how many batches went in and were acknowledged.
pour(To, Drop, Batch, End, Sent, Acked) when Sent - Acked < ?WINDOW ->
	case now_us() < End of
		true ->
			send_each(To, Drop, Batch),
			pour(To, Drop, Batch, End, Sent + 1, Acked);
		false when Acked < Sent ->
			pour(To, Drop, Batch, End, Sent, await_ack(Batch, Acked));
		false ->
			Sent
	end;
pour(To, Drop, Batch, End, Sent, Acked) ->
	pour(To, Drop, Batch, End, Sent, await_ack(Batch, Acked)).

send_each(_, _, 0) ->
	ok;
send_each(To, Drop, Count) ->
	To ! Drop,
	send_each(To, Drop, Count - 1).

await_ack(Batch, Acked) ->
	Count = (Acked + 1) * Batch,
	receive {ack, Count} -> Acked + 1 after ?ANSWER_MS -> exit({no_ack, Count}) end.

%% One batch at a time; returns how many came out.
fill(To, Size, Batch, End, Done) ->
	Ref = make_ref(),
	To ! {source, self(), Ref, Batch, Size},
	ok = await_drops(Size, Batch),
	receive {source_done, Ref} -> ok after ?ANSWER_MS -> exit(no_source_done) end,
	case now_us() < End of
		true -> fill(To, Size, Batch, End, Done + 1);
		false -> Done + 1
	end.

await_drops(_, 0) ->
	ok;
await_drops(Size, Count) ->
	receive
		Drop when byte_size(Drop) =:= Size -> await_drops(Size, Count - 1)
	after ?ANSWER_MS ->
		exit({drops_missing, Count})
	end.

%% Instantly again after each link, and after each failure.
dial(Node, End, Done, Failed) ->
	case now_us() < End of
		true ->
			case net_kernel:connect_node(Node) of
				true ->
					ok = unlink_node(Node),
					dial(Node, End, Done + 1, Failed);
				_ ->
					dial(Node, End, Done, Failed + 1)
			end;
		false ->
			{Done, Failed}
	end.

unlink_node(Node) ->
	case lists:member(Node, nodes(connected)) of
		true ->
			true = monitor_node(Node, true),
			_ = erlang:disconnect_node(Node),
			receive {nodedown, Node} -> ok after ?GONE_MS -> exit(no_nodedown) end;
		false ->
			ok
	end.

answers_within({_, Node}, Ms) ->
	lists:any(fun(_) -> answers(Node) end, lists:seq(1, Ms div 200)).

%% What the target does by itself, as often as it is asked to.
batches(To, Request, Each, End, Done, Failed) ->
	Ref = make_ref(),
	To ! Request(Ref),
	Succeeded = receive
		{done, Ref, Count} -> Count;
		{unsupported, Ref} -> exit(unsupported)
	after 4 * ?ANSWER_MS ->
		exit(not_done)
	end,
	case now_us() < End of
		true -> batches(To, Request, Each, End, Done + Succeeded, Failed + Each - Succeeded);
		false -> {Done + Succeeded, Failed + Each - Succeeded}
	end.

now_us() ->
	erlang:monotonic_time(microsecond).
