%% The command line that scripts depend on: output, exit codes, plain words.
-module(cli_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 10000).
-define(FAILED, 1).
-define(BAD_CONFIGURATION, 78).

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[ping_living_node, ping_unknown_node, rpc_without_arguments, rpc_round_trip,
		names_lists_registered_names, configuration_errors_all_at_once, missing_cookie_file,
		world_readable_cookie_file_warns, second_daemon_of_the_same_name, http_port_taken,
		sigterm_ends_politely].

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

missing_cookie_file(Config) ->
	ct:comment("A cookie file that is not there is a configuration error that names the file."),
	#{directory := Directory} = Lab = lab:from(Config),
	File = filename:join(Directory, "no-such-cookie"),
	Daemon = pgmesh:launch(Lab, #{flags => #{"--cookie-file" => File}}),
	?BAD_CONFIGURATION = pgmesh:await_exit(Daemon, ?BOUND_MS),
	true = says(list_to_binary(File), pgmesh:log(Daemon)),
	ok.

world_readable_cookie_file_warns(Config) ->
	ct:comment("A cookie that everybody may read is a warning, not the end, and is not shown."),
	#{cookie_file := File, cookie := Cookie} = Lab = lab:from(Config),
	ok = file:change_mode(File, 8#644),
	Daemon = pgmesh:start(Lab),
	Log = pgmesh:log(Daemon),
	[_ | _] = [Line || Line <- string:split(Log, "\n", all), says(list_to_binary(File), Line),
		says(<<"warn">>, string:lowercase(Line))],
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

%% Helpers.

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
