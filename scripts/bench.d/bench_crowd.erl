%% One daemon and a thousand nodes: how long until it is linked to all, and until it has
%% asked each for its connections.
%%
%% All names are said at the same moment. The question to all comes up as it does in a
%% mesh: a node of whom nobody has heard dials, and whoever is known may have told of it
%% before there was a place for it. pgmesh spreads these questions over 0.4 s.
-module(bench_crowd).

-export([run/1]).

-define(CROWD, 1000).
-define(ROUNDS, 5).
-define(BOUND_MS, 60000).
-define(SETTLE_MS, 3000).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("crowd: ~b nodes in one process, and one daemon", [?CROWD]),
	{Linked, Audited} = lists:unzip([round_of(Lab) || _ <- lists:seq(1, ?ROUNDS)]),
	{LinkedMs, LinkedCpuMs} = lists:unzip(Linked),
	{AuditedMs, AuditedCpuMs} = lists:unzip(Audited),
	ok = bench_table:samples([
		{"all linked, from their NOTIFY", LinkedMs},
		{"its CPU for that", LinkedCpuMs},
		{"all audited, from the first question", AuditedMs},
		{"its CPU for that", AuditedCpuMs}]),
	ok = bench_results:note(crowd, all_linked_ms, pgmesh, bench_table:median(LinkedMs)),
	ok = bench_results:note(crowd, all_linked_cpu_ms, pgmesh, bench_table:median(LinkedCpuMs)),
	ok = bench_results:note(crowd, all_audited_ms, pgmesh, bench_table:median(AuditedMs)),
	ok = bench_results:note(crowd, all_audited_cpu_ms, pgmesh, bench_table:median(AuditedCpuMs)),
	io:format("  target: all linked in less than 3 s, all audited in less than 1 s~n").

%% Each in processes of its own, so that nothing is left to the next.
round_of(Lab) ->
	{Round, Monitor} = spawn_monitor(fun() -> exit({measured, measure(Lab)}) end),
	receive
		{'DOWN', Monitor, process, Round, {measured, Measured}} -> Measured;
		{'DOWN', Monitor, process, Round, Reason} -> error(Reason)
	end.

measure(Lab) ->
	{OfCrowd, OfDaemon} = crowd:hosts(Lab),
	Crowd = crowd:open(OfCrowd, ?CROWD),
	Daemon = crowd:start_daemon(OfDaemon, #{"--audit-interval" => "1h"}),
	Linked = linked(OfDaemon, Daemon, Crowd),
	ok = small_nodes:await_linked(OfDaemon, Daemon, crowd:names(Crowd)),
	%% First they are asked for their release, and for a watcher.
	timer:sleep(?SETTLE_MS),
	Audited = audited(OfDaemon, Daemon, Crowd),
	ok = crowd:close(Crowd),
	ok = pgmesh:kill(Daemon),
	{Linked, Audited}.

linked(Lab, #{process := Process}, Crowd) ->
	Pid = os_process:os_pid(Process),
	CpuBefore = proc_figures:cpu_us(Pid),
	SaidUs = lab:notify_all(Lab, crowd:names(Crowd)),
	LinkedUs = await_us(fun() -> crowd:last_linked_us(Crowd) end),
	{(LinkedUs - SaidUs) / 1000, (proc_figures:cpu_us(Pid) - CpuBefore) / 1000}.

audited(Lab, #{process := Process}, Crowd) ->
	Pid = os_process:os_pid(Process),
	ok = crowd:clear_audits(Crowd),
	CpuBefore = proc_figures:cpu_us(Pid),
	_ = crowd:join(Crowd, Lab, 'late@127.0.0.1'),
	{AskedUs, _AnsweredUs} = await_us(fun() -> crowd:audits_us(Crowd) end),
	TakenInUs = taken_in_us(Pid),
	{(TakenInUs - AskedUs) / 1000, (proc_figures:cpu_us(Pid) - CpuBefore) / 1000}.

%% Until it has happened to all.
await_us(When) ->
	_ = eventually:eventually(fun() -> has_happened(When()) end, ?BOUND_MS),
	When().

has_happened({waiting, _} = Waiting) -> Waiting;
has_happened(_) -> true.

%% The last answer is on its way yet; the daemon is done with all when it rests.
taken_in_us(Pid) ->
	RestedUs = erlang:system_time(microsecond),
	Before = proc_figures:cpu_us(Pid),
	%% The kernel's counter may lag by a tick of four milliseconds.
	timer:sleep(10),
	case proc_figures:cpu_us(Pid) - Before of
		Used when Used < 500 -> RestedUs;
		_ -> taken_in_us(Pid)
	end.
