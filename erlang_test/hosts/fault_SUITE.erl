%% Whatever can break between hosts, and how long pgmesh takes to make it whole.
%%
%% Three hosts with an application and a pgmesh each; host_world says what must be true
%% after each fault. Needs root, for cables.
-module(fault_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).
-import(host_world, [fault/4, hosts/1, replace/2]).

%% To notice, with a net_ticktime of eight seconds, and much load.
-define(FELT_MS, 60000).
%% Longer than two ticks; links must outlive it.
-define(SHORT_MS, 12000).
%% How long a bad line is bad.
-define(BAD_MS, 30000).

%% ct.

suite() ->
	[{timetrap, {minutes, 5}}].

all() ->
	[host_is_cut_off, host_hears_nothing, line_is_bad, host_gets_another_address, host_stands_still,
		programs_are_killed, host_is_rebooted_elsewhere, dns_is_gone, epmd_is_killed, disk_is_full,
		postgres_fails_over, pooler_is_replaced, applications_are_upgraded, sidecars_are_upgraded].

init_per_testcase(_, Config) ->
	container_host:open_lab(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: the network.

host_is_cut_off(Config) ->
	ct:comment("A host's cable is pulled: nothing comes and nothing goes, until all have noticed."),
	World = open(Config),
	[#{lab := Host} = Cut | _] = hosts(World),
	fault("a host is cut off, until all have noticed", 20000, World, {
		fun() -> ok = cable:cut(Host), await_apart(Cut, World) end,
		fun() -> ok = cable:mend(Host), World end}).

host_hears_nothing(Config) ->
	ct:comment("What comes to a host is lost, what it sends arrives."),
	World = open(Config),
	[#{lab := Host} = Deaf | _] = hosts(World),
	fault("one-way loss: a host hears nothing, until all have noticed", 20000, World, {
		fun() -> ok = cable:deafen(Host), await_apart(Deaf, World) end,
		fun() -> ok = cable:mend(Host), World end}).

line_is_bad(Config) ->
	ct:comment("A host loses 30 % of what comes, and all that goes is 200 ms late."),
	World = open(Config),
	[#{lab := Host, daemon := Daemon} | _] = hosts(World),
	fault("30 % loss and 200 ms delay at a host, for half a minute", 20000, World, {
		fun() ->
			ok = cable:worsen(Host, 0.3, 200),
			ok = holds(fun() -> is_map(control_socket:get(Daemon, "/api/v1/status")) end, ?BAD_MS),
			true = cable:was_bad(Host)
		end,
		fun() -> ok = cable:mend(Host), World end}).

host_gets_another_address(Config) ->
	ct:comment("A host loses its interface and gets one with another address; its name leads there."),
	#{lab := #{network := Network} = Lab} = World = open(Config),
	[#{lab := #{container := Container} = Host} = Moved | _] = hosts(World),
	fault("a host gets another address", 30000, World, {
		fun() -> ok = container:unplug(Network, Container), await_apart(Moved, World) end,
		fun() ->
			ok = container:take_free_address(Lab),
			Plugged = container:plug(Network, Container),
			true = container:address(Plugged) =/= container:address(Container),
			replace(Moved#{lab := Host#{container := Plugged}}, World)
		end}).

dns_is_gone(Config) ->
	ct:comment("A host finds no name any more while all its links break; it is whole again without a name."),
	World = open(Config),
	[#{lab := Host} = Blind | _] = hosts(World),
	fault("DNS is gone at a host while its links break", 20000, World, {
		fun() ->
			ok = cable:hide_dns(Host),
			not_found = find_host(Host, "host2.mesh.test"),
			ok = cut_all_edges(Blind),
			%% From the other side it can be found.
			eventually(fun() -> links:meshed([Beam || #{beam := Beam} <- hosts(World)]) end, ?FELT_MS)
		end,
		fun() -> ok = cable:mend(Host), World end}).

%% Tests: hosts and what runs there.

host_stands_still(Config) ->
	ct:comment("All of a host stands still, until the others have given it up."),
	World = open(Config),
	[#{lab := #{container := Container}} = Frozen | _] = hosts(World),
	fault("a host stands still, until the others have noticed", 20000, World, {
		fun() ->
			ok = container:pause(Container),
			eventually(fun() -> host_world:is_seen_by_nobody(Frozen, World) end, ?FELT_MS)
		end,
		fun() -> ok = container:unpause(Container), World end}).

programs_are_killed(Config) ->
	ct:comment("A host's node and its pgmesh are killed, and started again."),
	World = open(Config),
	[#{lab := Host, beam := Beam, daemon := Daemon} = Killed | _] = hosts(World),
	fault("a node and its pgmesh are killed, and started again", 15000, World, {
		fun() ->
			ok = beam_node:kill(Beam),
			ok = pgmesh:kill(Daemon),
			eventually(fun() -> host_world:is_seen_by_nobody(Killed, World) end, ?FELT_MS)
		end,
		fun() ->
			replace(Killed#{beam := beam_node:revive(Host, Beam), daemon := pgmesh:restart(Host, Daemon)}, World)
		end}).

host_is_rebooted_elsewhere(Config) ->
	ct:comment("A host dies as by a power cut, and comes back under its name with another address."),
	World = open(Config),
	[#{lab := #{container := Container}} = Dead | _] = hosts(World),
	fault("a host dies, and comes back with another address", 15000, World, {
		fun() ->
			ok = container:kill(Container),
			eventually(fun() -> host_world:is_seen_by_nobody(Dead, World) end, ?FELT_MS)
		end,
		fun() -> host_world:reboot(Dead, World) end}).

epmd_is_killed(Config) ->
	ct:comment("A host's EPMD dies: no link breaks; it is back, and those that were there are found again."),
	World = open(Config),
	[#{lab := Host, beam := Beam, epmd := Epmd, daemon := Daemon} = Bereft | _] = hosts(World),
	fault("EPMD of a host is killed, and started again", 20000, World, {
		fun() ->
			ok = os_process:signal(Epmd, 'KILL'),
			holds(fun() -> links:none_visible_lost([Beam]) end, ?SHORT_MS)
		end,
		fun() ->
			New = Bereft#{epmd := container_host:start_epmd(Host)},
			Registered = lists:sort(["app", "pgmesh"]),
			_ = eventually(fun() -> container_host:names(Host) =:= Registered end, ?FELT_MS),
			ok = cut_all_edges(New),
			true = beam_node:call(Beam, erlang, disconnect_node, [pgmesh:node_name(Daemon)]),
			replace(New, World)
		end}).

disk_is_full(Config) ->
	ct:comment("A disk is full to which pgmesh logs: it heals as before, and logs again when there is room."),
	World = open(Config, #{docker => ["--tmpfs", "/small:size=256k"], log_directory => "/small"}),
	[#{lab := Host} = Full | _] = hosts(World),
	fault("the disk is full to which pgmesh logs", 15000, World, {
		fun() ->
			"No space left on device" = container_host:run(Host, ["sh", "-c",
				"cat /dev/zero 2>&1 >/small/filler | sed 's/.*: //'"]),
			ok = cut_all_edges(Full),
			eventually(fun() -> host_world:is_whole(World) end, ?FELT_MS)
		end,
		fun() ->
			Logged = length(host_world:daemon_log(Full)),
			_ = container_host:run(Host, ["rm", "/small/filler"]),
			ok = cut_all_edges(Full),
			_ = eventually(fun() -> length(host_world:daemon_log(Full)) > Logged end, ?FELT_MS),
			World
		end}).

%% Tests: Postgres.

postgres_fails_over(Config) ->
	ct:comment("The primary dies as by a power cut, and its standby is promoted."),
	Lab = lab:from(Config),
	Primary = container_postgres:start(Lab, "db1.mesh.test"),
	Standby = container_postgres:start_standby(Lab, "db2.mesh.test", Primary),
	World = host_world:open(with_postgres(Lab, Primary), #{database_hosts => ["db1.mesh.test", "db2.mesh.test"]}),
	fault("Postgres' primary dies, its standby is promoted", 15000, World, {
		fun() ->
			ok = container_postgres:kill(Primary),
			eventually(fun() -> not_listening(World) end, ?FELT_MS)
		end,
		fun() ->
			ok = container_postgres:promote(Standby),
			after_newcomer(World#{lab := with_postgres(Lab, Standby)})
		end}).

pooler_is_replaced(Config) ->
	ct:comment("Behind pgbouncer in session mode, which dies and is replaced by another under its name."),
	Lab = lab:from(Config),
	Postgres = container_postgres:start(Lab, "db1.mesh.test"),
	Pooler = container_postgres:start_pooler(Lab, "pooler.mesh.test", Postgres),
	World = host_world:open(with_postgres(Lab, Postgres), #{database_hosts => ["pooler.mesh.test"]}),
	fault("pgbouncer before Postgres dies, and is replaced", 15000, World, {
		fun() ->
			ok = container_postgres:kill(Pooler),
			eventually(fun() -> not_listening(World) end, ?FELT_MS)
		end,
		fun() ->
			_ = container_postgres:start_pooler(Lab, "pooler.mesh.test", Postgres),
			after_newcomer(World)
		end}).

%% Tests: upgrades.

applications_are_upgraded(Config) ->
	ct:comment("One application after the other is stopped and started anew; the others stay linked."),
	World = open(Config),
	fault("rolling upgrade of all applications", 15000, World, {
		fun() -> ok end,
		fun() -> lists:foldl(fun upgrade_application/2, World, hosts(World)) end}).

sidecars_are_upgraded(Config) ->
	ct:comment("One pgmesh after the other is stopped and started anew; no link between applications breaks."),
	World = open(Config),
	Beams = [Beam || #{beam := Beam} <- hosts(World)],
	fault("rolling upgrade of all sidecars", 15000, World, {
		fun() -> ok end,
		fun() ->
			Upgraded = lists:foldl(fun upgrade_daemon/2, World, hosts(World)),
			[] = [Event || Beam <- Beams, #{what := nodedown} = Event <- links:visible_events(Beam)],
			Upgraded
		end}).

%% Helpers.

open(Config) ->
	open(Config, #{}).

open(Config, Options) ->
	host_world:open(container_host:start_postgres(lab:from(Config)), Options).

with_postgres(Lab, Server) ->
	Lab#{postgres_options => container_postgres:options(Server)}.

%% Both sides must have noticed: else some links may never have been down.
await_apart(Host, World) ->
	_ = eventually(fun() -> host_world:sees_nobody(Host) end, ?FELT_MS),
	eventually(fun() -> host_world:is_seen_by_nobody(Host, World) end, ?FELT_MS).

not_listening(World) ->
	[] =:= [Number || #{number := Number, daemon := Daemon} <- hosts(World), host_world:listens(Daemon) =:= true].

find_host(Host, Name) ->
	case container_host:run(Host, ["sh", "-c", "timeout 3 getent hosts \"$0\" || true", Name]) of
		"" -> not_found;
		Address -> Address
	end.

%% Some are cut by others meanwhile, who would prevent overlapping partitions.
cut_all_edges(#{beam := Beam}) ->
	[beam_node:call(Beam, erlang, disconnect_node, [Node]) || Node <- beam_node:call(Beam, erlang, nodes, [])],
	ok.

%% That all hear again shows a node that dies and comes new.
after_newcomer(World) ->
	#{lab := Lab, beam := Beam} = Host = lists:last(hosts(World)),
	ok = beam_node:kill(Beam),
	_ = eventually(fun() -> host_world:is_seen_by_nobody(Host, World) end, ?FELT_MS),
	replace(Host#{beam := beam_node:revive(Lab, Beam)}, World).

upgrade_application(#{lab := Lab, beam := Beam} = Host, World) ->
	ok = beam_node:call(Beam, init, stop, []),
	0 = beam_node:await_exit(Beam, ?FELT_MS),
	_ = eventually(fun() -> host_world:is_seen_by_nobody(Host, World) end, ?FELT_MS),
	Upgraded = replace(Host#{beam := beam_node:revive(Lab, Beam)}, World),
	_ = eventually(fun() -> host_world:is_whole(Upgraded) end, ?FELT_MS),
	Upgraded.

upgrade_daemon(#{lab := Lab, daemon := Daemon} = Host, World) ->
	ok = pgmesh:signal(Daemon, 'TERM'),
	0 = pgmesh:await_exit(Daemon, ?FELT_MS),
	Upgraded = replace(Host#{daemon := pgmesh:restart(Lab, Daemon)}, World),
	_ = eventually(fun() -> host_world:is_whole(Upgraded) end, ?FELT_MS),
	Upgraded.
