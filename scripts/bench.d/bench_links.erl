%% Messages, dials and calls between a BEAM and a node of each library: the BEAM
%% itself, ei, Jinterface, pgmesh-dist. In turns, and each round begins with another
%% one, so that what disturbs the machine disturbs all alike.
%%
%% A rate is one of the pair, and both share the machine. The target's CPU time for
%% each operation is its own.
-module(bench_links).

-export([run/1]).

-define(ROUNDS, "7").
-define(CELL_MS, 1000).
-define(WARM_UP_MS, 300).
-define(CALL_MS, 90000).
-define(READY_MS, 20000).
%% As a node has them whom nobody told anything.
-define(USUAL_FLAGS, ["+sbwt", "medium", "+sbwtdcpu", "short", "+sbwtdio", "short", "-connect_all", "false"]).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	Rounds = list_to_integer(os:getenv("BENCH_ROUNDS", ?ROUNDS)),
	bench_table:title("links: ~b rounds of ~b ms for each of ~b kinds of work",
		[Rounds, ?CELL_MS, length(works(none))]),
	Targets = link_targets:start_all(Lab),
	Works = works(link_targets:start_dialled(Lab)),
	Driver = beam_node:start(Lab, #{name => 'driver@127.0.0.1', flags => ?USUAL_FLAGS}),
	World = #{driver => Driver, clock => cpu_clock:start()},
	%% Loads code, and lets a JVM compile it.
	_ = [work(World, Target, Work, ?WARM_UP_MS) || Work <- Works, Target <- Targets],
	_ = [round(World, rotated(Round, Targets), Work, Round) || Round <- lists:seq(1, Rounds), Work <- Works],
	ok.

works(Dialled) ->
	[{echo1, {echo, 1}}, {echo64, {echo, 64}},
		{in_100b, {in, 100, 10000}}, {in_64kib, {in, 65536, 200}}, {in_1mib, {in, 1 bsl 20, 16}},
		{out_100b, {out, 100, 10000}}, {out_64kib, {out, 65536, 200}}, {out_1mib, {out, 1 bsl 20, 16}},
		{be_dialled, be_dialled}, {dial_out, {dial_out, Dialled}},
		{rpc1, {rpc, 1}}, {rpc64, {rpc, 64}}].

rotated(Round, Targets) ->
	{Last, First} = lists:split(Round rem length(Targets), Targets),
	First ++ Last.

round(World, Targets, Work, Round) ->
	[note(Work, Target, Round, work(World, Target, Work, ?CELL_MS)) || Target <- Targets].

work(#{driver := Driver, clock := Clock} = World, #{node := Node, os_pid := OsPid} = Target, {Name, Work}, Ms) ->
	ok = make_ready(World, Target),
	{Before, TicksBefore} = {cpu_clock:us(Clock, OsPid), proc_figures:cpu_ticks(OsPid)},
	Outcome = beam_node:call(Driver, links_driver, measure, [Node, Work, Ms, ?CALL_MS], ?CALL_MS + 10000),
	CpuUs = cpu_clock:us(Clock, OsPid) - Before,
	case Outcome of
		{ok, Measured} ->
			Measured#{cpu_us => CpuUs, program_us => CpuUs * in_program(TicksBefore, proc_figures:cpu_ticks(OsPid))};
		{failed, Reason} ->
			io:format("  ~s of ~s failed: ~0p~n", [Name, maps:get(contender, Target), Reason]),
			failed
	end.

%% The share that was not the kernel's.
in_program({User0, System0}, {User1, System1}) ->
	(User1 - User0) / max(1, User1 - User0 + System1 - System0).

%% Whatever happened to it before: linked, and answering.
make_ready(#{driver := Driver}, #{node := Node}) ->
	ok = beam_node:clear_events(Driver),
	_ = eventually:eventually(fun() ->
		beam_node:call(Driver, links_driver, answers, [Node]) orelse {no_answer_of, Node}
	end, ?READY_MS),
	ok.

note({Name, _}, #{contender := Contender}, Round, failed) ->
	bench_results:note(links, Name, Contender, Round, failed);
note({Name, _}, #{contender := Contender}, Round, #{done := 0}) ->
	bench_results:note(links, Name, Contender, Round, failed);
note({Name, _}, #{contender := Contender}, Round, Measured) ->
	#{done := Done, failed := Failed, us := Us, busy := Busy, cores_busy := CoresBusy,
		cpu_us := CpuUs, program_us := ProgramUs} = Measured,
	[ok = bench_results:note(links, with_suffix(Name, Suffix), Contender, Round, Value)
		|| {Suffix, Value} <- [{"", Done * 1.0e6 / Us}, {"_cpu", CpuUs / Done}, {"_program", ProgramUs / Done},
			{"_failed", Failed}, {"_driver_busy", Busy}, {"_cores_busy", CoresBusy}]],
	ok.

with_suffix(Name, Suffix) ->
	list_to_atom(atom_to_list(Name) ++ Suffix).
