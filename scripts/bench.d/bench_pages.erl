%% How long the daemon's pages take with 200 nodes in one full mesh, which the
%% daemon has made: 19,900 pairs. Real nodes, so it takes some minutes and 8 GB.
-module(bench_pages).

-export([run/1]).

-define(NODES, 200).
-define(AT_ONCE, 20).
-define(MESHED_MS, 300000).
-define(ASKED, 50).
-define(PAGES, ["/api/v1/status", "/api/v1/members", "/api/v1/matrix", "/api/v1/matrix?full=1", "/metrics"]).
-define(SMALL, ["+S", "1", "+SDcpu", "1", "+SDio", "1", "+A", "1"]).

-spec run(lab:lab()) -> ok.
run(Lab) ->
	bench_table:title("pages: from the request to the last byte, with ~b nodes (median of ~b)", [?NODES, ?ASKED]),
	Daemon = pgmesh:start(Lab, #{flags => #{"--introduce" => "all"}}),
	Names = start_nodes(Lab, ?NODES),
	_ = eventually:eventually(fun() -> pgmesh:sees_mesh(Daemon, Names) end, ?MESHED_MS),
	bench_table:row("page", ["median", "worst", "size"]),
	[show(Page, Daemon) || Page <- ?PAGES],
	io:format("  target: /metrics and /api/v1/matrix below 50 ms~n").

%% Not all at once: the machine has few cores.
start_nodes(Lab, Count) ->
	Names = [list_to_atom(lists:concat(["n", Number, "@127.0.0.1"])) || Number <- lists:seq(1, Count)],
	_ = [beam_node:start_all(Lab, [#{name => Name, flags => ?SMALL} || Name <- Some]) || Some <- in_groups(Names)],
	Names.

in_groups([]) ->
	[];
in_groups(Names) ->
	{Some, Others} = lists:split(min(?AT_ONCE, length(Names)), Names),
	[Some | in_groups(Others)].

show(Page, Daemon) ->
	Measured = [timed(Page, Daemon) || _ <- lists:seq(1, ?ASKED)],
	{Times, [Bytes | _]} = lists:unzip(Measured),
	bench_table:row(Page, [milliseconds(bench_table:median(Times)), milliseconds(lists:max(Times)),
		lists:flatten(io_lib:format("~.1f kB", [Bytes / 1000]))]).

timed(Page, #{socket := Socket}) ->
	Request = ["GET ", Page, " HTTP/1.1\r\nHost: pgmesh\r\nConnection: close\r\n\r\n"],
	Started = erlang:monotonic_time(microsecond),
	{ok, Connection} = gen_tcp:connect({local, Socket}, 0, [binary, {active, false}, {buffer, 1 bsl 20}]),
	ok = gen_tcp:send(Connection, Request),
	Bytes = read(Connection, 0),
	{(erlang:monotonic_time(microsecond) - Started) / 1000, Bytes}.

read(Connection, Bytes) ->
	case gen_tcp:recv(Connection, 0, 60000) of
		{ok, Some} -> read(Connection, Bytes + byte_size(Some));
		{error, closed} -> Bytes
	end.

milliseconds(Time) ->
	lists:flatten(io_lib:format("~.1f ms", [Time])).
