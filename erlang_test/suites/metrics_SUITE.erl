%% What Prometheus is told is what the nodes and Postgres do.
-module(metrics_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 20000).
%% Two announce intervals, of one second here, without an own echo are deafness; the
%% remainder is for a busy machine.
-define(NOTICES_DEAFNESS_MS, 4000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[mesh_is_shown, node_that_dies_is_counted, lost_edge_is_missing_until_it_is_healed, postgres_that_is_away_is_shown,
		deafness_is_shown_though_the_session_stands, wrong_cookies_are_counted_by_kind,
		payloads_and_names_are_counted].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: the mesh.

mesh_is_shown(Config) ->
	ct:comment("Members, pairs and links of three nodes are shown, on the socket and over HTTP, as promtool wants it."),
	Port = free_port:pick(),
	Lab = lab:from(Config),
	{Daemon, _} = start_meshed(Lab, #{"--http" => "127.0.0.1:" ++ integer_to_list(Port)}),
	_ = eventually(fun() -> scrape:shows(Daemon, [
		{<<"pgmesh_members{state=\"up\"}">>, 3}, {<<"pgmesh_members{state=\"refused\"}">>, 0},
		{<<"pgmesh_pairs{state=\"linked\"}">>, 3}, {<<"pgmesh_pairs{state=\"missing\"}">>, 0},
		{<<"pgmesh_pairs_expected">>, 3},
		{<<"pgmesh_node_up{node=\"a@127.0.0.1\"}">>, 1},
		{<<"pgmesh_postgres_up">>, 1}, {<<"pgmesh_postgres_sessions_total">>, 1},
		{<<"pgmesh_epmd_registered">>, 1}, {<<"pgmesh_ready">>, 1}]) end, ?BOUND_MS),
	Series = scrape:series(Daemon),
	3.0 = sum(<<"pgmesh_links{">>, Series),
	3.0 = sum(<<"pgmesh_links_opened_total{">>, Series),
	3.0 = sum(<<"pgmesh_handshake_seconds_count{">>, Series),
	#{<<"pgmesh_received_bytes_total">> := Received, <<"pgmesh_sent_bytes_total">> := Sent} = Series,
	true = Received > 100 andalso Sent > 100,
	_ = eventually(fun() -> scrape:value(Daemon, <<"pgmesh_echo_seconds_count">>) > 0 end, ?BOUND_MS),
	true = scrape:is_accepted(Lab, Daemon),
	Http = {{127, 0, 0, 1}, Port},
	[] = maps:keys(scrape:series(Daemon)) -- maps:keys(scrape:series_at(Http)),
	<<"text/plain; version=0.0.4">> = scrape:content_type(Http),
	ok.

node_that_dies_is_counted(Config) ->
	ct:comment("A killed node is down, its link is closed by kind, and the dials that follow fail by kind."),
	Lab = lab:from(Config),
	{Daemon, [A, _, _]} = start_meshed(Lab, #{}),
	ok = beam_node:kill(A),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_node_up{node=\"a@127.0.0.1\"}">>, 0},
		{<<"pgmesh_node_up{node=\"b@127.0.0.1\"}">>, 1}, {<<"pgmesh_pairs_expected">>, 1},
		{<<"pgmesh_links_closed_total{kind=\"closed_by_peer\"}">>, 1},
		{<<"pgmesh_node_received_bytes_total{node=\"a@127.0.0.1\"}">>, absent}]) end, ?BOUND_MS),
	_ = eventually(fun() -> scrape:value(Daemon,
		<<"pgmesh_dials_failed_total{kind=\"name_unknown\"}">>) > 0 end, ?BOUND_MS),
	Series = scrape:series(Daemon),
	2.0 = sum(<<"pgmesh_links{">>, Series),
	2.0 = sum(<<"pgmesh_links_opened_total{">>, Series) - sum(<<"pgmesh_links_closed_total{">>, Series),
	ok.

%% While the two refuse each other's cookie nobody can heal it. Were partitions
%% prevented, global would cut other edges, too.
lost_edge_is_missing_until_it_is_healed(Config) ->
	ct:comment("A cut edge is missing while it cannot be healed, and counted and timed when it is."),
	#{cookie := Cookie} = Lab = lab:from(Config),
	{Daemon, [A, B, _]} = start_meshed(Lab, #{}, ["-kernel", "prevent_overlapping_partitions", "false"]),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_pairs{state=\"linked\"}">>, 3}]) end, ?BOUND_MS),
	ok = set_cookie(A, B, a_only),
	ok = set_cookie(B, A, b_only),
	true = beam_node:call(A, erlang, disconnect_node, [maps:get(name, B)]),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_pairs{state=\"missing\"}">>, 1},
		{<<"pgmesh_pairs{state=\"linked\"}">>, 2}, {<<"pgmesh_edge_changes_total{change=\"down\"}">>, 1},
		{<<"pgmesh_edges_healed_total">>, 0}]) end, ?BOUND_MS),
	_ = eventually(fun() -> scrape:value(Daemon,
		<<"pgmesh_introduction_results_total{result=\"refused\"}">>) > 0 end, ?BOUND_MS),
	ok = set_cookie(A, B, list_to_atom(Cookie)),
	ok = set_cookie(B, A, list_to_atom(Cookie)),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_pairs{state=\"missing\"}">>, 0},
		{<<"pgmesh_pairs{state=\"linked\"}">>, 3}, {<<"pgmesh_edges_healed_total">>, 1},
		{<<"pgmesh_heal_seconds_count">>, 1}]) end, ?BOUND_MS),
	true = scrape:is_accepted(Lab, Daemon),
	ok.

