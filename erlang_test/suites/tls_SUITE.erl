%% Nodes whose distribution runs over TLS, on IPv4 and IPv6, and a pgmesh that does as they do.
-module(tls_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 30000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[{group, inet_tls}, {group, inet6_tls}, {group, inet6_tcp}].

groups() ->
	Meshed = [nodes_are_meshed_and_healed, tools_reach_a_node],
	OfTls = [only_the_dialled_is_verified, one_version_alone, plain_node_is_named],
	[{inet_tls, [], Meshed ++ OfTls}, {inet6_tls, [], Meshed}, {inet6_tcp, [], Meshed}].

init_per_group(Transport, Config) ->
	[{transport, Transport} | Config].

end_per_group(_, _) ->
	ok.

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

nodes_are_meshed_and_healed(Config) ->
	ct:comment("Both sides show certificates: nodes are dialled, dial, are introduced, and healed."),
	Lab = lab:from(Config),
	Flags = transport_flags(Config, mutual(Lab)),
	Beams = [Left, Right] = beam_node:start_all(Lab, [#{name => at(Alive, Config), flags => Flags} || Alive <- ["a", "b"]]),
	Daemon = start_daemon(Lab, Config, mutual(Lab)),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	#{name := Other} = Right,
	true = beam_node:call(Left, erlang, disconnect_node, [Other]),
	_ = eventually(fun() -> length(links:lost(Left, Other)) >= 1 end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Ours = pgmesh:node_name(Daemon),
	true = beam_node:call(Left, erlang, disconnect_node, [Ours]),
	ok = reaches(Left, Ours),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	ok.

tools_reach_a_node(Config) ->
	ct:comment("ping and rpc with the node's own file."),
	#{cookie_file := CookieFile} = Lab = lab:from(Config),
	Optfile = mutual(Lab),
	#{name := Name} = beam_node:start(Lab, #{name => at("a", Config), flags => transport_flags(Config, Optfile)}),
	Flags = ["--cookie-file", CookieFile | daemon_flags(Config, Optfile)],
	#{exit := 0, stdout := <<"pong", _/binary>>} = pgmesh:command(Lab, ["ping", atom_to_list(Name) | Flags]),
	#{exit := 0, stdout := Answer} = pgmesh:command(Lab, ["rpc", atom_to_list(Name), "erlang", "node", "[]" | Flags]),
	{match, _} = re:run(Answer, atom_to_list(Name)),
	ok.

only_the_dialled_is_verified(Config) ->
	ct:comment("Who dials shows no certificate, in either direction."),
	Lab = lab:from(Config),
	#{certificate := Certificate, key := Key, authority := Authority} = files(Lab),
	Optfile = optfile(Lab, [{certfile, Certificate}, {keyfile, Key}], [{cacertfile, Authority}, {verify, verify_peer}]),
	Beam = beam_node:start(Lab, #{name => at("a", Config), flags => transport_flags(Config, Optfile)}),
	Daemon = start_daemon(Lab, Config, Optfile),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	Ours = pgmesh:node_name(Daemon),
	true = beam_node:call(Beam, erlang, disconnect_node, [Ours]),
	ok = reaches(Beam, Ours),
	ok.

one_version_alone(Config) ->
	ct:comment("Nodes that speak TLS 1.2 alone, and 1.3 alone, beside a pgmesh that speaks both."),
	Lab = lab:from(Config),
	Beams = beam_node:start_all(Lab, [#{name => at(Alive, Config),
		flags => transport_flags(Config, mutual(Lab, [{versions, [Version]}]))}
		|| {Alive, Version} <- [{"old", 'tlsv1.2'}, {"new", 'tlsv1.3'}]]),
	Daemon = start_daemon(Lab, Config, mutual(Lab)),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	Ours = pgmesh:node_name(Daemon),
	[begin
		true = beam_node:call(Beam, erlang, disconnect_node, [Ours]),
		ok = reaches(Beam, Ours)
	end || Beam <- Beams],
	ok.

plain_node_is_named(Config) ->
	ct:comment("A node without TLS waits in silence for more, and is named for it."),
	Lab = lab:from(Config),
	#{name := Name} = beam_node:start(Lab, #{name => at("a", Config)}),
	Daemon = start_daemon(Lab, Config, mutual(Lab), #{"--setup-timeout" => "1s"}),
	_ = lab:notify(Lab, Name),
	_ = eventually(fun() -> kind(Lab, Daemon, Name) =:= <<"timeout_at_tls">> end, ?BOUND_MS),
	ok.

%% Helpers.

%% Our own dial may meet the node's.
reaches(Beam, Node) ->
	_ = eventually(fun() -> beam_node:call(Beam, net_adm, ping, [Node]) =:= pong end, ?BOUND_MS),
	ok.

transport(Config) ->
	proplists:get_value(transport, Config).

at(Alive, Config) ->
	Host = case transport(Config) of
		inet_tls -> "127.0.0.1";
		_ -> "::1"
	end,
	list_to_atom(Alive ++ "@" ++ Host).

transport_flags(Config, Optfile) ->
	case transport(Config) of
		inet6_tcp -> ["-proto_dist", "inet6_tcp"];
		Tls -> ["-proto_dist", atom_to_list(Tls), "-ssl_dist_optfile", Optfile]
	end.

daemon_flags(Config, Optfile) ->
	case transport(Config) of
		inet6_tcp -> [];
		_ -> ["--tls-optfile", Optfile]
	end.

start_daemon(Lab, Config, Optfile) ->
	start_daemon(Lab, Config, Optfile, #{}).

start_daemon(Lab, Config, Optfile, Flags) ->
	Tls = maps:from_list([{Flag, Value} || [Flag, Value] <- [daemon_flags(Config, Optfile)]]),
	pgmesh:start(Lab, #{name => at("pgmesh", Config), flags => maps:merge(Flags, Tls)}).

%% Everybody shows a certificate and verifies the other's.
mutual(Lab) ->
	mutual(Lab, []).

mutual(Lab, More) ->
	{Server, Client} = scratch_authority:mutual(files(Lab), More),
	optfile(Lab, Server, Client).

optfile(#{directory := Directory}, Server, Client) ->
	Name = "tls-" ++ integer_to_list(erlang:unique_integer([positive])) ++ ".conf",
	scratch_authority:write_optfile(filename:join(Directory, Name), Server, Client).

%% Made once for a lab: whoever comes later has the same authority.
files(#{directory := Directory}) ->
	Named = #{certificate => "node.crt", key => "node.key", authority => "ca.crt"},
	case filelib:is_file(filename:join(Directory, "ca.crt")) of
		true -> maps:map(fun(_, Name) -> filename:join(Directory, Name) end, Named);
		false -> scratch_authority:write(Directory, [{127, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 0, 1}])
	end.

kind(Lab, Daemon, Name) ->
	case pgmesh:member(Lab, Daemon, Name) of
		#{<<"error">> := #{<<"kind">> := Kind}} -> Kind;
		Other -> Other
	end.
