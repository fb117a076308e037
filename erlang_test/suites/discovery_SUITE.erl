%% Nodes that know nobody, and run nothing for it, become one mesh.
%%
%% They carry no discovery at all: pgmesh finds them at their host's EPMD or hears
%% their names, and introduces them to each other. Each host is a loopback address
%% with an EPMD of its own.
-module(discovery_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
%% Several announcements, which the lab's daemons make once a second.
-define(QUIET_MS, 4000).
-define(ELSEWHERE, "127.0.0.9").

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[pgmesh_beside_each_of_five, one_pgmesh_for_five_hosts, one_pgmesh_on_the_host_of_five,
		plain_nodes_among_beacons, one_name_of_a_cluster_is_enough, hidden_nodes_are_left_alone,
		node_at_the_address_of_its_name_alone,
		observer_introduces_nobody, nothing_local_is_said].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

pgmesh_beside_each_of_five(Config) ->
	ct:comment("Five nodes on five hosts are meshed by a pgmesh beside each, with one session each."),
	Lab = lab:from(Config),
	BeaconsMs = mesh_by_beacons_ms(Lab),
	Hosts = open_hosts(Lab),
	Beams = start_plain(Hosts),
	Us = erlang:system_time(microsecond),
	Daemons = [pgmesh:launch(Host, beside(Host)) || Host <- Hosts],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Ms = links:meshed_after_ms(Us, Beams),
	ct_console:note("start to full mesh of five: ~.1f ms by a pgmesh beside each, ~.1f ms by beacons",
		[Ms, BeaconsMs]),
	[_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS) || Daemon <- Daemons],
	ok = has_sessions(Lab, Daemons).

