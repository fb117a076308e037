%% The configuration file: read, checked offline, and read again on SIGHUP.
%%
%% A reload changes what the daemon does from then on, and costs no link.
-module(config_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 15000).
-define(QUIET_MS, 2000).
-define(FAILED, 1).
-define(BAD_CONFIGURATION, 78).
-define(ENDED_BY_SIGHUP, 129).
-define(A, 'a@127.0.0.1').
-define(B, 'b@127.0.0.1').

%% ct.

suite() ->
	[{timetrap, {minutes, 1}}].

all() ->
	[file_gives_the_settings, variable_wins_over_the_file, every_mistake_in_a_file_is_named_at_once,
		files_that_cannot_be_used_are_bad_configuration, validate_says_what_each_setting_is,
		wider_allow_links_who_was_refused, introductions_begin_and_end, leader_that_may_no_longer_lead,
		observer_begins_to_speak_and_falls_silent, peers_come_and_go, level_of_the_log,
		bad_file_changes_nothing, what_takes_a_restart, without_a_file].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: the file.

file_gives_the_settings(Config) ->
	ct:comment("A daemon whose settings all stand in a file works, with paths beside that file."),
	Lab = lab:from(Config),
	Daemon = start(Lab, [{"channel", "\"cluster\""}, {"min-cluster", "1"}, {"prune", "true"}]),
	_ = beam_node:start(Lab, #{name => ?A, beacon => true}),
	_ = eventually(fun() -> pgmesh:all_up(Lab, Daemon, [?A]) end, ?BOUND_MS),
	true = logged(Daemon, "min-cluster=1 (file)"),
	true = logged(Daemon, "prune=yes (file)"),
	ok.

variable_wins_over_the_file(Config) ->
	ct:comment("A flag wins over a variable, a variable over the file, the file over DATABASE_URL."),
	Lab = lab:from(Config),
	File = write(Lab, [{"join", "\"local\""}, {"expiry", "\"1m\""} | needed(Lab)]),
	Environment = [{"PGMESH_EXPIRY", "2m"}, {"DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"},
		{"PGMESH_CONFIG", File}, {"PGMESH_COOKIE", "from_a_variable"}],
	#{exit := 0, stdout := Stdout} = pgmesh:command(Lab, ["validate", "--join", "all"],
		#{env => Environment}),
	["all", "flag"] = setting(Stdout, "join"),
	["2m", "variable"] = setting(Stdout, "expiry"),
	[_, "file"] = setting(Stdout, "database-url"),
	["-", "default"] = setting(Stdout, "cookie-file"),
	ok.

every_mistake_in_a_file_is_named_at_once(Config) ->
	ct:comment("Each mistake is told with its line, beside those of flags; the exit code says configuration."),
	#{directory := Directory} = Lab = lab:from(Config),
	File = filename:join(Directory, "pgmesh.toml"),
	ok = file:write_file(File, "announce_interval = \"1s\"\njoin = \"everybody\"\nlisten = 1\n"),
	#{exit := ?BAD_CONFIGURATION, stderr := Stderr, stdout := <<>>} =
		pgmesh:command(Lab, ["validate", File, "--expiry", "soon"]),
	[true = says(Expected, Stderr) || Expected <- ["pgmesh.toml:1: announce_interval",
		"did you mean announce-interval?", "pgmesh.toml:2: join", "pgmesh.toml:3: listen", "--expiry"]],
	Daemon = pgmesh:launch(Lab, #{flags => #{"--config" => File}}),
	?BAD_CONFIGURATION = pgmesh:await_exit(Daemon, ?BOUND_MS),
	true = logged(Daemon, "pgmesh.toml:1: announce_interval"),
	ok.

files_that_cannot_be_used_are_bad_configuration(Config) ->
	ct:comment("validate judges certificates that are not there as any bad setting; a daemon may be tried again."),
	#{directory := Directory} = Lab = lab:from(Config),
	Missing = #{"--tls-cert" => "/nonexistent/cert.pem", "--tls-ca" => "/nonexistent/ca.pem"},
	Flags = lists:append([[Flag, File] || {Flag, File} <- maps:to_list(Missing)]),
	Cookie = ["--cookie-file", filename:join(Directory, "cookie")],
	#{exit := ?BAD_CONFIGURATION, stderr := Stderr} = pgmesh:command(Lab, ["validate" | Cookie ++ Flags]),
	true = says("/nonexistent/c", Stderr),
	Daemon = pgmesh:launch(Lab, #{flags => Missing}),
	?FAILED = pgmesh:await_exit(Daemon, ?BOUND_MS),
	ok.

validate_says_what_each_setting_is(Config) ->
	ct:comment("validate shows every setting and where it comes from, without a daemon and without secrets."),
	Lab = lab:from(Config),
	File = write(Lab, [{"allow", "[\"app_*@*\", \"10.0.0.0/8\"]"},
		{"database-url", "\"postgres://app:a_password@127.0.0.1:1/app\""} | needed(Lab)]),
	ok = file:change_mode(File, 8#644),
	#{exit := 0, stdout := Stdout} = pgmesh:command(Lab, ["validate", File]),
	true = says(File ++ " is good", Stdout),
	["app_*@*,10.0.0.0/8", "file"] = setting(Stdout, "allow"),
	[_, "file"] = setting(Stdout, "database-url"),
	["30s", "default"] = setting(Stdout, "audit-interval"),
	true = says("config_file_exposed", Stdout),
	false = says("a_password", Stdout),
	ok.

%% Tests: reloads that change something.

wider_allow_links_who_was_refused(Config) ->
	ct:comment("A name that was not allowed is linked once the file allows it; narrower again, the link stays."),
	Lab = lab:from(Config),
	Daemon = start(Lab, [{"allow", "[\"nobody@*\"]"}]),
	Beam = beam_node:start(Lab, #{name => ?A, beacon => true}),
	_ = eventually(fun() -> pgmesh:member_state(Lab, Daemon, ?A) =:= <<"refused">> end, ?BOUND_MS),
	ok = reload(Lab, Daemon, [{"allow", "[\"a@*\"]"}]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	true = logged(Daemon, "allow is now a@*, was nobody@*"),
	ok = beam_node:clear_events(Beam),
	ok = reload(Lab, Daemon, [{"allow", "[\"nobody@*\"]"}]),
	ok = holds(fun() -> links:none_lost([Beam]) end, ?QUIET_MS),
	true = links:complete(Lab, Daemon, [Beam]),
	ok.

introductions_begin_and_end(Config) ->
	ct:comment("An observer that is told to introduce heals; a healer that is told not to leaves edges as they are."),
	Lab = lab:from(Config),
	Daemon = start(Lab, [{"introduce", "\"none\""}]),
	[A, _] = Beams = beam_node:start_all(Lab, [#{name => ?A}, #{name => ?B}]),
	_ = lab:notify_all(Lab, [?A, ?B]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[] = beam_node:call(A, erlang, nodes, []),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = reload(Lab, Daemon, [{"introduce", "\"all\""}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	true = links:none_lost(Beams),
	ok = reload(Lab, Daemon, [{"introduce", "\"none\""}]),
	ok = links:await_global(Beams),
	true = beam_node:call(A, erlang, disconnect_node, [?B]),
	ok = holds(fun() -> beam_node:call(A, erlang, nodes, []) =:= [] end, ?QUIET_MS),
	[true = links:has_hidden(Beam, Daemon) || Beam <- Beams],
	ok.

leader_that_may_no_longer_lead(Config) ->
	ct:comment("A daemon that led and is told to introduce its own host's nodes only lets another one lead."),
	Lab = lab:from(Config),
	First = start(Lab, [{"introduce", "\"all\""}]),
	_ = eventually(fun() -> leads(First) end, ?BOUND_MS),
	Second = pgmesh:start(Lab, #{name => 'other@127.0.0.1', log => "other",
		flags => #{"--introduce" => "all"}}),
	false = leads(Second),
	ok = reload(Lab, First, [{"introduce", "\"local\""}]),
	_ = eventually(fun() -> leads(Second) end, ?BOUND_MS),
	false = leads(First),
	ok.

observer_begins_to_speak_and_falls_silent(Config) ->
	ct:comment("Whose names are said changes with the file, and our ears are proven either way."),
	Lab = lab:from(Config),
	Ear = channel_ear:start(Lab),
	Daemon = start(Lab, [{"announce", "\"none\""}]),
	0 = channel_ear:times(Ear, pgmesh:node_name(Daemon)),
	ok = reload(Lab, Daemon, [{"announce", "\"local\""}, {"announce-interval", "\"200ms\""}]),
	_ = eventually(fun() -> channel_ear:has_heard(Ear, [pgmesh:node_name(Daemon)]) end, ?BOUND_MS),
	_ = eventually(fun() -> hears(Lab, Daemon) end, ?BOUND_MS),
	ok = reload(Lab, Daemon, [{"announce", "\"none\""}]),
	_ = eventually(fun() -> hears(Lab, Daemon) end, ?BOUND_MS),
	Said = channel_ear:times(Ear, pgmesh:node_name(Daemon)),
	ok = holds(fun() -> channel_ear:times(Ear, pgmesh:node_name(Daemon)) =:= Said end, ?QUIET_MS),
	true = hears(Lab, Daemon),
	ok.

peers_come_and_go(Config) ->
	ct:comment("A node that no EPMD knows and nobody says is linked while the file names it, and kept meanwhile."),
	Lab = lab:from(Config),
	Port = integer_to_list(free_port:pick()),
	Name = 'a@127.0.0.2',
	Beam = beam_node:start(Lab, #{name => Name, flags => ["-erl_epmd_port", Port]}),
	Daemon = start(Lab, []),
	ok = reload(Lab, Daemon, [{"peers", "{ 'a@127.0.0.2' = " ++ Port ++ " }"}]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	true = logged(Daemon, "peers is now a@127.0.0.2=" ++ Port ++ ", was default"),
	ok = beam_node:kill(Beam),
	_ = eventually(fun() -> pgmesh:member_state(Lab, Daemon, Name) =/= <<"up">> end, ?BOUND_MS),
	Forget = ["forget", atom_to_list(Name), "--socket", maps:get(socket, Daemon)],
	#{exit := 1, stderr := Refused} = pgmesh:command(Lab, Forget),
	true = says("is one of our --peers", Refused),
	ok = reload(Lab, Daemon, []),
	_ = eventually(fun() -> pgmesh:member(Lab, Daemon, Name) =:= unknown end, ?BOUND_MS),
	ok.

level_of_the_log(Config) ->
	ct:comment("The log becomes chatty, and quiet again, by the file."),
	Lab = lab:from(Config),
	Daemon = start(Lab, [{"log", "\"warn\""}]),
	false = logged(Daemon, " INFO "),
	ok = change(Lab, Daemon, [{"log", "\"debug\""}]),
	_ = eventually(fun() -> logged(Daemon, "log is now debug, was warn") end, ?BOUND_MS),
	_ = lab:notify(Lab, ?A),
	_ = eventually(fun() -> logged(Daemon, " INFO heard a@127.0.0.1") end, ?BOUND_MS),
	%% All is taken over at once, and this can be seen.
	ok = change(Lab, Daemon, [{"log", "\"warn\""}, {"introduce", "\"none\""}]),
	_ = eventually(fun() -> introduces(Daemon) =:= <<"none">> end, ?BOUND_MS),
	_ = lab:notify(Lab, ?B),
	_ = eventually(fun() -> pgmesh:member(Lab, Daemon, ?B) =/= unknown end, ?BOUND_MS),
	false = logged(Daemon, "heard b@127.0.0.1"),
	ok.

%% Tests: reloads that change nothing.

bad_file_changes_nothing(Config) ->
	ct:comment("With one mistake in the file everything stays, and every mistake is an error in the log."),
	Lab = lab:from(Config),
	Daemon = start(Lab, []),
	Beam = beam_node:start(Lab, #{name => ?A, beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:clear_events(Beam),
	ok = change(Lab, Daemon, [{"introduce", "\"none\""}, {"expiry", "5"}, {"jion", "\"all\""}]),
	_ = eventually(fun() -> logged(Daemon, "everything stays as it was") end, ?BOUND_MS),
	2 = length([Line || Line <- log_lines(Daemon), says(" ERROR ", Line), says("bad_setting", Line)]),
	#{<<"scopes">> := #{<<"introduce">> := <<"local">>}} = pgmesh:status(Lab, Daemon),
	ok = reload(Lab, Daemon, [{"introduce", "\"none\""}]),
	#{<<"scopes">> := #{<<"introduce">> := <<"none">>}} = pgmesh:status(Lab, Daemon),
	true = links:none_lost([Beam]),
	ok.

what_takes_a_restart(Config) ->
	ct:comment("What cannot change while the daemon runs is named, and stays."),
	Lab = lab:from(Config),
	Daemon = start(Lab, []),
	ok = reload(Lab, Daemon, [{"http", "\"127.0.0.1:1\""}, {"net-ticktime", "\"9s\""}, {"min-cluster", "2"}]),
	[true = logged(Daemon, Setting ++ " but takes a restart") || Setting <-
		["http was changed from default to 127.0.0.1:1,", "net-ticktime was changed from 60s to 9s,"]],
	true = logged(Daemon, "min-cluster is now 2, was 0"),
	true = logged(Daemon, "reloaded: 1 changed, 2 waiting for a restart"),
	ok.

without_a_file(Config) ->
	ct:comment("A daemon that has no file ends with its terminal, as any program does."),
	Daemon = pgmesh:start(lab:from(Config)),
	ok = pgmesh:signal(Daemon, 'HUP'),
	?ENDED_BY_SIGHUP = pgmesh:await_exit(Daemon, ?BOUND_MS),
	ok.

%% Helpers.

%% A daemon whose settings stand in a file, but for the socket by which it is asked.
start(Lab, Lines) ->
	File = write(Lab, Lines ++ needed(Lab)),
	Flags = maps:from_list([{Flag, false} || Flag <- ["--name", "--cookie-file", "--database-url",
		"--channel", "--announce-interval", "--net-ticktime", "--http", "--log"]]),
	pgmesh:start(Lab, #{flags => Flags#{"--config" => File}}).

%% Another file, and returns when the daemon has read it and found it good.
reload(Lab, Daemon, Lines) ->
	Before = reloads(Daemon),
	ok = change(Lab, Daemon, Lines),
	_ = eventually(fun() -> reloads(Daemon) =:= Before + 1 end, ?BOUND_MS),
	ok.

change(Lab, Daemon, Lines) ->
	_ = write(Lab, Lines ++ needed(Lab)),
	pgmesh:signal(Daemon, 'HUP').

reloads(Daemon) ->
	length([Line || Line <- log_lines(Daemon), says(" reloaded: ", Line)]).

%% Of a setting that stands twice the first line counts.
write(#{directory := Directory}, Lines) ->
	File = filename:join(Directory, "pgmesh.toml"),
	Unique = [Line || {Index, {Key, _} = Line} <- lists:enumerate(Lines),
		not lists:keymember(Key, 1, lists:sublist(Lines, Index - 1))],
	ok = file:write_file(File, [[Key, " = ", Value, "\n"] || {Key, Value} <- Unique]),
	File.

needed(Lab) ->
	#{host := Host, port := Port, user := User, database := Database} = lab:postgres(Lab),
	Url = io_lib:format("\"postgres://~s@~s:~b/~s\"", [User, Host, Port, Database]),
	[{"name", "\"pgmesh@127.0.0.1\""}, {"cookie-file", "\"cookie\""}, {"database-url", Url},
		{"channel", "\"cluster\""}, {"announce-interval", "\"1s\""}].

%% Value and source, as validate shows them.
setting(Stdout, Name) ->
	[Found] = [Words || Line <- string:split(Stdout, "\n", all),
		[First | Words] <- [[binary_to_list(Word) || Word <- string:lexemes(Line, " ")]], First =:= Name],
	Found.

leads(Daemon) ->
	case control_socket:get(Daemon, "/api/v1/status") of
		#{<<"leader">> := Leads} -> Leads;
		Other -> Other
	end.

introduces(Daemon) ->
	#{<<"scopes">> := #{<<"introduce">> := Scope}} = control_socket:get(Daemon, "/api/v1/status"),
	Scope.

hears(Lab, Daemon) ->
	case pgmesh:postgres_state(Lab, Daemon) of
		<<"listening">> -> true;
		Other -> Other
	end.

log_lines(Daemon) ->
	string:split(pgmesh:log(Daemon), "\n", all).

logged(Daemon, What) ->
	says(What, pgmesh:log(Daemon)).

says(What, Text) ->
	string:find(Text, What) =/= nomatch.
