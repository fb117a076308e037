%% What a daemon tells Prometheus.
-module(scrape).

-export([series/1, series_at/1, content_type/1, value/2, shows/2, is_accepted/2]).

-export_type([series/0]).

%% As it is written: <<"pgmesh_pairs{state=\"linked\"}">>.
-type series() :: binary().

%% Every series with its value.
-spec series(pgmesh:daemon()) -> #{series() => float()}.
series(Daemon) ->
	series_of(text(Daemon)).

%% The same over --http.
-spec series_at(http_client:address()) -> #{series() => float()}.
series_at(Address) ->
	{200, Text} = http_client:request(Address, "GET", "/metrics", #{}),
	series_of(Text).

%% By which Prometheus tells the formats apart.
-spec content_type(http_client:address()) -> binary().
content_type(Address) ->
	Socket = http_client:connect(Address),
	ok = http_client:send(Socket, "HEAD /metrics HTTP/1.1\r\nHost: pgmesh\r\n\r\n"),
	{ok, Head} = gen_tcp:recv(Socket, 0, 5000),
	ok = gen_tcp:close(Socket),
	{match, [Type]} = re:run(Head, "\r\ncontent-type: ([^\r]*)", [{capture, all_but_first, binary}]),
	Type.

%% 0.0 and absent are not the same.
-spec value(pgmesh:daemon(), series()) -> float() | absent.
value(Daemon, Series) ->
	maps:get(Series, series(Daemon), absent).

%% True if these series have these values, else those that have not; for eventually/2.
-spec shows(pgmesh:daemon(), [{series(), number() | absent}]) -> true | [{series(), float() | absent}].
shows(Daemon, Expected) ->
	Series = series(Daemon),
	Found = [{Name, maps:get(Name, Series, absent)} || {Name, _} <- Expected],
	case [Other || {{_, Value} = Other, {_, Wanted}} <- lists:zip(Found, Expected), Value /= Wanted] of
		[] -> true;
		Others -> Others
	end.

%% What promtool says: it reads as Prometheus does, and knows what is customary.
-spec is_accepted(lab:lab(), pgmesh:daemon()) -> true | string().
is_accepted(#{directory := Directory}, Daemon) ->
	File = filename:join(Directory, "metrics.txt"),
	ok = file:write_file(File, text(Daemon)),
	case os:cmd("promtool check metrics <" ++ File ++ " 2>&1 && echo accepted") of
		"accepted\n" -> true;
		Said -> Said
	end.

text(Daemon) ->
	{200, Text} = control_socket:ask(Daemon, "/metrics"),
	Text.

series_of(Text) ->
	Lines = binary:split(Text, <<"\n">>, [global, trim]),
	maps:from_list([sample(Line) || <<First, _/binary>> = Line <- Lines, First =/= $#]).

sample(Line) ->
	{match, [Series, Value]} = re:run(Line, "^(.*) ([^ ]+)$", [{capture, all_but_first, binary}]),
	{Series, number(Value)}.

number(Text) ->
	try binary_to_float(Text)
	catch error:badarg -> float(binary_to_integer(Text))
	end.
