%% How many NOTIFYs a Postgres delivers to more and more listeners of one channel, and
%% what they cost it: `scripts/bench.d/notify` starts one for it.
%%
%% Listeners and senders are sessions of this VM, on the same cores as Postgres: the rates
%% are those of all together, the CPU is that of Postgres alone.
-module(bench_notify).

-export([main/1]).

-define(CHANNEL, "cluster").
-define(LISTENERS, [1, 10, 100, 300]).
%% At one time; more of them wait for each other's commits.
-define(SENDERS, 4).
-define(MEASURED_MS, 5000).
%% What a thousand nodes say that say their names every five seconds.
-define(STEADY_PER_S, 200).
-define(HEARD_MS, 30000).

-spec main([string()]) -> no_return().
main([Port]) ->
	Postgres = #{host => "127.0.0.1", port => list_to_integer(Port), user => "postgres", database => "postgres"},
	io:format("  ~9s ~10s ~12s ~18s ~22s~n",
		["listeners", "NOTIFY/s", "deliveries/s", "CPU of each, us", "of a core at 200/s, %"]),
	_ = [ok = measure(Count, Postgres) || Count <- ?LISTENERS],
	halt(0).

measure(Count, Postgres) ->
	Heard = counters:new(1, [write_concurrency]),
	Listeners = [start_listener(Heard, Postgres) || _ <- lists:seq(1, Count)],
	Clock = cpu_clock:start(),
	Pids = os_pids(Postgres),
	{Said, FlatOutMs, FlatOutUs} = timed(Clock, Pids, fun() -> flat_out(Postgres) end),
	ok = await_heard(Said * Count, Heard),
	{Steady, SteadyMs, SteadyUs} = timed(Clock, Pids, fun() -> steady(Postgres) end),
	ok = await_heard((Said + Steady) * Count, Heard),
	_ = [exit(Listener, kill) || Listener <- Listeners],
	io:format("  ~9b ~10b ~12b ~18.1f ~22s~n", [Count, round(1000 * Said / FlatOutMs),
		round(1000 * Said * Count / FlatOutMs), FlatOutUs / Said, steady_share(SteadyMs, SteadyUs)]).

%% Of one core; a rate that was not reached has none.
steady_share(Ms, _) when Ms > 1.1 * ?MEASURED_MS -> "not reached";
steady_share(Ms, Us) -> io_lib:format("~.1f", [Us / Ms / 10]).

%% What a function returns, how long it took, and the CPU that Postgres took meanwhile:
%% that of the processes that were there before, and of the senders' own.
timed(Clock, Pids, Function) ->
	Before = cpu_us(Clock, Pids),
	Started = erlang:monotonic_time(microsecond),
	{Count, SendersUs} = Function(),
	Ms = (erlang:monotonic_time(microsecond) - Started) / 1000,
	{Count, Ms, cpu_us(Clock, Pids) - Before + SendersUs}.

cpu_us(Clock, Pids) ->
	lists:sum([cpu_clock:us(Clock, Pid) || Pid <- Pids]).

%% Senders.

flat_out(Postgres) ->
	Until = erlang:monotonic_time(millisecond) + ?MEASURED_MS,
	sum(together([fun() -> send_until(Until, 0, Session) end || Session <- sessions(?SENDERS, Postgres)])).

send_until(Until, Count, Session) ->
	case erlang:monotonic_time(millisecond) < Until of
		true -> send_until(Until, Count + 1, notify(Count, Session));
		false -> {Count, Session}
	end.

steady(Postgres) ->
	Count = ?STEADY_PER_S * ?MEASURED_MS div 1000,
	Started = erlang:monotonic_time(millisecond),
	[Session] = sessions(1, Postgres),
	Send = fun() -> {Count, send_steadily(Started, 0, Count, Session)} end,
	sum(together([Send])).

send_steadily(_, Count, Count, Session) ->
	Session;
send_steadily(Started, Number, Count, Session) ->
	Due = Started + 1000 * Number div ?STEADY_PER_S,
	receive after max(0, Due - erlang:monotonic_time(millisecond)) -> ok end,
	send_steadily(Started, Number + 1, Count, notify(Number, Session)).

notify(Number, Session) ->
	Payload = ["n", integer_to_list(Number rem 1000), "@10.0.0.1"],
	{ok, _, After} = pg_session:query(pg_session:notify_statement(?CHANNEL, Payload), Session),
	After.

%% Each in a process of its own, with a clock that reads its backend's CPU at the end.
together(Sends) ->
	Owner = self(),
	Senders = [spawn_monitor(fun() -> Owner ! {self(), said(Send)} end) || Send <- Sends],
	[receive {Pid, Said} -> erlang:demonitor(Ref, [flush]), Said; {'DOWN', Ref, _, _, Why} -> error(Why) end
		|| {Pid, Ref} <- Senders].

said(Send) ->
	{Count, Session} = Send(),
	{ok, [[Pid]], After} = pg_session:query("SELECT pg_backend_pid()", Session),
	Us = cpu_clock:us(cpu_clock:start(), binary_to_integer(Pid)),
	ok = pg_session:close(After),
	{Count, Us}.

sum(Said) ->
	{Counts, Us} = lists:unzip(Said),
	{lists:sum(Counts), lists:sum(Us)}.

sessions(Count, Postgres) ->
	[begin {ok, Session} = pg_session:connect(Postgres), Session end || _ <- lists:seq(1, Count)].

%% Listeners.

start_listener(Heard, Postgres) ->
	Owner = self(),
	Listener = spawn_link(fun() ->
		[Session] = sessions(1, Postgres),
		{ok, _, Listening} = pg_session:query(pg_session:listen_statement(?CHANNEL), Session),
		Owner ! {self(), listens},
		ok = pg_session:listen_actively(Listening),
		listen(Heard, Listening)
	end),
	receive {Listener, listens} -> true = unlink(Listener), Listener end.

listen(Heard, Session) ->
	receive
		{tcp, _, Data} ->
			{Payloads, Listening} = pg_session:take_notifications(Data, Session),
			ok = counters:add(Heard, 1, length(Payloads)),
			ok = pg_session:listen_actively(Listening),
			listen(Heard, Listening)
	end.

await_heard(Count, Heard) ->
	eventually:eventually(fun() -> counters:get(Heard, 1) =:= Count orelse {heard, counters:get(Heard, 1)} end, ?HEARD_MS),
	ok.

%% All its processes but the backend that is asked.
os_pids(Postgres) ->
	[Session] = sessions(1, Postgres),
	{ok, Rows, After} = pg_session:query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()", Session),
	ok = pg_session:close(After),
	[binary_to_integer(Pid) || [Pid] <- Rows].
