%% The command line that scripts depend on: output, exit codes, plain words.
-module(cli_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 10000).
-define(FAILED, 1).
-define(USAGE, 2).
-define(BAD_CONFIGURATION, 78).

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[ping_living_node, ping_unknown_node, rpc_without_arguments, rpc_round_trip,
		names_lists_registered_names, configuration_errors_all_at_once, allow_patterns_that_are_none, missing_cookie_file,
		world_readable_cookie_file_warns, second_daemon_of_the_same_name, http_port_taken,
		sigterm_ends_politely,
		matrix_shows_a_full_mesh, matrix_shows_a_gap_that_connect_closes,
		wait_returns_when_the_mesh_is_full, wait_becomes_the_command, wait_gives_up,
		wait_also_waits_for_the_daemon,
		watch_sees_a_node_come_and_go, watch_ends_with_the_daemon,
		disconnected_node_is_left_alone_until_connect, hold_ends_by_itself, linked_name_is_not_forgotten,
		requests_that_make_no_sense].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

ping_living_node(Config) ->
	ct:comment("ping of a living node prints pong, without any daemon."),
	Lab = lab:from(Config),
	_ = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1', kind => elixir}]),
	[#{exit := 0, stdout := <<"pong", _/binary>>} = call(Lab, ["ping", Name])
		|| Name <- ["a@127.0.0.1", "b@127.0.0.1"]],
	ok.

ping_unknown_node(Config) ->
	ct:comment("ping of an unknown node fails, and says which node on standard error."),
	Lab = lab:from(Config),
	#{exit := ?FAILED, stderr := Stderr} = call(Lab, ["ping", "nobody@127.0.0.1"]),
	true = says(<<"nobody@127.0.0.1">>, Stderr),
	ok.

rpc_without_arguments(Config) ->
	ct:comment("rpc with the default arguments prints the result as an Erlang term."),
	Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	'a@127.0.0.1' = rpc(Lab, ["a@127.0.0.1", "erlang", "node", "[]"]),
	'a@127.0.0.1' = rpc(Lab, ["a@127.0.0.1", "erlang", "node"]),
	ok.

rpc_round_trip(Config) ->
	ct:comment("Binaries, lists, tuples and maps go there and come back as they are."),
	Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	{<<"x">>, [1, 2, 3], {ok, #{a := 1}}} = rpc(Lab, ["a@127.0.0.1", "node_view", "give_back",
		"[<<\"x\">>, [1,2,3], {ok, #{a => 1}}]"]),
	[-2, -1] = rpc(Lab, ["a@127.0.0.1", "lists", "reverse", "[[-1, -2]]"]),
	#{exit := ?FAILED, stderr := Stderr} = call(Lab, ["rpc", "a@127.0.0.1", "erlang", "error", "[oops]"]),
	true = says(<<"oops">>, Stderr),
	ok.

names_lists_registered_names(Config) ->
	ct:comment("names lists what EPMD knows, a daemon of ours included."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'first@127.0.0.1'}),
	_ = pgmesh:start(Lab),
	Registered = scratch_epmd:names(EpmdPort),
	["first", "pgmesh"] = lists:sort(Registered),
	#{exit := 0, stdout := Stdout} = pgmesh:command(Lab, ["names", "127.0.0.1"]),
	[true = says(list_to_binary(Name), Stdout) || Name <- Registered],
	ok.

