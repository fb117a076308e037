%% Death and return, of pgmesh and of nodes.
%%
%% A name that comes back has a new creation, and somebody may still hold the
%% old link: the handshake's `alive` is for that.
-module(restart_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 10000).
-define(DOWN_BOUND_MS, 5000).
-define(TICKTIME, "4").
-define(TICK_BOUND_MS, 20000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[killed_pgmesh_is_back, frozen_node_still_holds_the_old_link, killed_node_is_down_then_up,
		frozen_node_is_down_then_up].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

killed_pgmesh_is_back(Config) ->
	ct:comment("Killed by -9 and started at once under the same name, pgmesh is linked to all again."),
	Lab = lab:from(Config),
	Beams = start_three(Lab, []),
	Killed = start_linked(Lab, Beams, #{}),
	ok = pgmesh:kill(Killed),
	Daemon = pgmesh:restart(Lab, Killed),
	Ms = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ct_console:note("start after kill -9 to all linked: ~.1f ms", [Ms]),
	ok.

frozen_node_still_holds_the_old_link(Config) ->
	ct:comment("A node that slept while pgmesh was killed and restarted is linked after it wakes."),
	Lab = lab:from(Config),
	[Frozen | Others] = Beams = start_three(Lab, []),
	Killed = start_linked(Lab, Beams, #{}),
	ok = beam_node:freeze(Frozen),
	ok = pgmesh:kill(Killed),
	Daemon = pgmesh:restart(Lab, Killed),
	OthersMs = eventually(fun() -> links:complete(Lab, Daemon, Others) end, ?BOUND_MS),
	ok = beam_node:thaw(Frozen),
	Ms = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ct_console:note("awake nodes linked after ~.1f ms, the sleeper ~.1f ms after SIGCONT", [OthersMs, Ms]),
	ok.

killed_node_is_down_then_up(Config) ->
	ct:comment("A node that is killed is down in members, and up again once it is back."),
	Lab = lab:from(Config),
	[Victim | Others] = Beams = start_three(Lab, []),
	#{name := Name} = Victim,
	Daemon = start_linked(Lab, Beams, #{}),
	ok = beam_node:kill(Victim),
	DownMs = eventually(fun() -> is_state(<<"down">>, Lab, Daemon, Name) end, ?DOWN_BOUND_MS),
	Revived = beam_node:revive(Lab, Victim),
	UpMs = eventually(fun() -> links:complete(Lab, Daemon, [Revived | Others]) end, ?BOUND_MS),
	ct_console:note("down ~.1f ms after kill -9; up ~.1f ms after the new program ran", [DownMs, UpMs]),
	ok.

frozen_node_is_down_then_up(Config) ->
	ct:comment("A node that is silent for net_ticktime is down, and up again when it speaks."),
	Lab = lab:from(Config),
	[Frozen | Others] = Beams = start_three(Lab, ["-kernel", "net_ticktime", ?TICKTIME]),
	#{name := Name} = Frozen,
	Daemon = start_linked(Lab, Beams, #{flags => #{"--net-ticktime" => ?TICKTIME ++ "s"}}),
	ok = beam_node:freeze(Frozen),
	DownMs = eventually(fun() -> is_not_up(Lab, Daemon, Name) end, ?TICK_BOUND_MS),
	true = links:complete(Lab, Daemon, Others),
	ok = beam_node:thaw(Frozen),
	UpMs = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?TICK_BOUND_MS),
	ct_console:note("net_ticktime ~s s: not up ~.1f ms after SIGSTOP, up ~.1f ms after SIGCONT",
		[?TICKTIME, DownMs, UpMs]),
	ok.

%% Helpers.

start_three(Lab, Flags) ->
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true, flags => Flags},
		#{name => 'z@127.0.0.1', beacon => true, flags => Flags},
		#{name => 'ex@127.0.0.1', beacon => true, flags => Flags, kind => elixir}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Beams.

start_linked(Lab, Beams, Options) ->
	Daemon = pgmesh:start(Lab, Options),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	Daemon.

is_state(Expected, Lab, Daemon, Name) ->
	case pgmesh:member(Lab, Daemon, Name) of
		#{<<"state">> := Expected} -> true;
		Other -> Other
	end.

%% While the link is gone, `down` alternates with `dialing`.
is_not_up(Lab, Daemon, Name) ->
	case pgmesh:member_state(Lab, Daemon, Name) of
		<<"up">> -> still_up;
		unknown -> unknown;
		_ -> true
	end.