%% Tests: Postgres.

postgres_that_is_away_is_shown(Config) ->
	ct:comment("A stopped Postgres is not up, reconnects are counted by kind, and the daemon stays ready."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	{Daemon, _} = start_meshed(Lab, #{}),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_frozen">>, 0}]) end, ?BOUND_MS),
	ok = scratch_postgres:down(Postgres, fast),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_postgres_up">>, 0},
		{<<"pgmesh_frozen">>, 1}, {<<"pgmesh_members{state=\"up\"}">>, 3}]) end, ?BOUND_MS),
	Reconnects = scrape:value(Daemon, <<"pgmesh_postgres_reconnects_total">>),
	_ = eventually(fun() -> scrape:value(Daemon, <<"pgmesh_postgres_reconnects_total">>) > Reconnects end, ?BOUND_MS),
	true = scrape:value(Daemon, <<"pgmesh_postgres_failures_total{kind=\"unreachable\"}">>) > 0,
	{200, <<"ready\n">>} = control_socket:ask(Daemon, "/readyz"),
	ok = scratch_postgres:up(Postgres),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_postgres_up">>, 1},
		{<<"pgmesh_postgres_sessions_total">>, 2}]) end, ?BOUND_MS),
	ok.

%% A server that stands still closes nothing.
deafness_is_shown_though_the_session_stands(Config) ->
	ct:comment("A Postgres that stands still is told by metrics and status within two intervals, while its sessions stand."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	{Daemon, _} = start_meshed(Lab, #{}),
	ok = scratch_postgres:freeze(Postgres, everything),
	Ms = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_postgres_up">>, 0},
		{<<"pgmesh_postgres_state{state=\"deaf\"}">>, 1},
		{<<"pgmesh_postgres_failures_total{kind=\"deaf\"}">>, 1},
		{<<"pgmesh_postgres_failures_total{kind=\"closed\"}">>, 0}]) end, ?NOTICES_DEAFNESS_MS),
	ct_console:note("deafness shown ~.1f ms after Postgres froze", [Ms]),
	#{<<"postgres">> := #{<<"state">> := <<"deaf">>, <<"error">> := #{<<"kind">> := <<"deaf">>}}} =
		control_socket:get(Daemon, "/api/v1/status"),
	true = scrape:value(Daemon, <<"pgmesh_last_echo_age_seconds">>) > 1.9,
	{200, <<"ready\n">>} = control_socket:ask(Daemon, "/readyz"),
	ok = scratch_postgres:thaw(Postgres),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_postgres_up">>, 1}]) end, ?BOUND_MS),
	ok.

%% Tests: what others do.

wrong_cookies_are_counted_by_kind(Config) ->
	ct:comment("A node with another cookie is counted by its kind, whoever dials."),
	Lab = lab:from(Config),
	{Daemon, _} = start_meshed(Lab, #{}),
	Stranger = beam_node:start(Lab#{cookie := "another"}, #{name => 'stranger@127.0.0.1'}),
	_ = lab:notify(Lab, "stranger@127.0.0.1"),
	_ = eventually(fun() -> counts_rejected_dials(Daemon) end, ?BOUND_MS),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_members{state=\"refused\"}">>, 1}]) end, ?BOUND_MS),
	Before = scrape:value(Daemon, <<"pgmesh_cookie_rejections_total">>),
	false = beam_node:call(Stranger, net_kernel, connect_node, [pgmesh:node_name(Daemon)]),
	_ = eventually(fun() -> scrape:value(Daemon, <<"pgmesh_cookie_rejections_total">>) > Before end, ?BOUND_MS),
	%% Nobody has proven that name.
	absent = scrape:value(Daemon, <<"pgmesh_node_up{node=\"stranger@127.0.0.1\"}">>),
	ok.

payloads_and_names_are_counted(Config) ->
	ct:comment("What is no name, and names that may not be dialled, are counted by kind."),
	Lab = lab:from(Config),
	{Daemon, _} = start_meshed(Lab, #{"--allow" => "*@127.0.0.1"}),
	_ = lab:notify_all(Lab, ["nonsense", "a@b@c", "a@127.0.0.9"]),
	_ = eventually(fun() -> scrape:shows(Daemon, [{<<"pgmesh_bad_payloads_total{kind=\"at_signs\"}">>, 2},
		{<<"pgmesh_bad_payloads_total{kind=\"too_long\"}">>, 0},
		{<<"pgmesh_names_refused_total{kind=\"not_allowed_here\"}">>, 1}]) end, ?BOUND_MS),
	ok.

%% Helpers.

start_meshed(Lab, DaemonFlags) ->
	start_meshed(Lab, DaemonFlags, []).

start_meshed(Lab, DaemonFlags, Flags) ->
	Names = ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1'],
	Beams = beam_node:start_all(Lab, [#{name => Name, flags => Flags} || Name <- Names]),
	Daemon = pgmesh:start(Lab, #{flags => DaemonFlags}),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, Names) end, ?BOUND_MS),
	{Daemon, Beams}.

set_cookie(Beam, #{name := Name}, Cookie) ->
	true = beam_node:call(Beam, erlang, set_cookie, [Name, Cookie]),
	ok.

sum(Prefix, Series) ->
	Size = byte_size(Prefix),
	lists:sum([Value || {<<Start:Size/binary, _/binary>>, Value} <- maps:to_list(Series), Start =:= Prefix]).

%% Who notices it is the one that is proven to first.
counts_rejected_dials(Daemon) ->
	Series = scrape:series(Daemon),
	0.0 < sum(<<"pgmesh_dials_failed_total{kind=\"cookie_rejected_by_">>, Series).
