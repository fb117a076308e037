%% pgmesh joins as a hidden node and leaves nothing changed behind.
%%
%% Applications look at nodes(), global and pg to know their cluster. None of
%% that may move when an observer comes, goes or dies.
-module(hidden_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).
-define(PING_BOUND_MS, 5000).
-define(PINGS, 20).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[seen_as_hidden_only, answers_net_adm_ping, mesh_untouched_by_sigterm,
		mesh_untouched_by_kill].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

seen_as_hidden_only(Config) ->
	ct:comment("erl and elixir nodes have pgmesh in nodes(hidden), never in nodes()."),
	Lab = lab:from(Config),
	Beams = start_meshed(Lab),
	_ = start_linked(Lab, Beams),
	%% Long enough for two announcements to be heard and answered.
	ok = holds(fun() -> links:meshed(Beams) end, 2500),
	[['pgmesh@127.0.0.1'] = beam_node:call(Beam, erlang, nodes, [hidden]) || Beam <- Beams],
	ok.

answers_net_adm_ping(Config) ->
	ct:comment("net_adm:ping from erl and elixir nodes gives pong."),
	Lab = lab:from(Config),
	Beams = start_meshed(Lab),
	Daemon = start_linked(Lab, Beams),
	lists:foreach(fun(#{name := Name} = Beam) ->
		Times = [ping_ms(Beam, Daemon) || _ <- lists:seq(1, ?PINGS)],
		ct_console:note("net_adm:ping from ~s: first ~.2f ms, median ~.2f ms, worst ~.2f ms",
			[Name, hd(Times), links:median(Times), lists:max(Times)]),
		true = lists:max(Times) < ?PING_BOUND_MS
	end, Beams).

mesh_untouched_by_sigterm(Config) ->
	ct:comment("global, pg and the visible mesh do not notice pgmesh come and leave politely."),
	do_mesh_untouched(Config, fun(Daemon) ->
		ok = pgmesh:signal(Daemon, 'TERM'),
		0 = pgmesh:await_exit(Daemon, ?BOUND_MS)
	end).

mesh_untouched_by_kill(Config) ->
	ct:comment("global, pg and the visible mesh do not notice pgmesh come and be killed."),
	do_mesh_untouched(Config, fun pgmesh:kill/1).

%% Helpers.

do_mesh_untouched(Config, End) ->
	Lab = lab:from(Config),
	[First | _] = Beams = start_meshed(Lab),
	yes = beam_node:call(First, node_view, register_globally, [a_global_name]),
	[ok = beam_node:call(Beam, node_view, join_group, [a_group, 2]) || Beam <- Beams],
	Before = await_settled(Beams),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	Daemon = start_linked(Lab, Beams),
	ok = holds(fun() -> same_but_hidden(Before, snapshots(Beams)) end, 1500),
	End(Daemon),
	_ = eventually(fun() -> none_has(Beams, Daemon) end, ?BOUND_MS),
	ok = holds(fun() -> equal(Before, snapshots(Beams)) end, 1500),
	[[] = links:visible_events(Beam) || Beam <- Beams],
	ok.

start_meshed(Lab) ->
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'z@127.0.0.1', beacon => true},
		#{name => 'ex@127.0.0.1', beacon => true, kind => elixir}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Beams.

start_linked(Lab, Beams) ->
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	Daemon.

ping_ms(Beam, Daemon) ->
	{Us, pong} = beam_node:call(Beam, timer, tc, [net_adm, ping, [pgmesh:node_name(Daemon)]]),
	Us / 1000.

%% Groups and global names travel between the nodes: only when all of them show
%% the same is there something to compare with.
await_settled(Beams) ->
	_ = eventually(fun() -> is_settled(snapshots(Beams)) end, ?BOUND_MS),
	snapshots(Beams).

is_settled(Views) ->
	lists:all(fun(#{global_names := Names, global_known := Known, pg_groups := Groups}) ->
		Names =:= [a_global_name] andalso length(Known) =:= length(Views) - 1
			andalso length(maps:get(a_group, Groups, [])) =:= 2 * length(Views)
	end, Views) orelse Views.

snapshots(Beams) ->
	[beam_node:call(Beam, node_view, snapshot, []) || Beam <- Beams].

same_but_hidden(Before, Now) ->
	equal(without_hidden(Before), without_hidden(Now)).

without_hidden(Views) ->
	[maps:remove(hidden, View) || View <- Views].

equal(Same, Same) -> true;
equal(Before, Now) -> {before, Before, now, Now}.

none_has(Beams, Daemon) ->
	case [Has || Beam <- Beams, Has <- [links:has_no_hidden(Beam, Daemon)], Has =/= true] of
		[] -> true;
		Some -> Some
	end.
