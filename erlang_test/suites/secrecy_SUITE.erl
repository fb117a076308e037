%% Nothing that pgmesh prints shows the cookie or a database password.
%%
%% Everything is run that there is, with everything wrong that goes wrong in practice,
%% at the chattiest level of the log; then all of it is searched. Whoever adds a
%% command or a page adds it to commands/1 or pages/0.
-module(secrecy_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 15000).
-define(HTTP, {127, 0, 0, 1}).
%% Of characters that channels, URLs and terms write otherwise.
-define(COOKIE, "Geheimer-Keks/47%11").
-define(OTHER_COOKIE, "Anderer-Keks/08%15").
-define(PASSWORD, "Sesam-oeffne/dich%23").
-define(WRONG_PASSWORD, "Sesam-bleibe/zu%42").
-define(ROLE, "keeper").
-define(A, 'a@127.0.0.1').
-define(B, 'b@127.0.0.1').
-define(STRANGER, 'stranger@127.0.0.1').

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[full_run_in_text, full_run_in_json, settings_that_are_wrong].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

full_run_in_text(Config) ->
	ct:comment("A full run that logs text shows no secret, and every line of its log is a line of a log."),
	Log = full_run(with_secrets(lab:from(Config)), "text"),
	Line = <<"^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z +(ERROR|WARN|INFO|DEBUG|TRACE) \\S">>,
	[] = [Other || Other <- lines(Log), re:run(Other, Line) =:= nomatch],
	ok.

full_run_in_json(Config) ->
	ct:comment("A full run that logs JSON shows no secret, and every line has a time, a level and a message."),
	Log = full_run(with_secrets(lab:from(Config)), "json"),
	Utc = <<"^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$">>,
	[begin
		#{<<"timestamp">> := Time, <<"level">> := _, <<"message">> := <<_, _/binary>>} = json_text:decode(Line),
		{match, _} = re:run(Time, Utc)
	end || Line <- lines(Log)],
	ok.

