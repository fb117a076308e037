%% A healthy node that pings pgmesh without pause while others do their worst.
%%
%% Every ping must be answered in time, no link may be lost, and pgmesh must not
%% grow by more than the attack is allowed to cost.
-module(bystander).

-export([start_healthy/1, start_healthy/2, measured/3, measured/4, await_pings/1, unharmed/1]).
-export([max_growth_mb/0]).

-export_type([world/0]).

-import(eventually, [eventually/2]).

-type world() :: #{lab := lab:lab(), beam := beam_node:beam(), daemon := pgmesh:daemon(),
	memory_before := float(), port := inet:port_number(), cookie := string()}.

-define(BOUND_MS, 15000).
-define(PING_BOUND_MS, 5000).
-define(MAX_GROWTH_MB, 100).
-define(PINGS, 100).

%% What an attack may cost unless the case says otherwise, in megabytes.
-spec max_growth_mb() -> pos_integer().
max_growth_mb() ->
	?MAX_GROWTH_MB.

-spec start_healthy([{atom(), term()}]) -> world().
start_healthy(Config) ->
	start_healthy(Config, #{}).

%% One node and one pgmesh that are linked.
-spec start_healthy([{atom(), term()}], #{string() => string()}) -> world().
start_healthy(Config, Flags) ->
	#{epmd_port := EpmdPort, cookie := Cookie} = Lab = lab:from(Config),
	Beam = beam_node:start(Lab, #{name => 'healthy@127.0.0.1', beacon => true}),
	Daemon = pgmesh:start(Lab, #{flags => Flags}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:clear_events(Beam),
	#{now := Before} = pgmesh:memory(Daemon),
	#{lab => Lab, beam => Beam, daemon => Daemon, memory_before => Before,
		port => scratch_epmd:node_port(EpmdPort, "pgmesh"), cookie => Cookie}.

-spec measured(world(), string(), fun(() -> term())) -> ok.
measured(World, What, Attack) ->
	measured(World, What, ?MAX_GROWTH_MB, Attack).

%% Attacks while the node pings; fails if the pings or the memory show it.
-spec measured(world(), string(), pos_integer(), fun(() -> term())) -> ok.
measured(#{beam := Beam, daemon := Daemon, memory_before := Before}, What, MaxGrowth, Attack) ->
	ok = beam_node:call(Beam, ping_watch, start, [pgmesh:node_name(Daemon)]),
	{Us, _} = timer:tc(Attack),
	#{pings := Pings, not_pong := NotPong, worst_ms := Worst} = beam_node:call(Beam, ping_watch, stop, []),
	#{now := After, peak := Peak} = pgmesh:memory(Daemon),
	ct_console:note("~s, ~.1f s: ~b pings, worst ~.1f ms (target 100); memory ~.1f MB before, ~.1f after, ~.1f peak",
		[What, Us / 1000000, Pings, Worst, Before, After, Peak]),
	{What, 0} = {What, NotPong},
	{What, true} = {What, Worst < ?PING_BOUND_MS},
	{What, true} = {What, Peak - Before < MaxGrowth},
	ok.

%% While the attack lasts.
-spec await_pings(world()) -> ok.
await_pings(#{beam := Beam}) ->
	Enough = beam_node:call(Beam, ping_watch, count, []) + ?PINGS,
	_ = eventually(fun() -> beam_node:call(Beam, ping_watch, count, []) >= Enough end, ?BOUND_MS),
	ok.

%% After all that: the same links, the same program.
-spec unharmed(world()) -> ok.
unharmed(#{lab := Lab, beam := Beam, daemon := Daemon}) ->
	[] = links:lost(Beam),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	running = pgmesh:await_exit(Daemon, 0),
	nomatch = string:find(pgmesh:log(Daemon), <<"panicked">>),
	ok.
