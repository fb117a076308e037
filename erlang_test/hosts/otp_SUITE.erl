%% pgmesh with nodes of each OTP, all on hosts of their own.
-module(otp_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).
-import(otp_releases, [name/2]).

-define(BOUND_MS, 60000).
%% In seconds; OTP allows no less.
-define(TICKTIME, 4).

%% ct.

suite() ->
	[{timetrap, {minutes, 4}}].

all() ->
	otp_releases:all().

groups() ->
	otp_releases:groups(fun(Release) ->
		[is_meshed_and_healed, calls_go_both_ways, monitors_and_links_are_answered, ticks_keep_the_link,
			links_go_over_tls]
			++ [nameless_node_gets_a_name || has_dynamic_names(Release)]
	end).

has_dynamic_names(Release) ->
	Release =/= "bullseye".

init_per_group(Group, Config) ->
	otp_releases:enter(Group, Config).

end_per_group(_, _) ->
	ok.

init_per_testcase(_, Config) ->
	[{lab, Lab} | _] = Opened = container_host:open_lab(Config),
	[{lab, container_host:start_postgres(Lab)} | Opened].

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

%% There is no audit meanwhile: only a watcher can tell of the edge.
is_meshed_and_healed(Config) ->
	ct:comment("Nodes that know nobody are dialled, introduced, watched, and healed when their edge is cut."),
	Hosts = [Here, There] = [otp_releases:host(Config), otp_releases:host(Config)],
	Beams = [Left, Right] = beam_node:start_each([{Host, #{name => name("app", Host)}} || Host <- Hosts]),
	#{name := RightName} = Right,
	Daemon = start_daemon(Here, #{"--introduce" => "all", "--audit-interval" => "10m"}),
	_ = lab:notify(Here, RightName),
	_ = eventually(fun() -> links:complete(Here, Daemon, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	true = beam_node:call(Left, erlang, disconnect_node, [RightName]),
	_ = eventually(fun() -> length(links:lost(Left, RightName)) >= 1 end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	ok = beam_node:kill(Right),
	_ = eventually(fun() -> pgmesh:member_state(Here, Daemon, RightName) =/= <<"up">> end, ?BOUND_MS),
	_ = beam_node:revive(There, Right),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end, ?BOUND_MS),
	ok.

calls_go_both_ways(Config) ->
	ct:comment("pgmesh calls and pings a node, with and without a daemon; the node dials, pings and calls it."),
	#{cookie_file := CookieFile} = Here = otp_releases:host(Config),
	There = otp_releases:host(Config),
	#{name := Name} = Beam = beam_node:start(There, #{name => name("app", There)}),
	Called = atom_to_list(Name),
	Release = list_to_binary(container_host:otp(There)),
	#{exit := 0, stdout := <<"pong", _/binary>>} =
		pgmesh:command(Here, ["ping", Called, "--cookie-file", CookieFile]),
	#{exit := 0, stdout := Answer} = pgmesh:command(Here, ["rpc", Called, "erlang", "system_info",
		"[otp_release]", "--cookie-file", CookieFile]),
	{match, _} = re:run(Answer, Release),
	Daemon = start_daemon(Here, #{}),
	Ours = pgmesh:node_name(Daemon),
	_ = eventually(fun() -> beam_node:call(Beam, net_kernel, hidden_connect_node, [Ours]) end, ?BOUND_MS),
	pong = beam_node:call(Beam, net_adm, ping, [Ours]),
	{badrpc, _} = beam_node:call(Beam, rpc, call, [Ours, erlang, node, []]),
	_ = eventually(fun() -> pgmesh:all_up(Here, Daemon, [Name]) end, ?BOUND_MS),
	#{<<"direction">> := <<"acceptor">>} = pgmesh:member(Here, Daemon, Name),
	ok.

monitors_and_links_are_answered(Config) ->
	ct:comment("A monitor of nobody at pgmesh fires, and a link to nobody breaks, with noproc."),
	Here = otp_releases:host(Config),
	There = otp_releases:host(Config),
	Beam = beam_node:start(There, #{name => name("app", There)}),
	Daemon = start_daemon(Here, #{}),
	Ours = pgmesh:node_name(Daemon),
	#{<<"creation">> := Creation} = control_socket:get(Daemon, "/api/v1/status"),
	_ = eventually(fun() -> beam_node:call(Beam, net_kernel, hidden_connect_node, [Ours]) end, ?BOUND_MS),
	noproc = beam_node:call(Beam, hidden_peer, monitor_reason, [Ours]),
	noproc = beam_node:call(Beam, hidden_peer, link_reason, [Ours, Creation]),
	_ = eventually(fun() -> links:complete(Here, Daemon, [Beam]) end, ?BOUND_MS),
	[] = links:lost(Beam, Ours),
	ok.

nameless_node_gets_a_name(Config) ->
	ct:comment("A node that asks for a name gets one from pgmesh, and is linked under it."),
	Here = otp_releases:host(Config),
	There = otp_releases:host(Config),
	Beam = beam_node:start(There, #{name => name("undefined", There)}),
	Daemon = start_daemon(Here, #{}),
	Ours = pgmesh:node_name(Daemon),
	Name = beam_node:call(Beam, hidden_peer, dial, [Ours]),
	_ = eventually(fun() -> pgmesh:member_state(Here, Daemon, Name) =:= <<"up">> end, ?BOUND_MS),
	pong = beam_node:call(Beam, net_adm, ping, [Ours]),
	ok.

links_go_over_tls(Config) ->
	ct:comment("With the node's own optfile it is dialled, and dials, and both verify the other's certificate."),
	#{directory := Directory} = lab:from(Config),
	Here = otp_releases:host(Config),
	There = otp_releases:host(Config),
	Addresses = [Address || Host <- [Here, There], {ok, Address} <- [inet:parse_address(otp_releases:address(Host))]],
	{Server, Client} = scratch_authority:mutual(scratch_authority:write(Directory, Addresses), []),
	Optfile = scratch_authority:write_optfile(filename:join(Directory, "tls.conf"), Server, Client),
	Beam = beam_node:start(There, #{name => name("app", There),
		flags => ["-proto_dist", "inet_tls", "-ssl_dist_optfile", Optfile]}),
	Daemon = start_daemon(Here, #{"--tls-optfile" => Optfile}),
	Ours = pgmesh:node_name(Daemon),
	pong = beam_node:call(Beam, net_adm, ping, [Ours]),
	_ = eventually(fun() -> links:complete(Here, Daemon, [Beam]) end, ?BOUND_MS),
	true = beam_node:call(Beam, erlang, disconnect_node, [Ours]),
	_ = eventually(fun() -> links:complete(Here, Daemon, [Beam]) end, ?BOUND_MS),
	ok.

ticks_keep_the_link(Config) ->
	ct:comment("Ticks keep the link for several times net_ticktime; a frozen node is down, and up again."),
	Here = otp_releases:host(Config),
	There = otp_releases:host(Config),
	Seconds = integer_to_list(?TICKTIME),
	#{name := Name} = Beam = beam_node:start(There, #{name => name("app", There),
		flags => ["-kernel", "net_ticktime", Seconds]}),
	Daemon = start_daemon(Here, #{"--net-ticktime" => Seconds ++ "s"}),
	_ = lab:notify(Here, Name),
	_ = eventually(fun() -> links:complete(Here, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:clear_events(Beam),
	ok = holds(fun() -> links:none_lost([Beam]) end, 3 * ?TICKTIME * 1000),
	ok = beam_node:freeze(Beam),
	_ = eventually(fun() -> pgmesh:member_state(Here, Daemon, Name) =/= <<"up">> end, ?BOUND_MS),
	ok = beam_node:thaw(Beam),
	_ = eventually(fun() -> links:complete(Here, Daemon, [Beam]) end, ?BOUND_MS),
	ok.

%% Helpers.

start_daemon(Host, Flags) ->
	pgmesh:start(Host, #{name => name("pgmesh", Host), flags => Flags}).

names(Beams) ->
	[Name || #{name := Name} <- Beams].
