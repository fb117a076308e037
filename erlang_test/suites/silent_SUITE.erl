%% Addresses that accept and never answer cost nobody else anything.
%%
%% The strategy on the BEAM dials one after another, and each silent address
%% holds up everybody behind it for seven seconds.
-module(silent_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 10000).
-define(JOIN_BOUND_MS, 5000).
-define(NEWCOMERS, 5).
-define(SILENT_HOSTS, [{127, 0, 0, N} || N <- lists:seq(11, 20)]).

%% ct.

suite() ->
	[{timetrap, {minutes, 3}}].

all() ->
	[newcomers_join_beside_silent_addresses].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

newcomers_join_beside_silent_addresses(Config) ->
	ct:comment("Ten silent addresses on the channel do not delay the join of a newcomer."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => #{"--announce" => "none", "--introduce" => "none"}}),
	Without = [join_ms(Lab, Daemon, Name, []) || Name <- newcomers("w")],
	_Listeners = [listen_silently(Host, EpmdPort) || Host <- ?SILENT_HOSTS],
	Silent = silent_names(),
	_ = lab:notify_all(Lab, Silent),
	_ = eventually(fun() -> has_tried(Lab, Daemon, Silent) end, ?BOUND_MS),
	With = [join_ms(Lab, Daemon, Name, Silent) || Name <- newcomers("s")],
	ct_console:note("NOTIFY to nodeup: ~.2f ms without, ~.2f ms with ten silent addresses (medians of ~b); "
		"worst ~.2f and ~.2f ms", [links:median(Without), links:median(With), ?NEWCOMERS,
		lists:max(Without), lists:max(With)]),
	true = lists:max(With) < ?JOIN_BOUND_MS,
	ok.

%% Helpers.

newcomers(Prefix) ->
	[list_to_atom(Prefix ++ integer_to_list(N) ++ "@127.0.0.1") || N <- lists:seq(1, ?NEWCOMERS)].

silent_names() ->
	[list_to_atom("silent@" ++ inet:ntoa(Host)) || Host <- ?SILENT_HOSTS].

%% The kernel accepts for us; nobody reads, nobody answers.
listen_silently(Host, EpmdPort) ->
	{ok, Socket} = gen_tcp:listen(EpmdPort, [{ip, Host}, {backlog, 64}]),
	Socket.

has_tried(Lab, Daemon, Names) ->
	case [Name || Name <- Names, pgmesh:member_state(Lab, Daemon, Name) =:= unknown] of
		[] -> true;
		Untried -> {unknown, Untried}
	end.

%% The silent names are said again in the same transaction, before the
%% newcomer's, as live announcers would. A link that was there before the name
%% was said took no time at all.
join_ms(Lab, Daemon, Name, SaidBefore) ->
	Beam = beam_node:start(Lab, #{name => Name}),
	Said = lab:notify_all(Lab, SaidBefore ++ [Name]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	Up = links:nodeup_after(0, Beam, pgmesh:node_name(Daemon)),
	max(0, Up - Said) / 1000.