one_pgmesh_for_five_hosts(Config) ->
	ct:comment("Five nodes on five hosts, named once on the channel, are meshed by one pgmesh elsewhere."),
	Lab = lab:from(Config),
	BeaconsMs = mesh_by_beacons_ms(Lab),
	Beams = start_plain(open_hosts(Lab)),
	Daemon = start_elsewhere(Lab, #{"--introduce" => "all"}),
	Us = lab:notify_all(Lab, names(Beams)),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Ms = links:meshed_after_ms(Us, Beams),
	ct_console:note("NOTIFY to full mesh of five: ~.1f ms by one pgmesh, ~.1f ms by beacons", [Ms, BeaconsMs]),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	ok = has_sessions(Lab, [Daemon]).

one_pgmesh_on_the_host_of_five(Config) ->
	ct:comment("Five nodes of one host, named by nobody, are announced and meshed by the pgmesh there."),
	Lab = lab:from(Config),
	Ear = channel_ear:start(Lab),
	Names = ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1', 'd@127.0.0.1', 'e@127.0.0.1'],
	Beams = beam_node:start_all(Lab, [#{name => Name} || Name <- Names]),
	Daemon = pgmesh:launch(Lab, #{}),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, Names) end, ?BOUND_MS),
	_ = eventually(fun() -> channel_ear:has_heard(Ear, ['pgmesh@127.0.0.1' | Names]) end, ?BOUND_MS),
	[#{<<"local">> := true} = pgmesh:member(Lab, Daemon, Name) || Name <- Names],
	Late = beam_node:start(Lab, #{name => 'late@127.0.0.1', kind => elixir}),
	Ms = eventually(fun() -> links:meshed([Late | Beams]) end, ?BOUND_MS),
	ct_console:note("a sixth node, which nobody named: meshed ~.1f ms after it ran", [Ms]),
	ok.

plain_nodes_among_beacons(Config) ->
	ct:comment("Nodes with a pgmesh beside them and nodes that run the strategy become one mesh."),
	Lab = lab:from(Config),
	[First, Second | Others] = Hosts = open_hosts(Lab),
	Beams = beam_node:start_each([{First, #{name => at(First)}},
		{Second, #{name => at(Second), kind => elixir}}
		| [{Host, #{name => at(Host), beacon => true}} || Host <- Others]]),
	Daemons = [pgmesh:launch(Host, beside(Host)) || Host <- [First, Second]],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	[_ = eventually(fun() -> links:complete(Host, Daemon, Beams) end, ?BOUND_MS)
		|| {Host, Daemon} <- lists:zip([First, Second], Daemons)],
	[[] = links:lost(Beam) || Beam <- Beams],
	5 = length(Hosts),
	ok.

one_name_of_a_cluster_is_enough(Config) ->
	ct:comment("One node of a running cluster named on the channel links pgmesh to all of them."),
	Lab = lab:from(Config),
	[First | Others] = Beams = start_plain(open_hosts(Lab)),
	[true = beam_node:call(Beam, net_kernel, connect_node, [Name])
		|| Beam <- Beams, #{name := Name} <- Others],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Daemon = start_elsewhere(Lab, #{}),
	_ = lab:notify(Lab, maps:get(name, First)),
	Ms = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ct_console:note("one name said: linked to five after ~.1f ms", [Ms]),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	ok.

hidden_nodes_are_left_alone(Config) ->
	ct:comment("A hidden node of this host is not announced, not linked, and introduced to nobody."),
	Lab = lab:from(Config),
	Ear = channel_ear:start(Lab),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	Hidden = beam_node:start(Lab, #{name => 'shell@127.0.0.1', flags => ["-hidden"]}),
	Daemon = pgmesh:start(Lab, #{flags => #{"--introduce" => "all"}}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = lab:notify(Lab, "shell@127.0.0.1"),
	ok = holds(fun() -> beam_node:call(Hidden, erlang, nodes, [connected]) =:= [] end, ?QUIET_MS),
	true = links:meshed(Beams),
	true = pgmesh:sees_mesh(Daemon, names(Beams)),
	%% Once by the test itself.
	1 = channel_ear:times(Ear, 'shell@127.0.0.1'),
	ok.

node_at_the_address_of_its_name_alone(Config) ->
	ct:comment("A node that listens at its host's address and not where EPMD is asked is local all the same."),
	Lab = lab:from(Config),
	ok = loopback_host:alias(Lab, "127.0.0.2"),
	Ear = channel_ear:start(Lab),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.2'}),
	Daemon = pgmesh:start(Lab, #{name => 'pgmesh@127.0.0.2'}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	_ = eventually(fun() -> channel_ear:times(Ear, 'a@127.0.0.2') > 0 end, ?BOUND_MS),
	ok.

observer_introduces_nobody(Config) ->
	ct:comment("With --introduce none nobody is introduced, and nothing runs on anybody's node."),
	Lab = lab:from(Config),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	Daemon = pgmesh:start(Lab, #{flags => #{"--introduce" => "none"}}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ok = holds(fun() -> are_apart(Beams) end, ?QUIET_MS),
	[0 = beam_node:call(Beam, node_view, interpreters, []) || Beam <- Beams],
	#{<<"missing">> := [[0, 1]]} = control_socket:get(Daemon, "/api/v1/matrix"),
	ok.

nothing_local_is_said(Config) ->
	ct:comment("A daemon that heals this host's nodes only, and has none, says so when it starts."),
	Lab = lab:from(Config),
	Daemon = start_elsewhere(Lab, #{}),
	_ = eventually(fun() -> says_that_nothing_is_healed(Daemon) end, ?BOUND_MS),
	ok.

%% Helpers.

open_hosts(Lab) ->
	[loopback_host:open(Lab, "127.0.0." ++ integer_to_list(N)) || N <- lists:seq(2, 6)].

start_plain(Hosts) ->
	beam_node:start_each([{Host, #{name => at(Host)}} || Host <- Hosts]).

at(#{epmd_address := Address}) ->
	list_to_atom("app@" ++ Address).

beside(#{epmd_address := Address}) ->
	Name = "pgmesh@" ++ Address,
	#{name => list_to_atom(Name), log => Name}.

%% On a host without any node.
start_elsewhere(Lab, Flags) ->
	Host = loopback_host:open(Lab, ?ELSEWHERE),
	pgmesh:start(Host, (beside(Host))#{flags => Flags}).

%% The strategy's own time in the same surroundings: the nodes run already, and
%% begin to announce themselves all at once.
mesh_by_beacons_ms(Lab) ->
	Beams = beam_node:start_all(Lab#{channel := "beacons"},
		[#{name => list_to_atom("b" ++ integer_to_list(N) ++ "@127.0.0.1")} || N <- lists:seq(1, 5)]),
	Us = erlang:system_time(microsecond),
	[ok = beam_node:call(Beam, pg_beacon, start_from_env, []) || Beam <- Beams],
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Ms = links:meshed_after_ms(Us, Beams),
	[ok = beam_node:kill(Beam) || Beam <- Beams],
	Ms.

names(Beams) ->
	[Name || #{name := Name} <- Beams].

has_sessions(Lab, Daemons) ->
	Expected = lists:sort([<<"pgmesh/", (atom_to_binary(pgmesh:node_name(Daemon)))/binary>> || Daemon <- Daemons]),
	Expected = [Name || [Name] <- lab:query(Lab, "SELECT application_name FROM pg_stat_activity "
		"WHERE backend_type = 'client backend' AND application_name <> 'pg_session' ORDER BY 1")],
	ok.

are_apart(Beams) ->
	case [Seen || Beam <- Beams, Seen <- [beam_node:call(Beam, erlang, nodes, [])], Seen =/= []] of
		[] -> true;
		Linked -> Linked
	end.

says_that_nothing_is_healed(Daemon) ->
	Log = pgmesh:log(Daemon),
	re:run(Log, "--introduce local nothing is healed") =/= nomatch orelse Log.
