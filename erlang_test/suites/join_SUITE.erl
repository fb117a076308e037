%% How a link comes about: by a node's announcement or by pgmesh's own.
%%
%% And what does not become a link: any database role may say anything on the
%% channel.
-module(join_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).
-define(AN_HOUR_MS, 3600000).

%% With nothing announced, a link to a node that has no beacon can only come
%% from what was heard.
-define(LISTENER_ONLY, #{"--announce" => "none"}).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[announced_node_is_linked, own_announcement_is_heard, own_announcement_is_dialled,
		name_by_raw_notify_is_linked, bad_payloads_do_nothing, members_and_status_shape].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

announced_node_is_linked(Config) ->
	ct:comment("A node with the strategy is linked after its first announcement, erl and elixir alike."),
	Lab = lab:from(Config),
	%% Silent, it asks no EPMD who else is there.
	Daemon = pgmesh:start(Lab, #{flags => #{"--announce" => "none", "--introduce" => "none"}}),
	lists:foreach(fun({Name, Kind}) ->
		Beam = beam_node:start(Lab, #{name => Name, kind => Kind, beacon => true}),
		_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
		[JoinMs | _] = links:join_times_ms(Beam, pgmesh:node_name(Daemon)),
		ct_console:note("first NOTIFY of ~s (~s) to nodeup of pgmesh there: ~.2f ms",
			[Name, Kind, JoinMs])
	end, [{'a@127.0.0.1', erl}, {'b@127.0.0.1', elixir}, {'z@127.0.0.1', erl}]).

own_announcement_is_heard(Config) ->
	ct:comment("Nodes that said their names before pgmesh came hear its bare name and are linked."),
	Lab = lab:from(Config),
	Beams = start_long_before(Lab, "127.0.0.1"),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[_ = eventually(fun() -> has_heard(<<"pgmesh@127.0.0.1">>, Beam) end, ?BOUND_MS) || Beam <- Beams],
	ok.

own_announcement_is_dialled(Config) ->
	ct:comment("A pgmesh that cannot dial is dialled by the three nodes that hear it."),
	Lab = lab:from(Config),
	%% No EPMD answers at that address, so there is no way to dial these.
	Beams = start_long_before(Lab, "127.0.0.2"),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[#{<<"direction">> := <<"acceptor">>} = pgmesh:member(Lab, Daemon, Name) || #{name := Name} <- Beams],
	ok.

name_by_raw_notify_is_linked(Config) ->
	ct:comment("A node that cannot announce itself is linked when anybody says its name."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => ?LISTENER_ONLY}),
	Beam = beam_node:start(Lab, #{name => 'mute@127.0.0.1'}),
	Said = lab:notify(Lab, 'mute@127.0.0.1'),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	Up = links:nodeup_after(0, Beam, pgmesh:node_name(Daemon)),
	ct_console:note("NOTIFY to nodeup on the node: ~.2f ms", [(Up - Said) / 1000]),
	ok.

bad_payloads_do_nothing(Config) ->
	ct:comment("Payloads that are no node names are no members, cost no link and hide no newcomer."),
	Lab = lab:from(Config),
	First = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [First]) end, ?BOUND_MS),
	ok = beam_node:clear_events(First),
	[lab:notify(Lab, Payload) || Payload <- bad_payloads()],
	_ = lab:notify_all(Lab, bad_payloads()),
	Second = beam_node:start(Lab, #{name => 'b@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [First, Second]) end, ?BOUND_MS),
	Names = [Name || #{<<"node">> := Name} <- pgmesh:members(Lab, Daemon)],
	[] = [Name || Name <- Names, lists:member(Name, bad_payloads())],
	running = os_process:exit_status(maps:get(process, Daemon)),
	[] = links:lost(First),
	ok.

members_and_status_shape(Config) ->
	ct:comment("The JSON of members and status has the fields that scripts rely on."),
	Lab = lab:from(Config),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	_ = eventually(fun() -> is_number(maps:get(<<"last_heard_s">>, pgmesh:member(Lab, Daemon, 'a@127.0.0.1'))) end, ?BOUND_MS),
	#{<<"hidden">> := false, <<"local">> := Local, <<"otp">> := Otp, <<"direction">> := Direction,
		<<"attempts">> := Attempts, <<"error">> := null} = pgmesh:member(Lab, Daemon, 'a@127.0.0.1'),
	true = is_boolean(Local),
	true = is_integer(Attempts),
	true = lists:member(Direction, [<<"initiator">>, <<"acceptor">>]),
	Otp = list_to_binary(erlang:system_info(otp_release)),
	#{<<"node">> := <<"pgmesh@127.0.0.1">>, <<"version">> := Version, <<"creation">> := Creation,
		<<"uptime_s">> := Uptime, <<"frozen">> := false,
		<<"scopes">> := #{<<"join">> := <<"all">>, <<"announce">> := <<"local">>},
		<<"postgres">> := #{<<"state">> := <<"listening">>, <<"channel">> := <<"cluster">>,
			<<"error">> := null},
		<<"epmd">> := #{<<"mode">> := <<"external">>, <<"registered">> := true},
		<<"counts">> := #{<<"up">> := 1, <<"dialing">> := 0, <<"down">> := 0}} = pgmesh:status(Lab, Daemon),
	true = is_binary(Version) andalso is_integer(Creation) andalso is_number(Uptime),
	ok.

%% Helpers.

bad_payloads() ->
	[<<>>, <<"nobody">>, <<"two@at@127.0.0.1">>, <<"@127.0.0.1">>, <<"a@">>, <<"@">>,
		<<"with space@127.0.0.1 ">>, binary:copy(<<"x">>, 300),
		<<(binary:copy(<<"x">>, 300))/binary, "@127.0.0.1">>, <<"😀"/utf8>>, <<"😀@127.0.0.1@"/utf8>>].

%% Their beacons speak once and then only listen: what happens after that is
%% not their announcement's doing.
start_long_before(Lab, Host) ->
	Beams = beam_node:start_all(Lab, [#{name => list_to_atom(Alive ++ "@" ++ Host), kind => Kind,
			beacon => true, beacon_interval_ms => ?AN_HOUR_MS}
		|| {Alive, Kind} <- [{"a", erl}, {"m", elixir}, {"z", erl}]]),
	[_ = eventually(fun() -> has_heard(atom_to_binary(Name), Beam) end, ?BOUND_MS)
		|| #{name := Name} = Beam <- Beams],
	Beams.

has_heard(Payload, Beam) ->
	lists:any(fun(#{what := What, about := About}) ->
		What =:= heard andalso About =:= Payload
	end, beam_node:events(Beam)).