settings_that_are_wrong(Config) ->
	ct:comment("What is wrong with settings that hold secrets is told without them."),
	#{directory := Directory} = Lab = with_secrets(lab:from(Config)),
	Url = fun(Rest) -> "postgres://" ?ROLE ":" ++ encoded(?PASSWORD) ++ Rest end,
	%% Unescaped, its slash ends the host.
	Urls = [Url("@127.0.0.1:port/db"), Url("@127.0.0.1/db?nonsense=1"),
		"postgres://" ?ROLE ":" ?PASSWORD "@127.0.0.1/db", "host=127.0.0.1 password=" ?PASSWORD " x",
		"host=127.0.0.1 password='" ?PASSWORD],
	Broken = filename:join(Directory, "broken.toml"),
	Files = [["database-url = \"", Url("@h/d\n")], ["cookie = \"", ?COOKIE, "\"\n"],
		["database_url = \"", Url("@h/d\"\n")], ["database-url = [\"", Url("@h/d\"]\n")],
		["cookie-file = \"cookie\"\ndatabase-url = \"", Url("@h:x/d\"\n")]],
	Printed = [validate(Lab, [{"PGMESH_DATABASE_URL", Value}], []) || Value <- Urls]
		++ [validate(Lab, [{"DATABASE_URL", Value}], []) || Value <- Urls]
		++ [begin
			ok = file:write_file(Broken, File),
			validate(Lab, [], [Broken])
		end || File <- Files]
		++ [validate(Lab, [{"PGMESH_COOKIE", lists:append(lists:duplicate(30, ?COOKIE))}], []),
			validate(Lab, [{"PGMESH_COOKIE", ?COOKIE}, {"PGMESH_CHANNEL", ""}, {"PGPASSWORD", ?PASSWORD},
				{"PGHOST", "127.0.0.1"}, {"PGPORT", "x"}], [])],
	[] = [Exit || #{exit := Exit} <- Printed, Exit =/= 78],
	ok = no_secret_in([{Index, Stdout, Stderr} || {Index, #{stdout := Stdout, stderr := Stderr}} <- lists:enumerate(Printed)]).

%% The run.

%% Returns what the daemon has logged.
full_run(Lab, Format) ->
	Lost = failing_daemon(Lab, Format),
	Manager = service_manager:open(Lab),
	Daemon = start(Lab, Format, service_manager:environment(Manager)),
	[A | _] = beam_node:start_all(Lab, [#{name => ?A}, #{name => ?B}]),
	_ = beam_node:start(Lab#{cookie := ?OTHER_COOKIE}, #{name => ?STRANGER}),
	_ = eventually(fun() -> pgmesh:all_up(Lab, Daemon, [?A, ?B]) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, [?A, ?B]) end, ?BOUND_MS),
	_ = eventually(fun() -> pgmesh:member_state(Lab, Daemon, ?STRANGER) =:= <<"refused">> end, ?BOUND_MS),
	_ = lab:notify_all(Lab, ["no name\n\e[2J at all", "public@8.8.8.8"]),
	Watching = pgmesh:launch_command(Lab, ["watch", "--socket", maps:get(socket, Daemon)]),
	true = beam_node:call(A, erlang, disconnect_node, [?B]),
	%% Some kernels keep ten datagrams, and whoever sends the next one waits.
	_ = service_manager:said(Manager),
	ok = reload(Lab, Daemon),
	_ = service_manager:said(Manager),
	Printed = [{Args, pgmesh:command(Lab, Args)} || Args <- commands(Daemon)],
	Pages = [{Page, http_client:ask(Address, ["GET ", Page, " HTTP/1.1\r\nHost: pgmesh\r\nConnection: close\r\n\r\n"])}
		|| Address <- addresses(Daemon), Page <- pages()],
	Streams = [open_stream(Address) || Address <- addresses(Daemon)],
	ok = pgmesh:signal(Daemon, 'TERM'),
	Events = [{events, <<"HTTP/1.1 200 ", _/binary>> = http_client:rest(Stream)} || Stream <- Streams],
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	Watched = pgmesh:await_outcome(Watching, ?BOUND_MS),
	[_ | _] = Told = service_manager:said(Manager),
	ok = no_secret_in([{told, Told}, {log, pgmesh:log(Daemon)}, {log, pgmesh:log(Lost)}, {watch, Watched} | Events ++ manual(Lab) ++ Printed ++ Pages]),
	pgmesh:log(Daemon).

%% Every command, in every form in which it prints something else.
commands(#{socket := Socket}) ->
	Asking = [["status"], ["status", "--json"], ["status", "--ready"], ["members"], ["members", "--json"],
		["matrix"], ["matrix", "--json"], ["matrix", "--full"], ["wait", "--size", "1", "--timeout", "5s"],
		["connect", "a@127.0.0.1", "b@127.0.0.1"], ["disconnect", "a@127.0.0.1", "--for", "1s"],
		["forget", "public@8.8.8.8"], ["forget", "nobody@127.0.0.1"]],
	Help = [["--help"], ["--version"] | [[Command, "--help"] || Command <- ["run", "status", "members",
		"matrix", "watch", "wait", "connect", "disconnect", "forget", "ping", "rpc", "names", "validate", "doctor"]]],
	Alone = [["ping", "a@127.0.0.1"], ["ping", "stranger@127.0.0.1"], ["names"],
		["rpc", "a@127.0.0.1", "erlang", "nodes"], ["rpc", "a@127.0.0.1", "erlang", "nodes", "--json"],
		["rpc", "stranger@127.0.0.1", "erlang", "nodes"], ["rpc", "a@127.0.0.1", "erlang", "error", "[oops]"],
		["validate", "pgmesh.toml"], ["doctor"], ["doctor", "--json"], ["completions", "bash"], ["completions", "zsh"],
		["completions", "fish"], ["man", "."], ["nonsense"]],
	[Args ++ ["--socket", Socket] || Args <- Asking] ++ Help ++ Alone.

%% Every page that is served, and some that are not.
pages() ->
	["/", "/livez", "/readyz", "/readyz?postgres=1", "/metrics", "/api/v1/status", "/api/v1/members",
		"/api/v1/matrix", "/api/v1/matrix?full=1", "/api/v1/connect", "/api/v1/nothing"].

%% From the first event on, and until the daemon ends it.
open_stream(Address) ->
	Stream = http_client:connect(Address),
	ok = http_client:send(Stream, "GET /api/v1/events?last=200 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	Stream.

%% What `man` has written.
manual(#{directory := Directory}) ->
	[_ | _] = Names = filelib:wildcard("*.1", Directory),
	[begin
		{ok, Page} = file:read_file(filename:join(Directory, Name)),
		{Name, Page}
	end || Name <- Names].

addresses(#{socket := Socket, options := #{flags := #{"--http" := Http}}}) ->
	[_, Port] = string:split(Http, ":"),
	[{{local, Socket}, 0}, {?HTTP, list_to_integer(Port)}].

%% The channel is made from the cookie, as for those who configure none.
start(Lab, Format, Environment) ->
	_ = write_file(Lab, "announce-interval = \"1s\"\n"),
	Http = "127.0.0.1:" ++ integer_to_list(free_port:pick()),
	pgmesh:start(Lab, #{env => [{"PGMESH_CONFIG", "pgmesh.toml"} | Environment],
		flags => #{"--http" => Http, "--log" => "trace", "--log-format" => Format, "--database-url" => false,
			"--channel" => false, "--announce-interval" => false, "--introduce" => "local"}}).

%% One that Postgres does not let in, first by the URL's password and then by a variable's.
failing_daemon(#{directory := Directory} = Lab, Format) ->
	Socket = filename:join(Directory, "lost.sock"),
	Daemon = pgmesh:launch(Lab, #{name => 'lost@127.0.0.1', log => "lost",
		env => [{"PGMESH_DATABASE_URL", url(Lab, "")}, {"PGPASSWORD", ?WRONG_PASSWORD}],
		flags => #{"--socket" => Socket, "--database-url" => false, "--channel" => false,
			"--log" => "trace", "--log-format" => Format}}),
	_ = eventually(fun() -> error_kind(Daemon) =:= <<"authentication">> end, ?BOUND_MS),
	ok = pgmesh:signal(Daemon, 'TERM'),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	Daemon.

error_kind(Daemon) ->
	case control_socket:get(Daemon, "/api/v1/status") of
		#{<<"postgres">> := #{<<"error">> := #{<<"kind">> := Kind}}} -> Kind;
		Other -> Other
	end.

%% One that is good, one that is not, and another password and cookie, which take a restart.
reload(Lab, Daemon) ->
	_ = write_file(Lab, "announce-interval = \"2s\"\n"),
	ok = pgmesh:signal(Daemon, 'HUP'),
	_ = eventually(fun() -> says("announce-interval is now 2s", pgmesh:log(Daemon)) end, ?BOUND_MS),
	File = write_file(Lab, ["cookie = \"", ?COOKIE, "\"\njoin = 7\n"]),
	ok = pgmesh:signal(Daemon, 'HUP'),
	_ = eventually(fun() -> says("everything stays as it was", pgmesh:log(Daemon)) end, ?BOUND_MS),
	ok = file:write_file(File, ["database-url = \"", url(Lab, ":" ++ encoded(?WRONG_PASSWORD)), "\"\n"]),
	ok = pgmesh:signal(Daemon, 'HUP'),
	_ = eventually(fun() -> says("database-url was changed", pgmesh:log(Daemon)) end, ?BOUND_MS),
	_ = write_file(Lab, ""),
	ok.

%% Helpers.

%% A role with a password, which is asked for it, and a cookie that is easily found.
with_secrets(#{directory := Directory, cookie_file := CookieFile} = Lab) ->
	ok = file:change_mode(CookieFile, 8#600),
	ok = file:write_file(CookieFile, ?COOKIE),
	ok = file:write_file(filename:join(Directory, ".erlang.cookie"), ?COOKIE),
	ok = file:change_mode(filename:join(Directory, ".erlang.cookie"), 8#400),
	_ = lab:query(Lab, "CREATE ROLE " ?ROLE " LOGIN PASSWORD '" ?PASSWORD "'"),
	Rules = filename:join([Directory, "pgdata", "pg_hba.conf"]),
	ok = file:write_file(Rules, "host all " ?ROLE " 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"),
	_ = lab:query(Lab, "SELECT pg_reload_conf()"),
	Lab#{cookie := ?COOKIE, channel := cleaned(?COOKIE)}.

write_file(#{directory := Directory} = Lab, More) ->
	File = filename:join(Directory, "pgmesh.toml"),
	ok = file:write_file(File, ["database-url = \"", url(Lab, ":" ++ encoded(?PASSWORD)), "\"\n", More]),
	File.

url(Lab, Password) ->
	#{port := Port, database := Database} = lab:postgres(Lab),
	lists:flatten(io_lib:format("postgres://~s~s@127.0.0.1:~b/~s", [?ROLE, Password, Port, Database])).

validate(Lab, Environment, Args) ->
	pgmesh:command(Lab, ["validate" | Args], #{env => Environment}).

%% Each secret as it is, as URLs have it, and as a channel has it.
secrets() ->
	[Form || Secret <- [?COOKIE, ?OTHER_COOKIE, ?PASSWORD, ?WRONG_PASSWORD],
		Form <- [Secret, encoded(Secret), cleaned(Secret)]].

encoded(Text) ->
	uri_string:quote(Text).

%% As libcluster_postgres cleans a cookie.
cleaned(Text) ->
	re:replace(Text, "\\W", "_", [global, {return, list}]).

no_secret_in(Things) ->
	[] = [{Secret, Thing} || Thing <- Things, Secret <- secrets(), says(Secret, text(Thing))],
	ok.

%% Binaries stand in it as they are.
text(Thing) when is_binary(Thing) -> Thing;
text(Thing) when is_tuple(Thing) -> [text(Part) || Part <- tuple_to_list(Thing)];
text(Thing) when is_map(Thing) -> text(maps:to_list(Thing));
text(Thing) when is_list(Thing) -> [text(Part) || Part <- Thing];
text(_) -> [].

lines(Log) ->
	[Line || Line <- string:split(Log, "\n", all), Line =/= <<>>].

says(What, Text) ->
	binary:match(iolist_to_binary(Text), iolist_to_binary(What)) =/= nomatch.
