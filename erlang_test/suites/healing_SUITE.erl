%% An edge that is lost is there again before anybody misses it.
%%
%% Five nodes that run no discovery are one mesh by pgmesh's doing. Then an edge is
%% cut, or half of all edges, while everything is well or while the daemon that
%% leads, Postgres or EPMD is not.
-module(healing_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
%% Without the leader: after two announce intervals, which are a second each. The
%% remainder is for a busy machine.
-define(TWO_INTERVALS_MS, 5000).
-define(CUTS, 5).
-define(QUIET_MS, 10000).
-define(CUT_MS, 5000).
-define(CALM_US, 1000000).
-define(EXPIRY, "3s").
-define(OUTAGE_MS, 8000).
%% No name may be unsaid for longer: it is said once a second, give or take a fifth.
-define(SILENCE_MS, 2500).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[cut_edge, cut_edge_where_partitions_are_prevented,
		halves_are_joined, halves_are_joined_where_partitions_are_prevented,
		leader_is_killed, leader_is_frozen, postgres_is_away,
		stopping_node_is_let_go, outage_longer_than_the_expiry, epmd_is_restarted,
		daemons_leave_nothing_behind].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: edges.

cut_edge(Config) ->
	ct:comment("An edge of five nodes that is cut is healed, and no other is lost."),
	do_cut_edge(Config, false).

%% Whoever learns of one lost edge cuts others: one cut is many.
cut_edge_where_partitions_are_prevented(Config) ->
	ct:comment("The same where global cuts further edges, as it does by default."),
	do_cut_edge(Config, true).

halves_are_joined(Config) ->
	ct:comment("Two halves that could not reach each other are one mesh soon after they can."),
	do_halves(Config, false).

halves_are_joined_where_partitions_are_prevented(Config) ->
	ct:comment("The same where global cuts further edges, as it does by default."),
	do_halves(Config, true).

%% Tests: what fails meanwhile.

leader_is_killed(Config) ->
	ct:comment("An edge that breaks when the leading daemon has been killed is healed by the others."),
	do_without_leader(Config, fun(Leader) -> pgmesh:kill(Leader) end).

leader_is_frozen(Config) ->
	ct:comment("An edge that breaks while the leading daemon stands still, lock in hand, is healed by the others."),
	do_without_leader(Config, fun(Leader) -> pgmesh:signal(Leader, 'STOP') end).

postgres_is_away(Config) ->
	ct:comment("An edge that breaks while Postgres is away is healed, whoever led before."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	{Beams, Daemons} = start_led(Lab),
	ok = scratch_postgres:down(Postgres, fast),
	[_ = eventually(fun() -> survival:is_away(#{daemon => Daemon}) end, ?BOUND_MS) || Daemon <- Daemons],
	Ms = cut_and_heal_ms(Beams),
	ct_console:note("healed ~.1f ms after the cut, without Postgres", [Ms]),
	true = Ms < ?TWO_INTERVALS_MS,
	ok = scratch_postgres:up(Postgres),
	[_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS) || Daemon <- Daemons],
	ok.

%% Tests: what is not healed, and not forgotten.

stopping_node_is_let_go(Config) ->
	ct:comment("A node that stops slowly, and took leave of the others, is not brought back."),
	Lab = lab:from(Config),
	{[Stopping | Others], Daemon} = start_meshed(Lab, []),
	ok = beam_node:call(Stopping, slow_stop, start, []),
	ok = beam_node:call(Stopping, init, stop, []),
	_ = eventually(fun() -> beam_node:call(Stopping, erlang, nodes, []) =:= [] end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Others) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- [Stopping | Others]],
	ok = holds(fun() -> [] =:= links:visible_events(Stopping) end, ?CUT_MS),
	{stopping, _} = beam_node:call(Stopping, init, get_status, []),
	ok = beam_node:call(Stopping, slow_stop, may_end, []),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Others)) end, ?BOUND_MS),
	[[] = links:visible_events(Beam) || Beam <- Others],
	ok.

