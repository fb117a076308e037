%% Whoever reaches the HTTP of pgmesh can look, and do nothing else.
%%
%% Whatever is sent, however much of it, and by however many: the right ones are
%% answered meanwhile, no link notices, nothing grows, and nothing changes.
-module(http_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-include_lib("kernel/include/file.hrl").

-import(bystander, [await_pings/1, measured/4, start_healthy/2, unharmed/1]).
-import(eventually, [eventually/2]).

-define(BOUND_MS, 15000).
-define(IDLE_MS, 30000). %% pgmesh closes what asks nothing for ten seconds
-define(MAX_GROWTH_MB, 30).
-define(MAX_CONNECTIONS, 128).
-define(OTHER_DESCRIPTORS, 100).
-define(IDLE, 1000).
-define(READERS, 64).
-define(MORE_THAN_READ, 30000). %% and less than the system keeps: the answer is not lost to a reset

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[unknown_pages, no_http_at_all, heads_without_end, bodies_without_end, idle_connections,
		events_that_nobody_reads, changes_are_refused_over_tcp, socket_is_its_owners].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

unknown_pages(Config) ->
	ct:comment("What is not there is not found, and what only reads takes nothing but GET and HEAD."),
	{World, Http} = start(Config),
	measured(World, "unknown pages", ?MAX_GROWTH_MB, fun() ->
		[{404, Path} = {status(Http, "GET", Path), Path} || Path <- ["/nothing", "/api", "/api/v1/", "/api/v2/status",
			"//", "/../etc/passwd", "/%2e%2e/etc/passwd", "/%00", "/%ff", "/livez/", [$/ | lists:duplicate(8000, $a)]]],
		[{405, Method} = {status(Http, Method, "/api/v1/status"), Method}
			|| Method <- ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"]],
		{200, <<>>} = http_client:ask(Http, "HEAD /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		{200, #{<<"node">> := _}} = http_client:ask(Http, "GET /api/v1/status HTTP/1.0\r\n\r\n"),
		await_pings(World)
	end),
	unharmed(World).

no_http_at_all(Config) ->
	ct:comment("What is no HTTP is answered with 400, or closed."),
	{World, Http} = start(Config),
	measured(World, "no HTTP", ?MAX_GROWTH_MB, fun() ->
		[ok = refused(http_client:ask(Http, Bytes)) || Bytes <- ["\r\n\r\n\r\nGET\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
			"GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", <<22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3>>,
			"GET / HTTP/1.1\r\nno colon\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
			<<0:8000>>, crypto:strong_rand_bytes(4000), "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"]],
		await_pings(World)
	end),
	unharmed(World).

heads_without_end(Config) ->
	ct:comment("A head of more than 16 kB or 64 lines is refused with 431."),
	{World, Http} = start(Config),
	measured(World, "long heads", ?MAX_GROWTH_MB, fun() ->
		Long = ["GET /livez HTTP/1.1\r\nX: ", binary:copy(<<"x">>, ?MORE_THAN_READ)],
		[{431, _} = http_client:ask(Http, Long) || _ <- lists:seq(1, 50)],
		Lines = ["GET /livez HTTP/1.1\r\n", lists:duplicate(1000, "X: y\r\n"), "\r\n"],
		{431, _} = http_client:ask(Http, Lines),
		await_pings(World)
	end),
	unharmed(World).

bodies_without_end(Config) ->
	ct:comment("Nobody reads a body over TCP, and over the socket it has an end."),
	{#{daemon := #{socket := Path}} = World, Http} = start(Config),
	measured(World, "long bodies", ?MAX_GROWTH_MB, fun() ->
		Begun = binary:copy(<<"x">>, ?MORE_THAN_READ),
		[{405, _} = http_client:ask(Http, [post("/api/v1/status", "Content-Length: 1000000000"), Begun])
			|| _ <- lists:seq(1, 50)],
		{405, _} = http_client:ask(Http, [post("/api/v1/status", "Transfer-Encoding: chunked"), "ffffff\r\n", Begun]),
		{413, _} = http_client:ask({{local, Path}, 0}, [post("/api/v1/forget", "Content-Length: 1000000"), Begun]),
		await_pings(World)
	end),
	unharmed(World).

idle_connections(Config) ->
	ct:comment("A thousand connections that ask nothing keep nobody out, and are closed."),
	{#{daemon := Daemon} = World, Http} = start(Config),
	measured(World, "1000 idle connections", ?MAX_GROWTH_MB, fun() ->
		Idle = [idle(Http, N) || N <- lists:seq(1, ?IDLE)],
		[{200, <<"alive\n">>} = get(Http, "/livez") || _ <- lists:seq(1, 100)],
		Descriptors = descriptors(Daemon),
		ct_console:note("~b descriptors", [Descriptors]),
		true = Descriptors < ?MAX_CONNECTIONS + ?OTHER_DESCRIPTORS,
		await_pings(World),
		[true = http_client:await_closed(Socket, ?IDLE_MS) || Socket <- Idle]
	end),
	unharmed(World).

%% Each says something else before it falls silent: nothing, half a head, or a
%% whole request whose connection it keeps.
idle(Http, N) ->
	Socket = http_client:connect(Http),
	Said = element(N rem 3 + 1, {"", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"}),
	_ = http_client:send(Socket, Said),
	Socket.

events_that_nobody_reads(Config) ->
	ct:comment("Streams that nobody reads cost nothing but their places, give those back, and take none on the socket."),
	{#{lab := Lab, daemon := #{socket := Path}} = World, Http} = start(Config),
	measured(World, "64 streams that nobody reads", ?MAX_GROWTH_MB, fun() ->
		Streams = [Stream || _ <- lists:seq(1, ?READERS), {<<"200">>, Stream} <- [open_stream(Http)]],
		?READERS = length(Streams),
		{503, <<"64 readers", _/binary>>} = get(Http, "/api/v1/events"),
		true = can_open_stream({{local, Path}, 0}),
		[ok = happen(Lab, Round) || Round <- lists:seq(1, 20)],
		{200, #{<<"node">> := _}} = get(Http, "/api/v1/status"),
		await_pings(World),
		[ok = gen_tcp:close(Stream) || Stream <- Streams],
		_ = eventually(fun() -> can_open_stream(Http) end, ?BOUND_MS)
	end),
	unharmed(World).

%% Three hundred names are heard, each of which is an event.
happen(Lab, Round) ->
	Names = [io_lib:format("n~b_~b@127.0.0.1", [Round, N]) || N <- lists:seq(1, 300)],
	_ = lab:notify_all(Lab, [iolist_to_binary(Name) || Name <- Names]),
	ok.

changes_are_refused_over_tcp(Config) ->
	ct:comment("--http only reads: what changes the mesh is not there, and nothing takes a POST."),
	{#{lab := Lab, daemon := #{socket := Path} = Daemon, beam := Beam}, Http} = start(Config),
	Healthy = <<"healthy@127.0.0.1">>,
	[{404, _} = http_client:request(Http, "POST", "/api/v1/" ++ Change, Body) || {Change, Body} <- [
		{"disconnect", #{node => Healthy}}, {"forget", #{node => Healthy}},
		{"connect", #{a => Healthy, b => Healthy}}]],
	[{405, _} = http_client:request(Http, "POST", Page, #{})
		|| Page <- ["/api/v1/status", "/api/v1/matrix", "/api/v1/events", "/livez", "/readyz"]],
	{200, _} = get(Http, "/api/v1/matrix"),
	true = links:complete(Lab, Daemon, [Beam]),
	{200, #{<<"node">> := Healthy, <<"held_until">> := null}} = http_client:request(
		{{local, Path}, 0}, "POST", "/api/v1/disconnect", #{node => Healthy}),
	ok.

socket_is_its_owners(Config) ->
	ct:comment("Another user cannot open the control socket, whose mode is 0600."),
	#{directory := Directory} = Lab = lab:from(Config),
	#{socket := Socket} = pgmesh:start(Lab, #{}),
	{ok, #file_info{mode = Mode}} = file:read_file_info(Socket),
	8#600 = Mode band 8#777,
	ok = file:change_mode(Directory, 8#755),
	<<"Permission denied\n">> = as_another_user(Lab, Socket),
	%% It is the mode that keeps him out, and nothing else on the way.
	ok = file:change_mode(Socket, 8#666),
	<<"connected\n">> = as_another_user(Lab, Socket),
	ok.

%% Helpers.

start(Config) ->
	Port = free_port:pick(),
	World = start_healthy(Config, #{"--http" => "127.0.0.1:" ++ integer_to_list(Port)}),
	{World, {{127, 0, 0, 1}, Port}}.

get(Http, Path) ->
	http_client:request(Http, "GET", Path, #{}).

status(Http, Method, Path) ->
	{Status, _} = http_client:request(Http, Method, Path, #{}),
	Status.

post(Path, Length) ->
	["POST ", Path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", Length, "\r\n\r\n"].

refused({400, _}) -> ok;
refused({404, _}) -> ok;
refused(closed) -> ok.

open_stream(Http) ->
	Stream = http_client:connect(Http),
	ok = http_client:send(Stream, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"),
	{ok, <<"HTTP/1.1 ", Status:3/binary, _/binary>>} = gen_tcp:recv(Stream, 0, ?BOUND_MS),
	{Status, Stream}.

can_open_stream(Http) ->
	{Status, Stream} = open_stream(Http),
	ok = gen_tcp:close(Stream),
	Status =:= <<"200">> orelse Status.

descriptors(#{process := Process}) ->
	{ok, Names} = file:list_dir(io_lib:format("/proc/~b/fd", [os_process:os_pid(Process)])),
	length(Names).

%% What opening it says to somebody else.
as_another_user(#{directory := Directory} = Lab, Socket) ->
	Script = "use IO::Socket::UNIX; print IO::Socket::UNIX->new(Peer => shift) ? qq(connected\\n) : qq($!\\n)",
	{Program, Args} = unprivileged:other_user(["perl", "-e", Script, Socket]),
	Output = filename:join(Directory, "another-user.out"),
	Process = lab:start(Lab, {os_process, start_link, [#{program => Program, args => Args,
		directory => "/", stdout => Output, stderr => Output, env => []}]}),
	0 = os_process:await_exit(Process, ?BOUND_MS),
	{ok, Said} = file:read_file(Output),
	ok = file:delete(Output),
	Said.
