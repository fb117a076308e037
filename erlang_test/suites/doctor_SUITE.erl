%% pgmesh doctor names what is wrong, and what to do about it.
%%
%% Each fault is a real one. A daemon runs with the same settings: its members, its
%% status and its log must carry the kind that doctor names.
-module(doctor_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 15000).
-define(FAILED, 1).
-define(BAD_CONFIGURATION, 78).
-define(OTHER_HOST, {127, 0, 0, 9}).

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[healthy_cluster, healthy_cluster_without_a_daemon, unusable_settings,
		wrong_cookie, short_name_against_long, epmd_is_down, port_is_closed, node_speaks_tls,
		public_address, name_is_taken, nodes_that_differ,
		postgres_is_down, standby, unknown_database, bad_password, tls_is_required,
		pooler_in_transaction_mode, channel_of_64_characters].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: nothing is wrong.

healthy_cluster(Config) ->
	ct:comment("Beside a daemon: all is well, and neither it nor the nodes notice."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	Beams = start_nodes(Lab),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	{0, Report} = pgmesh:doctor(Lab, #{}),
	[] = not_well(Report),
	[<<"a@127.0.0.1">>, <<"z@127.0.0.1">>] = linked(Report),
	[#{<<"message">> := <<"pgmesh runs here", _/binary>>}] = found(<<"daemon">>, Report),
	[<<"a@127.0.0.1">>, <<"z@127.0.0.1">>] = lists:sort(member_names(Lab, Daemon)),
	["a", "pgmesh", "z"] = lists:sort(scratch_epmd:names(EpmdPort)),
	[[] = links:visible_events(Beam) || Beam <- Beams],
	[[] = [Event || #{about := 'pgmesh@127.0.0.1'} = Event <- beam_node:events(Beam)] || Beam <- Beams],
	ok.

healthy_cluster_without_a_daemon(Config) ->
	ct:comment("Without a daemon: all is well, and the name is free again afterwards."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	_ = start_nodes(Lab),
	{0, Report} = pgmesh:doctor(Lab, #{}),
	[] = not_well(Report),
	[<<"a@127.0.0.1">>, <<"z@127.0.0.1">>] = linked(Report),
	_ = eventually(fun() -> lists:sort(scratch_epmd:names(EpmdPort)) =:= ["a", "z"] end, ?BOUND_MS),
	#{exit := 0, stdout := Text} = pgmesh:doctor_text(Lab, #{}),
	nomatch = string:find(Text, "✗"),
	ok.

unusable_settings(Config) ->
	ct:comment("Settings that cannot be used are the first group, all of them, and the exit code is theirs."),
	Lab = lab:from(Config),
	Wrong = #{"--name" => "two@at@signs", "--announce-interval" => "banana"},
	{?BAD_CONFIGURATION, Report} = pgmesh:doctor(Lab, #{flags => Wrong}),
	Failed = [Message || #{<<"outcome">> := <<"failed">>, <<"message">> := Message}
		<- found(<<"settings">>, Report)],
	[] = [Flag || Flag <- maps:keys(Wrong),
		not lists:any(fun(Message) -> string:find(Message, Flag) =/= nomatch end, Failed)],
	ok.

%% Tests: nodes.

wrong_cookie(Config) ->
	ct:comment("A node with another cookie: the cookie is named."),
	Lab = lab:from(Config),
	_ = beam_node:start(Lab#{cookie := "another_cookie"}, #{name => 'a@127.0.0.1', beacon => true}),
	do_name_node(Lab, #{}, 'a@127.0.0.1', <<"cookie_rejected_by_peer">>).

short_name_against_long(Config) ->
	ct:comment("A short name on the channel, while ours is long: the form is named, twice."),
	Lab = lab:from(Config),
	Report = do_name_node(Lab, #{}, 'short@host', <<"long_short_names">>),
	[_] = failed(<<"mesh">>, <<"long_short_names">>, Report),
	ok.

epmd_is_down(Config) ->
	ct:comment("Without the EPMD of this host: named for the host, and for its nodes."),
	#{epmd := Epmd} = Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	ok = scratch_epmd:kill(Epmd),
	Flags = #{"--epmd" => "external"},
	Report = do_name_node(Lab, Flags, 'a@127.0.0.1', <<"epmd_unreachable">>),
	[_] = failed(<<"epmd">>, <<"epmd_unreachable">>, Report),
	ok.

port_is_closed(Config) ->
	ct:comment("A node whose EPMD gives a port at which nobody listens: the port is named."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	_ = false_epmd:start(?OTHER_HOST, EpmdPort, {port, free_port:pick()}),
	do_name_node(Lab, #{}, 'a@127.0.0.9', <<"refused">>).

node_speaks_tls(Config) ->
	ct:comment("A node whose distribution runs over TLS is named as that."),
	#{directory := Directory} = Lab = lab:from(Config),
	#{certificate := Certificate, key := Key} = scratch_certificate:write(Directory),
	Options = filename:join(Directory, "tls.conf"),
	ok = file:write_file(Options, io_lib:format("[{server, [{certfile, ~p}, {keyfile, ~p}]}].",
		[Certificate, Key])),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true,
		flags => ["-proto_dist", "inet_tls", "-ssl_dist_optfile", Options]}),
	do_name_node(Lab, #{}, 'a@127.0.0.1', <<"speaks_tls">>).

public_address(Config) ->
	ct:comment("A name with a public address is not dialled, and named as not allowed."),
	do_name_node(lab:from(Config), #{}, 'a@203.0.113.7', <<"not_allowed_here">>).

name_is_taken(Config) ->
	ct:comment("Our name, held by a node that is no pgmesh: named, and the daemon says the same."),
	Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'pgmesh@127.0.0.1'}),
	Daemon = pgmesh:launch(Lab, #{}),
	?FAILED = pgmesh:await_exit(Daemon, ?BOUND_MS),
	{match, _} = re:run(pgmesh:log(Daemon), "the name pgmesh@127.0.0.1 is taken"),
	{?FAILED, Report} = pgmesh:doctor(Lab, #{}),
	[_] = failed(<<"epmd">>, <<"name_taken">>, Report),
	ok.

nodes_that_differ(Config) ->
	ct:comment("Other ticks than ours, and prevent_overlapping_partitions here and not there: warnings."),
	Lab = lab:from(Config),
	_ = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'b@127.0.0.1', beacon => true, flags => ["-kernel", "net_ticktime", "20",
			"-kernel", "prevent_overlapping_partitions", "false"]},
		#{name => 'z@127.0.0.1', beacon => true,
			flags => ["-kernel", "prevent_overlapping_partitions", "true"]}]),
	{0, Report} = pgmesh:doctor(Lab, #{}),
	Warned = [What || #{<<"outcome">> := <<"warning">>, <<"check">> := What} <- found(<<"mesh">>, Report)],
	[<<"net_ticktime">>, <<"overlapping">>] = lists:sort(Warned),
	ok.

%% Tests: Postgres.

postgres_is_down(Config) ->
	ct:comment("A Postgres that does not run: its port is named, and nothing is said of the channel."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	ok = scratch_postgres:down(Postgres, fast),
	Report = do_name_postgres(Lab, #{}, <<"unreachable">>),
	[#{<<"outcome">> := <<"unchecked">>}] = found(<<"channel">>, Report),
	ok.

standby(Config) ->
	ct:comment("A standby: named as that, after user, password and database have been found good."),
	#{postgres := Primary} = Lab = lab:from(Config),
	Standby = scratch_postgres:start_standby(Lab, Primary),
	Report = do_name_postgres(Lab, #{"--database-url" => url("postgres", port(Standby), "")}, <<"standby">>),
	[<<"dns">>, <<"tcp">>, <<"login">>, <<"database">>] = well(<<"postgres">>, Report),
	%% With its primary beside it, it is no fault.
	Both = survival:database_url([port(Standby), port(Primary)], ""),
	_ = start_nodes(Lab),
	{_, WithPrimary} = pgmesh:doctor(Lab, #{flags => #{"--database-url" => Both}}),
	[] = [Check || #{<<"outcome">> := <<"failed">>} = Check <- found(<<"postgres">>, WithPrimary)],
	ok.

unknown_database(Config) ->
	ct:comment("A database that is not there: named as that."),
	Lab = lab:from(Config),
	Url = "postgres://postgres@127.0.0.1:" ++ integer_to_list(port(Lab)) ++ "/nosuch",
	Report = do_name_postgres(Lab, #{"--database-url" => Url}, <<"unknown_database">>),
	[<<"dns">>, <<"tcp">>, <<"login">>] = well(<<"postgres">>, Report),
	ok.

bad_password(Config) ->
	ct:comment("A password that is wrong: named as that, for people in two lines, and not shown."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	[] = lab:query(Lab, "CREATE ROLE app LOGIN PASSWORD 'right'"),
	ok = scratch_postgres:admit(Postgres, "host all app 127.0.0.1/32 scram-sha-256"),
	Flags = #{"--database-url" => url("app:wrongpassword", port(Lab), "")},
	Report = do_name_postgres(Lab, Flags, <<"authentication">>),
	[<<"dns">>, <<"tcp">>] = well(<<"postgres">>, Report),
	#{exit := ?FAILED, stdout := Text} = pgmesh:doctor_text(Lab, #{flags => Flags}),
	{match, _} = re:run(Text, "✗ [^✗]*\\[authentication\\]\n    → check user and password", [unicode]),
	nomatch = string:find(Text, "wrongpassword"),
	ok.

tls_is_required(Config) ->
	ct:comment("A server that lets us in with TLS only: named as that; with TLS all is well."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	[] = lab:query(Lab, "CREATE ROLE app LOGIN"),
	ok = scratch_postgres:offer_tls(Postgres),
	ok = scratch_postgres:admit(Postgres, "hostssl all app 127.0.0.1/32 trust"),
	Plain = #{"--database-url" => url("app", port(Lab), "?sslmode=disable")},
	Report = do_name_postgres(Lab, Plain, <<"tls_required">>),
	[<<"dns">>, <<"tcp">>] = well(<<"postgres">>, Report),
	WithTls = #{"--database-url" => url("app", port(Lab), "?sslmode=require"), "--channel" => "other"},
	{_, Encrypted} = pgmesh:doctor(Lab, #{flags => WithTls}),
	5 = length(well(<<"postgres">>, Encrypted)),
	ok.

pooler_in_transaction_mode(Config) ->
	ct:comment("pgbouncer in transaction mode: named, although LISTEN succeeds there."),
	Lab = lab:from(Config),
	Pooler = scratch_pgbouncer:start(Lab, transaction),
	Url = survival:database_url([scratch_pgbouncer:port(Pooler)], ""),
	Report = do_name_postgres(Lab, #{"--database-url" => Url}, <<"pooler">>),
	[<<"dns">>, <<"tcp">>, <<"login">>, <<"database">>, <<"role">>] = well(<<"postgres">>, Report),
	ok.

channel_of_64_characters(Config) ->
	ct:comment("A cookie of 64 characters makes a channel that Postgres cuts: a warning, with its kind."),
	#{cookie_file := File} = Lab = lab:from(Config),
	ok = file:write_file(File, lists:duplicate(64, $c)),
	Options = #{flags => #{"--channel" => false}},
	Daemon = pgmesh:start(Lab, Options),
	{0, Report} = pgmesh:doctor(Lab, Options),
	[#{<<"outcome">> := <<"warning">>, <<"remedy">> := Remedy}] =
		of_kind(<<"settings">>, <<"channel_cut">>, Report),
	true = is_one_line(Remedy),
	#{<<"warnings">> := Warnings} = pgmesh:status(Lab, Daemon),
	[_] = [Warning || #{<<"kind">> := <<"channel_cut">>} = Warning <- Warnings],
	ok = is_logged(<<"channel_cut">>, Daemon).

%% Helpers.

start_nodes(Lab) ->
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'z@127.0.0.1', beacon => true}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Beams.

%% The name is said on the channel; whoever is there or not, doctor, members and
%% the log have the same kind.
do_name_node(Lab, Flags, Node, Kind) ->
	Options = #{flags => Flags},
	Daemon = pgmesh:start(Lab, Options),
	_ = lab:notify(Lab, Node),
	_ = eventually(fun() -> member_error(Lab, Daemon, Node) =:= Kind end, ?BOUND_MS),
	ok = is_logged(Kind, Daemon),
	{?FAILED, Report} = pgmesh:doctor(Lab, Options),
	Name = atom_to_binary(Node),
	[#{<<"node">> := Name}] = failed(<<"nodes">>, Kind, Report),
	Report.

member_error(Lab, Daemon, Node) ->
	case pgmesh:member(Lab, Daemon, Node) of
		#{<<"error">> := #{<<"kind">> := Kind}} -> Kind;
		Other -> Other
	end.

%% The same with the status instead of the members.
do_name_postgres(Lab, Flags, Kind) ->
	Options = #{flags => Flags},
	Daemon = pgmesh:launch(Lab, Options),
	_ = eventually(fun() -> postgres_error(Lab, Daemon) =:= Kind end, ?BOUND_MS),
	ok = is_logged(Kind, Daemon),
	{?FAILED, Report} = pgmesh:doctor(Lab, Options),
	[_] = failed(<<"postgres">>, Kind, Report),
	[_] = failed(<<"daemon">>, Kind, Report),
	Report.

postgres_error(Lab, Daemon) ->
	case pgmesh:status(Lab, Daemon) of
		#{<<"postgres">> := #{<<"error">> := #{<<"kind">> := Kind}}} -> Kind;
		Other -> Other
	end.

is_logged(Kind, Daemon) ->
	{match, _} = re:run(pgmesh:log(Daemon), ["kind=\"?", Kind]),
	ok.

found(Group, #{<<"checks">> := Checks}) ->
	[Check || #{<<"group">> := G} = Check <- Checks, G =:= Group].

of_kind(Group, Kind, Report) ->
	[Check || #{<<"kind">> := K} = Check <- found(Group, Report), K =:= Kind].

%% Each with a remedy; cause and remedy are a line each.
failed(Group, Kind, Report) ->
	[Check || #{<<"outcome">> := <<"failed">>, <<"message">> := Message, <<"remedy">> := Remedy} = Check
		<- of_kind(Group, Kind, Report), is_one_line(Message), is_one_line(Remedy)].

is_one_line(Text) ->
	is_binary(Text) andalso Text =/= <<>> andalso string:find(Text, "\n") =:= nomatch.

well(Group, Report) ->
	[What || #{<<"outcome">> := <<"ok">>, <<"check">> := What} <- found(Group, Report)].

not_well(#{<<"checks">> := Checks}) ->
	[Check || #{<<"outcome">> := Outcome} = Check <- Checks, Outcome =/= <<"ok">>].

linked(Report) ->
	lists:sort([Node || #{<<"node">> := Node, <<"outcome">> := <<"ok">>} <- found(<<"nodes">>, Report)]).

member_names(Lab, Daemon) ->
	[Name || #{<<"node">> := Name} <- pgmesh:members(Lab, Daemon)].

url(User, Port, Query) ->
	survival:database_url(User, [Port], Query).

port(#{postgres := Postgres}) ->
	port(Postgres);
port(Postgres) ->
	maps:get(port, scratch_postgres:options(Postgres)).