outage_longer_than_the_expiry(Config) ->
	ct:comment("Without Postgres for longer than the expiry nobody is forgotten, and then all are said again."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	{[Killed | Others] = Beams, Daemon} = start_meshed(Lab, [], #{"--expiry" => ?EXPIRY}),
	ok = scratch_postgres:down(Postgres, immediate),
	ok = beam_node:kill(Killed),
	_ = eventually(fun() -> pgmesh:all_up(Lab, Daemon, names(Others)) end, ?BOUND_MS),
	ok = holds(fun() -> knows(Lab, Daemon, Beams) end, ?OUTAGE_MS),
	true = links:meshed(Others),
	ok = scratch_postgres:up(Postgres),
	Ear = channel_ear:start(Lab),
	Ms = eventually(fun() -> channel_ear:has_heard(Ear, ['pgmesh@127.0.0.1' | names(Others)]) end, ?BOUND_MS),
	ct_console:note("all names said again ~.1f ms after Postgres answered", [Ms]),
	0 = channel_ear:times(Ear, maps:get(name, Killed)),
	ok.

epmd_is_restarted(Config) ->
	ct:comment("An EPMD that is gone and back, empty at first, makes nobody forgotten or unsaid."),
	#{epmd := Epmd, epmd_port := EpmdPort} = Lab = lab:from(Config),
	{Beams, Daemon} = start_meshed(Lab, [], #{"--expiry" => ?EXPIRY}),
	Ear = channel_ear:start(Lab),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = scratch_epmd:kill(Epmd),
	ok = holds(fun() -> knows(Lab, Daemon, Beams) end, ?CUT_MS),
	_ = scratch_epmd:start(Lab, EpmdPort),
	_ = eventually(fun() -> length(scratch_epmd:names(EpmdPort)) =:= length(Beams) + 1 end, ?BOUND_MS),
	ok = holds(fun() -> knows(Lab, Daemon, Beams) end, ?CUT_MS),
	Silences = [channel_ear:longest_silence_ms(Ear, Name) || Name <- ['pgmesh@127.0.0.1' | names(Beams)]],
	ct_console:note("longest silence of a name: ~b ms", [lists:max(Silences)]),
	true = lists:max(Silences) < ?SILENCE_MS,
	true = links:none_lost(Beams),
	true = links:meshed(Beams),
	ok.

daemons_leave_nothing_behind(Config) ->
	ct:comment("When every daemon is killed the mesh stays, and no watcher is left on any node."),
	Lab = lab:from(Config),
	{Beams, Daemons} = start_led(Lab),
	[true = beam_node:call(Beam, node_view, interpreters, []) > 0 || Beam <- Beams],
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	[ok = pgmesh:kill(Daemon) || Daemon <- Daemons],
	Ms = eventually(fun() -> is_unwatched(Beams) end, ?BOUND_MS),
	ct_console:note("no watcher left ~.1f ms after the last kill -9", [Ms]),
	ok = holds(fun() -> links:meshed(Beams) end, ?CUT_MS),
	[[] = links:visible_events(Beam) || Beam <- Beams],
	ok.

%% Helpers: cuts.

do_cut_edge(Config, IsPrevented) ->
	Lab = lab:from(Config),
	{Beams, Daemon} = start_meshed(Lab, prevention(IsPrevented)),
	[yes = beam_node:call(Beam, node_view, register_globally, [Name]) || #{name := Name} = Beam <- Beams],
	Times = [cut_and_heal_ms(Beams) || _ <- lists:seq(1, ?CUTS)],
	ct_console:note("full mesh ~.1f ms after the cut (median of ~b), ~.1f ms (worst)",
		[links:median(Times), ?CUTS, lists:max(Times)]),
	true = lists:max(Times) < ?BOUND_MS,
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = holds(fun() -> links:none_lost(Beams) end, ?QUIET_MS),
	true = links:meshed(Beams),
	true = pgmesh:sees_mesh(Daemon, names(Beams)),
	ok = has_all_names(Beams).

%% Global names may vanish for milliseconds; none is lost.
has_all_names(Beams) ->
	ok = links:await_global(Beams),
	Expected = lists:sort(names(Beams)),
	[Expected = lists:sort(beam_node:call(Beam, global, registered_names, [])) || Beam <- Beams],
	[Name = node(beam_node:call(Beam, global, whereis_name, [Name])) || Beam <- Beams, Name <- Expected],
	ok.

%% From the cut to the last nodeup.
cut_and_heal_ms([Left, _, #{name := Right} | _] = Beams) ->
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	Us = erlang:system_time(microsecond),
	true = beam_node:call(Left, erlang, disconnect_node, [Right]),
	_ = eventually(fun() -> was_cut(Left, Right) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	links:meshed_after_ms(Us, Beams).

was_cut(Beam, Name) ->
	links:lost(Beam, Name) =/= [] orelse not_lost_yet.

%% There is no cable to pull: the halves refuse each other's cookie.
do_halves(Config, IsPrevented) ->
	Lab = lab:from(Config),
	{Beams, Daemon} = start_meshed(Lab, prevention(IsPrevented)),
	{Left, Right} = lists:split(2, Beams),
	ok = refuse(Left, Right, left_only),
	ok = refuse(Right, Left, right_only),
	[beam_node:call(Beam, erlang, disconnect_node, [Name]) || Beam <- Left, #{name := Name} <- Right],
	SettledMs = eventually(fun() -> is_calm(Beams) andalso are_two_meshes(Left, Right) end, ?BOUND_MS),
	ct_console:note("two meshes, and no nodedown for a second, ~.1f ms after the cut", [SettledMs]),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = holds(fun() -> are_two_meshes(Left, Right) end, ?CUT_MS),
	Us = erlang:system_time(microsecond),
	ok = allow(Lab, Left, Right),
	ok = allow(Lab, Right, Left),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	ct_console:note("one mesh ~.1f ms after a cut of ~b s ended", [links:meshed_after_ms(Us, Beams), ?CUT_MS div 1000]),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	ok.

refuse(Beams, Others, Cookie) ->
	[true = beam_node:call(Beam, erlang, set_cookie, [Name, Cookie]) || Beam <- Beams, #{name := Name} <- Others],
	ok.

allow(#{cookie := Cookie}, Beams, Others) ->
	refuse(Beams, Others, list_to_atom(Cookie)).

%% Where partitions are prevented, each lost edge is told to others, who cut more.
is_calm(Beams) ->
	Since = erlang:system_time(microsecond) - ?CALM_US,
	case [Event || Beam <- Beams, #{system_us := Us} = Event <- links:lost(Beam), Us > Since] of
		[] -> true;
		Recent -> Recent
	end.

are_two_meshes(Left, Right) ->
	case {links:meshed(Left), links:meshed(Right)} of
		{true, true} -> true;
		Others -> Others
	end.

%% Helpers: daemons.

%% Cut as soon as the leader is gone: the others do not know it yet.
do_without_leader(Config, End) ->
	Lab = lab:from(Config),
	{Beams, Daemons} = start_led(Lab),
	End(leader(Daemons)),
	Ms = cut_and_heal_ms(Beams),
	ct_console:note("healed ~.1f ms after the cut, without the leader", [Ms]),
	true = Ms < ?TWO_INTERVALS_MS,
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = holds(fun() -> links:none_visible_lost(Beams) end, ?CUT_MS),
	true = links:meshed(Beams),
	ok.

%% Three daemons that would all heal every edge, with one that leads.
start_led(Lab) ->
	Beams = beam_node:start_all(Lab, beams([])),
	Daemons = [pgmesh:start(Lab, #{name => Name, log => atom_to_list(Name),
		flags => #{"--introduce" => "all"}}) || Name <- daemons()],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	[_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS) || Daemon <- Daemons],
	_ = eventually(fun() -> length(leaders(Daemons)) =:= 1 end, ?BOUND_MS),
	{Beams, Daemons}.

daemons() ->
	['pgmesh1@127.0.0.1', 'pgmesh2@127.0.0.1', 'pgmesh3@127.0.0.1'].

leader(Daemons) ->
	[Leader] = leaders(Daemons),
	Leader.

leaders(Daemons) ->
	[Daemon || Daemon <- Daemons,
		#{<<"leader">> := true} <- [control_socket:get(Daemon, "/api/v1/status")]].

start_meshed(Lab, Flags) ->
	start_meshed(Lab, Flags, #{}).

start_meshed(Lab, Flags, DaemonFlags) ->
	Beams = beam_node:start_all(Lab, beams(Flags)),
	Daemon = pgmesh:start(Lab, #{flags => DaemonFlags}),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	{Beams, Daemon}.

beams(Flags) ->
	[#{name => Name, flags => Flags} || Name <- ['a@127.0.0.1', 'b@127.0.0.1', 'm@127.0.0.1',
		'y@127.0.0.1', 'z@127.0.0.1']].

prevention(IsPrevented) ->
	["-kernel", "prevent_overlapping_partitions", atom_to_list(IsPrevented)].

names(Beams) ->
	[Name || #{name := Name} <- Beams].

%% Nobody is forgotten, whatever his state.
knows(Lab, Daemon, Beams) ->
	case [Name || Name <- names(Beams), pgmesh:member_state(Lab, Daemon, Name) =:= unknown] of
		[] -> true;
		Forgotten -> {forgotten, Forgotten}
	end.

is_unwatched(Beams) ->
	case lists:sum([beam_node:call(Beam, node_view, interpreters, []) || Beam <- Beams]) of
		0 -> true;
		Watchers -> {watchers, Watchers}
	end.
