%% Releases with pgmesh beside them, as they run in production.
%%
%% Three of them, in embedded mode and without any discovery of their own. They are
%% upgraded, and people look into them; both start further nodes, which are hidden
%% and nobody's business.
-module(release_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
-define(QUIET_MS, 3000).
%% Runs on the release until the test lets it end; the node that asked for it, a
%% hidden one, lives as long.
-define(WAITS, "Process.register(self(), :asked); receive do :may_end -> :ok end").

%% ct.

suite() ->
	[{timetrap, {minutes, 3}}].

all() ->
	[meshed_in_embedded_mode, upgraded_one_by_one, rpc_stays_apart].

init_per_suite(Config) ->
	ok = mix_release:build(),
	Config.

end_per_suite(_) ->
	ok.

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

meshed_in_embedded_mode(Config) ->
	ct:comment("Releases in embedded mode are meshed and watched; an edge that is cut is healed."),
	Lab = lab:from(Config),
	{_, [First, #{name := Second} | _] = Beams, _} = start_meshed(Lab),
	[{ok, [["embedded"]]} = beam_node:call(Beam, init, get_argument, [mode]) || Beam <- Beams],
	[true = beam_node:call(Beam, node_view, interpreters, []) > 0 || Beam <- Beams],
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	Us = erlang:system_time(microsecond),
	true = beam_node:call(First, erlang, disconnect_node, [Second]),
	_ = eventually(fun() -> links:lost(First, Second) =/= [] andalso links:meshed(Beams) end, ?BOUND_MS),
	ct_console:note("full mesh ~.1f ms after the cut", [links:meshed_after_ms(Us, Beams)]),
	ok.

upgraded_one_by_one(Config) ->
	ct:comment("Releases that are stopped and started one after another are meshed each time."),
	Lab = lab:from(Config),
	{Hosts, Beams, Daemons} = start_meshed(Lab),
	Upgraded = lists:foldl(fun(Host, Running) -> upgrade(Host, Running) end, Beams, Hosts),
	[_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Upgraded)) end, ?BOUND_MS) || Daemon <- Daemons],
	ok.

rpc_stays_apart(Config) ->
	ct:comment("The node behind `bin/served rpc` is not announced, not meshed and not counted."),
	Lab = lab:from(Config),
	Ear = channel_ear:start(Lab),
	{[Host | _], [Asked | Others] = Beams, Daemons} = start_meshed(Lab),
	Rpc = mix_release:launch(Host, Asked, ["rpc", ?WAITS]),
	_ = eventually(fun() -> is_pid(beam_node:call(Asked, erlang, whereis, [asked])) end, ?BOUND_MS),
	["rpc-" ++ _ = Alive] = loopback_host:names(Host) -- ["app", "pgmesh"],
	Name = list_to_atom(Alive ++ "@127.0.0.2"),
	%% By somebody who does not know better.
	_ = lab:notify(Lab, Name),
	Known = names(Beams) ++ [pgmesh:node_name(Daemon) || Daemon <- Daemons],
	ok = holds(fun() -> knows_nobody_but(Others, Known) end, ?QUIET_MS),
	1 = channel_ear:times(Ear, Name),
	[true = pgmesh:sees_mesh(Daemon, names(Beams)) || Daemon <- Daemons],
	may_end = beam_node:call(Asked, erlang, send, [asked, may_end]),
	0 = os_process:await_exit(Rpc, ?BOUND_MS),
	true = links:meshed(Beams),
	ok.

%% Helpers.

start_meshed(Lab) ->
	Hosts = [loopback_host:open(Lab, Address) || Address <- ["127.0.0.2", "127.0.0.3", "127.0.0.4"]],
	Beams = beam_node:start_each([{Host, options(Host)} || Host <- Hosts]),
	Daemons = [pgmesh:start(Host, beside(Host)) || Host <- Hosts],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	[_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS) || Daemon <- Daemons],
	{Hosts, Beams, Daemons}.

options(#{epmd_address := Address}) ->
	#{name => list_to_atom("app@" ++ Address), kind => release}.

beside(#{epmd_address := Address}) ->
	Name = "pgmesh@" ++ Address,
	#{name => list_to_atom(Name), log => Name}.

names(Beams) ->
	[Name || #{name := Name} <- Beams].

%% The first of those that run becomes the last.
upgrade(Host, [Old | Others]) ->
	[ok = beam_node:clear_events(Beam) || Beam <- Others],
	0 = mix_release:command(Host, Old, ["stop"]),
	0 = beam_node:await_exit(Old, ?BOUND_MS),
	New = beam_node:revive(Host, Old),
	Beams = Others ++ [New],
	Ms = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	ct_console:note("~s: meshed ~.1f ms after it ran again", [maps:get(name, New), Ms]),
	Beams.

knows_nobody_but(Beams, Known) ->
	Seen = lists:append([beam_node:call(Beam, erlang, nodes, [connected]) || Beam <- Beams]),
	lists:usort(Seen) -- Known =:= [] orelse Seen.