configuration_errors_all_at_once(Config) ->
	ct:comment("Every wrong setting is named in one go, with the exit code for it."),
	Lab = lab:from(Config),
	Wrong = #{"--name" => "two@at@signs", "--announce-interval" => "banana",
		"--database-url" => "nonsense://x", "--join" => "everybody"},
	Daemon = pgmesh:launch(Lab, #{flags => Wrong}),
	?BAD_CONFIGURATION = pgmesh:await_exit(Daemon, ?BOUND_MS),
	[] = [Flag || Flag <- maps:keys(Wrong), not says(list_to_binary(Flag), pgmesh:log(Daemon))],
	ok.

allow_patterns_that_are_none(Config) ->
	ct:comment("What --allow does not understand is a configuration error that names it."),
	Lab = lab:from(Config),
	lists:foreach(fun(Pattern) ->
		Daemon = pgmesh:launch(Lab, #{flags => #{"--allow" => Pattern}}),
		?BAD_CONFIGURATION = pgmesh:await_exit(Daemon, ?BOUND_MS),
		true = says(<<"--allow">>, pgmesh:log(Daemon)),
		true = says(list_to_binary(Pattern), pgmesh:log(Daemon))
	end, ["10.0.0.0/33", "10.0.0/8", "300.1.1.1", "app_*", "a b@*", ""]).

missing_cookie_file(Config) ->
	ct:comment("A cookie file that is not there is a configuration error that names the file."),
	#{directory := Directory} = Lab = lab:from(Config),
	File = filename:join(Directory, "no-such-cookie"),
	Daemon = pgmesh:launch(Lab, #{flags => #{"--cookie-file" => File}}),
	?BAD_CONFIGURATION = pgmesh:await_exit(Daemon, ?BOUND_MS),
	true = says(list_to_binary(File), pgmesh:log(Daemon)),
	ok.

world_readable_cookie_file_warns(Config) ->
	ct:comment("A cookie that everybody may read is a warning in log and status, not the end, and is not shown."),
	#{cookie_file := File, cookie := Cookie} = Lab = lab:from(Config),
	ok = file:change_mode(File, 8#644),
	Daemon = pgmesh:start(Lab),
	Log = pgmesh:log(Daemon),
	[_ | _] = [Line || Line <- string:split(Log, "\n", all), says(list_to_binary(File), Line),
		says(<<"warn">>, string:lowercase(Line))],
	#{<<"warnings">> := [#{<<"kind">> := <<"cookie_file_exposed">>} | _]} = pgmesh:status(Lab, Daemon),
	false = says(list_to_binary(Cookie), Log),
	ok.

second_daemon_of_the_same_name(Config) ->
	ct:comment("A name that is taken ends the second daemon, in plain words, and spares the first."),
	#{directory := Directory} = Lab = lab:from(Config),
	First = pgmesh:start(Lab),
	Second = pgmesh:launch(Lab, #{log => "pgmesh-second",
		flags => #{"--socket" => filename:join(Directory, "second.sock")}}),
	?FAILED = pgmesh:await_exit(Second, ?BOUND_MS),
	true = says(<<"pgmesh@127.0.0.1">>, pgmesh:log(Second)),
	false = says(<<"panicked">>, pgmesh:log(Second)),
	#{<<"node">> := <<"pgmesh@127.0.0.1">>} = pgmesh:status(Lab, First),
	ok.

http_port_taken(Config) ->
	ct:comment("An HTTP port that is taken ends the daemon and is named."),
	Lab = lab:from(Config),
	{ok, Taken} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
	{ok, Port} = inet:port(Taken),
	Address = "127.0.0.1:" ++ integer_to_list(Port),
	Daemon = pgmesh:launch(Lab, #{flags => #{"--http" => Address}}),
	?FAILED = pgmesh:await_exit(Daemon, ?BOUND_MS),
	true = says(list_to_binary(Address), pgmesh:log(Daemon)),
	false = says(<<"panicked">>, pgmesh:log(Daemon)),
	ok.

sigterm_ends_politely(Config) ->
	ct:comment("SIGTERM ends with 0, soon, and the name is gone from EPMD."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	Daemon = pgmesh:start(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	true = lists:member("pgmesh", scratch_epmd:names(EpmdPort)),
	{Us, 0} = timer:tc(fun() ->
		ok = pgmesh:signal(Daemon, 'TERM'),
		pgmesh:await_exit(Daemon, ?BOUND_MS)
	end),
	ct_console:note("SIGTERM to exit: ~.1f ms", [Us / 1000]),
	_ = eventually(fun() -> not lists:member("pgmesh", scratch_epmd:names(EpmdPort)) end, ?BOUND_MS),
	_ = eventually(fun() -> links:has_no_hidden(Beam, Daemon) end, ?BOUND_MS),
	ok.

matrix_shows_a_full_mesh(Config) ->
	ct:comment("matrix shows three nodes and their three edges, as a grid and as JSON."),
	Lab = lab:from(Config),
	{Daemon, _} = meshed(Lab, ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1']),
	#{exit := 0, stdout := Text} = ask(Lab, Daemon, ["matrix"]),
	true = says(<<"  1  - . .   a@127.0.0.1\n">>, Text),
	true = says(<<"3 nodes, 3 of 3 pairs linked">>, last_line(Text)),
	Short = json(Lab, Daemon, ["matrix", "--json"]),
	#{<<"nodes">> := [<<"a@127.0.0.1">>, <<"b@127.0.0.1">>, <<"c@127.0.0.1">>], <<"linked">> := 3,
		<<"missing">> := [], <<"one_way">> := [], <<"unknown">> := [], <<"excluded">> := []} = Short,
	false = is_map_key(<<"links">>, Short),
	#{<<"links">> := [[0, 1], [0, 2], [1, 2]]} = json(Lab, Daemon, ["matrix", "--json", "--full"]),
	ok.

matrix_shows_a_gap_that_connect_closes(Config) ->
	ct:comment("Where nothing is healed, matrix names the gap, and connect closes it."),
	Lab = lab:from(Config),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	Daemon = pgmesh:start(Lab, #{flags => #{"--introduce" => "none"}}),
	Gap = <<"2 nodes, 0 of 1 pairs linked, 1 missing: a@127.0.0.1 – b@127.0.0.1"/utf8>>,
	_ = eventually(fun() -> shows(Gap, Lab, Daemon) end, ?BOUND_MS),
	#{exit := ?FAILED, stderr := Stderr} = ask(Lab, Daemon, ["wait", "--size", "2", "--timeout", "300ms"]),
	true = says(<<"nodes linked: 2, 1 pair missing">>, Stderr),
	#{exit := 0, stdout := <<"a@127.0.0.1 and b@127.0.0.1 are connected\n">>} =
		ask(Lab, Daemon, ["connect", "a@127.0.0.1", "b@127.0.0.1"]),
	true = links:meshed(Beams),
	true = shows(<<"2 nodes, 1 of 1 pairs linked">>, Lab, Daemon),
	#{exit := 0} = ask(Lab, Daemon, ["connect", "b@127.0.0.1", "a@127.0.0.1"]),
	ok.

wait_returns_when_the_mesh_is_full(Config) ->
	ct:comment("wait goes on until the last node is there and linked to the others."),
	Lab = lab:from(Config),
	First = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	Daemon = pgmesh:start(Lab),
	#{exit := 0} = ask(Lab, Daemon, ["wait", "--size", "2"]),
	true = links:meshed(First),
	Waiting = launch(Lab, Daemon, ["wait", "--size", "3"]),
	Last = beam_node:start(Lab, #{name => 'c@127.0.0.1'}),
	#{exit := 0, stdout := <<"3 nodes, 3 of 3 pairs linked", _/binary>>} =
		pgmesh:await_outcome(Waiting, ?BOUND_MS),
	true = links:meshed([Last | First]),
	ok.

wait_becomes_the_command(Config) ->
	ct:comment("After the wait the command runs, with its arguments, output and exit code."),
	Lab = lab:from(Config),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	Daemon = pgmesh:start(Lab),
	#{exit := 7, stdout := <<"--size\n">>, stderr := <<>>} = ask(Lab, Daemon,
		["wait", "--size", "1", "--", "sh", "-c", "echo $1; exit 7", "sh", "--size"]),
	#{exit := ?FAILED, stderr := Stderr} = ask(Lab, Daemon, ["wait", "--size", "1", "--", "no-such-program"]),
	true = says(<<"no-such-program">>, Stderr),
	ok.

wait_gives_up(Config) ->
	ct:comment("When the time is over wait says how it stands, and runs nothing."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	#{exit := ?FAILED, stdout := <<>>, stderr := Stderr} = ask(Lab, Daemon,
		["wait", "--size", "2", "--timeout", "300ms", "--", "echo", "meshed"]),
	true = says(<<"--size 2 was not reached in 300ms: nodes linked: 0">>, Stderr),
	#{exit := ?USAGE} = ask(Lab, Daemon, ["wait", "--size", "two"]),
	#{exit := ?USAGE} = ask(Lab, Daemon, ["wait", "--size", "2", "--timeout", "2"]),
	ok.

wait_also_waits_for_the_daemon(Config) ->
	ct:comment("wait may be started before the daemon is."),
	#{directory := Directory} = Lab = lab:from(Config),
	Socket = filename:join(Directory, "pgmesh@127.0.0.1.sock"),
	#{exit := ?FAILED, stderr := Stderr} = pgmesh:command(Lab,
		["wait", "--size", "1", "--timeout", "300ms", "--socket", Socket]),
	true = says(<<"no daemon answers">>, Stderr),
	Waiting = pgmesh:launch_command(Lab, ["wait", "--size", "1", "--socket", Socket]),
	_ = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	#{socket := Socket} = pgmesh:start(Lab),
	#{exit := 0} = pgmesh:await_outcome(Waiting, ?BOUND_MS),
	ok.

watch_sees_a_node_come_and_go(Config) ->
	ct:comment("watch --json tells of a node's way in and out, one object on each line."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	Watch = watch(Lab, Daemon, ["--json"]),
	Plain = watch(Lab, Daemon, []),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> has_seen(<<"nodeup">>, <<"a@127.0.0.1">>, Watch) end, ?BOUND_MS),
	ok = beam_node:kill(Beam),
	_ = eventually(fun() -> has_seen(<<"nodedown">>, <<"a@127.0.0.1">>, Watch) end, ?BOUND_MS),
	#{exit := 0} = ask(Lab, Daemon, ["forget", "a@127.0.0.1"]),
	_ = eventually(fun() -> has_seen(<<"forgotten">>, <<"a@127.0.0.1">>, Watch) end, ?BOUND_MS),
	[<<"heard">>, <<"nodeup">>, <<"nodedown">>, <<"forgotten">> | _] =
		told([<<"heard">>, <<"nodeup">>, <<"nodedown">>, <<"forgotten">>], <<"a@127.0.0.1">>, Watch),
	[{match, _} = re:run(At, "^[0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z$") || #{<<"at">> := At} <- events(Watch)],
	_ = eventually(fun() -> length(pgmesh:stdout_lines(Plain)) =:= length(events(Watch)) end, ?BOUND_MS),
	[true = says(Word, iolist_to_binary(pgmesh:stdout_lines(Plain)))
		|| Word <- [<<"nodeup      linked to a@127.0.0.1">>, <<"forgotten   forgot a@127.0.0.1">>]],
	[ok = pgmesh:interrupt(Running) || Running <- [Watch, Plain]],
	[#{exit := 0} = pgmesh:await_outcome(Running, ?BOUND_MS) || Running <- [Watch, Plain]],
	ok.

watch_ends_with_the_daemon(Config) ->
	ct:comment("watch does not outlive the daemon, and says why it ends."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	Watch = watch(Lab, Daemon, []),
	ok = pgmesh:signal(Daemon, 'TERM'),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	#{exit := ?FAILED, stderr := Stderr} = pgmesh:await_outcome(Watch, ?BOUND_MS),
	true = says(<<"the daemon has ended">>, Stderr),
	#{exit := ?FAILED, stderr := Refused} = ask(Lab, Daemon, ["watch"]),
	true = says(<<"no daemon answers">>, Refused),
	ok.

disconnected_node_is_left_alone_until_connect(Config) ->
	ct:comment("disconnect parts a node from all others, and nobody brings it back before connect."),
	Lab = lab:from(Config),
	{Daemon, [A, B, C]} = meshed(Lab, ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1']),
	#{exit := 0, stdout := Stdout} = ask(Lab, Daemon, ["disconnect", "c@127.0.0.1"]),
	true = says(<<"c@127.0.0.1 is disconnected and held until it is connected">>, Stdout),
	_ = eventually(fun() -> parted(Lab, Daemon, [A, B], C) end, ?BOUND_MS),
	%% EPMD is asked who is there several times in this while.
	ok = eventually:holds(fun() -> parted(Lab, Daemon, [A, B], C) end, 1500),
	#{exit := 0} = ask(Lab, Daemon, ["connect", "a@127.0.0.1", "c@127.0.0.1"]),
	_ = eventually(fun() -> links:meshed([A, B, C]) end, ?BOUND_MS),
	#{exit := 0} = ask(Lab, Daemon, ["wait", "--size", "3"]),
	ok.

hold_ends_by_itself(Config) ->
	ct:comment("disconnect --for says until when it holds, and the node comes back then."),
	Lab = lab:from(Config),
	{Daemon, [A, B]} = meshed(Lab, ['a@127.0.0.1', 'b@127.0.0.1']),
	Watch = watch(Lab, Daemon, ["--json"]),
	#{exit := 0, stdout := Stdout} = ask(Lab, Daemon, ["disconnect", "b@127.0.0.1", "--for", "1s"]),
	{match, _} = re:run(Stdout, "held until [0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z"),
	_ = eventually(fun() -> has_seen(<<"released">>, <<"b@127.0.0.1">>, Watch) end, ?BOUND_MS),
	#{exit := 0} = ask(Lab, Daemon, ["wait", "--size", "2"]),
	true = links:meshed([A, B]),
	[<<"held">>, <<"nodedown">>, <<"released">>, <<"nodeup">>] =
		told([<<"held">>, <<"nodedown">>, <<"released">>, <<"nodeup">>], <<"b@127.0.0.1">>, Watch),
	ok.

linked_name_is_not_forgotten(Config) ->
	ct:comment("forget refuses a name that is linked, and takes one that is not."),
	Lab = lab:from(Config),
	{Daemon, [_, B]} = meshed(Lab, ['a@127.0.0.1', 'b@127.0.0.1']),
	#{exit := ?FAILED, stderr := Stderr} = ask(Lab, Daemon, ["forget", "b@127.0.0.1"]),
	true = says(<<"b@127.0.0.1 is linked (disconnect it first)">>, Stderr),
	ok = beam_node:kill(B),
	_ = eventually(fun() -> pgmesh:member_state(Lab, Daemon, 'b@127.0.0.1') =/= <<"up">> end, ?BOUND_MS),
	#{exit := 0} = ask(Lab, Daemon, ["forget", "b@127.0.0.1"]),
	unknown = pgmesh:member(Lab, Daemon, 'b@127.0.0.1'),
	ok.

requests_that_make_no_sense(Config) ->
	ct:comment("Each request that cannot be met is refused with its kind, and a plain word."),
	Lab = lab:from(Config),
	_ = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	Daemon = pgmesh:start(Lab, #{flags => #{"--allow" => "a@*,gone@*,pgmesh@*,hidden@*,127.0.0.0/8"}}),
	_ = pgmesh:start(Lab, #{name => 'hidden@127.0.0.1', log => "hidden"}),
	_ = lab:notify(Lab, "gone@127.0.0.1"),
	[_ = eventually(fun() -> is_known(Name, Lab, Daemon) end, ?BOUND_MS)
		|| Name <- ['b@127.0.0.1', 'gone@127.0.0.1', 'hidden@127.0.0.1']],
	_ = eventually(fun() -> pgmesh:all_up(Lab, Daemon, ['a@127.0.0.1']) end, ?BOUND_MS),
	_ = eventually(fun() -> is_hidden('hidden@127.0.0.1', Lab, Daemon) end, ?BOUND_MS),
	A = <<"a@127.0.0.1">>,
	[{Status, Kind, Path, Body} = refused(Daemon, Path, Body) || {Status, Kind, Path, Body} <- [
		{404, <<"unknown_node">>, "connect", #{a => A, b => <<"x@127.0.0.1">>}},
		{404, <<"unknown_node">>, "disconnect", #{node => <<"x@127.0.0.1">>}},
		{404, <<"unknown_node">>, "forget", #{node => <<"x@127.0.0.1">>}},
		{409, <<"not_linked">>, "connect", #{a => <<"gone@127.0.0.1">>, b => A}},
		{409, <<"not_linked">>, "disconnect", #{node => <<"gone@127.0.0.1">>}},
		{409, <<"still_linked">>, "forget", #{node => A}},
		{422, <<"not_allowed">>, "connect", #{a => A, b => <<"b@127.0.0.1">>}},
		{422, <<"hidden_node">>, "connect", #{a => A, b => <<"hidden@127.0.0.1">>}},
		{422, <<"hidden_node">>, "disconnect", #{node => <<"hidden@127.0.0.1">>}},
		{422, <<"same_node">>, "connect", #{a => A, b => A}},
		{422, <<"own_node">>, "disconnect", #{node => <<"pgmesh@127.0.0.1">>}},
		{422, <<"bad_request">>, "disconnect", #{node => A, for_s => -1}},
		{422, <<"bad_request">>, "disconnect", #{node => <<"no name">>}},
		{422, <<"bad_request">>, "forget", #{name => A}}]],
	#{exit := ?FAILED, stderr := Stderr} = ask(Lab, Daemon, ["connect", "a@127.0.0.1", "b@127.0.0.1"]),
	true = says(<<"b@127.0.0.1 is not allowed here (see --allow)">>, Stderr),
	#{exit := ?USAGE} = ask(Lab, Daemon, ["disconnect", "no-name"]),
	true = pgmesh:all_up(Lab, Daemon, ['a@127.0.0.1']),
	ok.

%% Helpers.

%% Nodes that say nothing on the channel: what links them is pgmesh alone.
meshed(Lab, Names) ->
	Beams = beam_node:start_all(Lab, [#{name => Name} || Name <- Names]),
	Daemon = pgmesh:start(Lab),
	#{exit := 0} = ask(Lab, Daemon, ["wait", "--size", integer_to_list(length(Names)), "--timeout", "20s"]),
	true = links:meshed(Beams),
	{Daemon, Beams}.

ask(Lab, Daemon, Args) ->
	pgmesh:await_outcome(launch(Lab, Daemon, Args), 3 * ?BOUND_MS).

%% The flag comes before a `--`.
launch(Lab, #{socket := Socket}, [Command | Args]) ->
	pgmesh:launch_command(Lab, [Command, "--socket", Socket | Args]).

json(Lab, Daemon, Args) ->
	#{exit := 0, stdout := Json} = ask(Lab, Daemon, Args),
	json_text:decode(Json).

%% Returns when it listens.
watch(Lab, Daemon, Args) ->
	Watch = launch(Lab, Daemon, ["watch" | Args]),
	_ = eventually(fun() -> says(<<"watching">>, pgmesh:stderr(Watch)) end, ?BOUND_MS),
	Watch.

events(Watch) ->
	[json_text:decode(Line) || Line <- pgmesh:stdout_lines(Watch)].

%% Which of these were told of this node, in the order of the telling.
told(Whats, Node, Watch) ->
	[What || #{<<"event">> := What, <<"node">> := N} <- events(Watch), N =:= Node, lists:member(What, Whats)].

has_seen(What, Node, Watch) ->
	Events = events(Watch),
	[] =/= [seen || #{<<"event">> := W, <<"node">> := N} <- Events, W =:= What, N =:= Node] orelse Events.

shows(Line, Lab, Daemon) ->
	#{exit := 0, stdout := Text} = ask(Lab, Daemon, ["matrix"]),
	says(Line, last_line(Text)) orelse Text.

%% The others see each other and not this one, which is held and sees nobody.
parted(Lab, Daemon, Others, #{name := Name} = Apart) ->
	case {links:meshed(Others), links:meshed([Apart]), pgmesh:member_state(Lab, Daemon, Name)} of
		{true, true, <<"held">>} -> true;
		Other -> Other
	end.

is_known(Name, Lab, Daemon) ->
	pgmesh:member(Lab, Daemon, Name) =/= unknown.

is_hidden(Name, Lab, Daemon) ->
	case pgmesh:member(Lab, Daemon, Name) of
		#{<<"hidden">> := IsHidden} -> IsHidden;
		Other -> Other
	end.

refused(Daemon, Path, Body) ->
	{Status, #{<<"error">> := #{<<"kind">> := Kind, <<"message">> := <<_, _/binary>>}}} = post(Daemon, Path, Body),
	{Status, Kind, Path, Body}.

post(#{socket := Socket}, Path, Body) ->
	http_client:request({{local, Socket}, 0}, "POST", "/api/v1/" ++ Path, Body).

last_line(Text) ->
	lists:last(binary:split(string:trim(Text), <<"\n">>, [global])).

call(#{cookie_file := CookieFile} = Lab, Args) ->
	pgmesh:command(Lab, Args ++ ["--cookie-file", CookieFile]).

%% The result that rpc printed, as a term again.
rpc(Lab, Args) ->
	#{exit := 0, stdout := Stdout} = call(Lab, ["rpc" | Args]),
	{ok, Tokens, _} = erl_scan:string(unicode:characters_to_list([Stdout, "."])),
	{ok, Term} = erl_parse:parse_term(Tokens),
	Term.

says(Word, Text) ->
	string:find(Text, Word) =/= nomatch.
