%% Nodes of all releases of HOST_RELEASES in one mesh.
-module(otp_mixed_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 90000).
%% Several audits and announcements, which are made once a second.
-define(QUIET_MS, 15000).
%% Nodes before OTP 24 and those from OTP 26 on refuse each other.
-define(LAST_OLD, 23).
-define(FIRST_NEW, 26).
%% Else nodes from OTP 25 on cut their edges to whoever some other node cannot reach.
-define(APART, ["-kernel", "prevent_overlapping_partitions", "false"]).
%% Each pair once, and some of those that do not hold; without a pause it would be hundreds.
-define(QUIET_INTRODUCTIONS, 30).

%% ct.

suite() ->
	[{timetrap, {minutes, 6}}].

all() ->
	[whoever_can_is_linked, edges_that_are_cut_again_are_left_for_a_while].

init_per_testcase(_, Config) ->
	[{lab, Lab} | _] = Opened = container_host:open_lab(Config),
	[{lab, container_host:start_postgres(Lab)} | Opened].

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

whoever_can_is_linked(Config) ->
	ct:comment("pgmesh holds a node of each release, links those that can be, and says who refuse each other."),
	{Daemon, Beams, Releases} = start_all(Config, ?APART),
	{Refusing, Linked} = lists:partition(fun refuse_each_other/1, pairs(Releases)),
	_ = eventually(fun() -> pairs_are(Daemon, Linked, Refusing) end, ?BOUND_MS),
	[] = [{A, B} || {{A, _}, {B, _}} <- Linked, not is_linked(A, B, Beams)],
	Introduced = introductions(Daemon),
	ok = holds(fun() -> pairs_are(Daemon, Linked, Refusing) end, ?QUIET_MS),
	Introduced = introductions(Daemon),
	ct_console:note("~p: ~b pairs linked, ~b excluded", [[Otp || {_, Otp} <- Releases], length(Linked), length(Refusing)]),
	ok.

edges_that_are_cut_again_are_left_for_a_while(Config) ->
	ct:comment("Edges that nodes cut as often as they are healed are healed ever more rarely, all others stay."),
	{Daemon, Beams, _} = start_all(Config, []),
	ok = holds(fun() -> has_all(Daemon, Beams) end, ?QUIET_MS),
	Introduced = introductions(Daemon),
	ct_console:note("~b introductions in ~b s", [Introduced, ?QUIET_MS div 1000]),
	true = Introduced > 0 andalso Introduced =< ?QUIET_INTRODUCTIONS,
	ok.

%% Helpers.

%% A node of each release on a host of its own, all linked to one pgmesh.
start_all(Config, Flags) ->
	Lab = lab:from(Config),
	Hosts = [otp_releases:host(Lab, Release) || Release <- otp_releases:releases()],
	Beams = beam_node:start_each([{Host, #{name => otp_releases:name("app", Host), flags => Flags}} || Host <- Hosts]),
	[Here | _] = Hosts,
	Daemon = pgmesh:start(Here, #{name => otp_releases:name("pgmesh", Here),
		flags => #{"--introduce" => "all", "--audit-interval" => "1s"}}),
	_ = lab:notify_all(Here, [Name || #{name := Name} <- Beams]),
	_ = eventually(fun() -> links:complete(Here, Daemon, Beams) end, ?BOUND_MS),
	{Daemon, Beams, [{Name, list_to_integer(container_host:otp(Host))} || {Host, #{name := Name}} <- lists:zip(Hosts, Beams)]}.

has_all(Daemon, Beams) ->
	#{<<"counts">> := #{<<"up">> := Up}} = Status = control_socket:get(Daemon, "/api/v1/status"),
	Up =:= length(Beams) orelse Status.

pairs(Nodes) ->
	[{A, B} || A <- Nodes, B <- Nodes, A < B].

refuse_each_other({{_, A}, {_, B}}) ->
	min(A, B) =< ?LAST_OLD andalso max(A, B) >= ?FIRST_NEW.

%% What pgmesh says of the pairs; for eventually/2.
pairs_are(Daemon, Linked, Refusing) ->
	Count = length(Linked),
	#{<<"nodes">> := Nodes} = Matrix = control_socket:get(Daemon, "/api/v1/matrix"),
	Excluded = lists:sort([lists:sort([index(A, Nodes), index(B, Nodes)]) || {{A, _}, {B, _}} <- Refusing]),
	case Matrix of
		#{<<"linked">> := Count, <<"missing">> := [], <<"one_way">> := [], <<"unknown">> := [],
			<<"excluded">> := Excluded} -> true;
		Other -> Other
	end.

%% From 0.
index(Name, Nodes) ->
	length(lists:takewhile(fun(Node) -> Node =/= atom_to_binary(Name) end, Nodes)).

is_linked(A, B, Beams) ->
	[Beam] = [Beam || #{name := Name} = Beam <- Beams, Name =:= A],
	lists:member(B, beam_node:call(Beam, erlang, nodes, [])).

introductions(Daemon) ->
	round(scrape:value(Daemon, <<"pgmesh_introductions_total">>)).
