%% Speaks HTTP to a daemon byte by byte, also as no client should.
-module(http_client).

-export([connect/1, request/4, ask/2, send/2, rest/1, await_closed/2]).

-export_type([address/0, answer/0]).

-type address() :: {inet:ip_address() | {local, string()}, inet:port_number()}.
%% The status, and the body: decoded if it is a JSON object or array.
-type answer() :: {100..599, binary() | json_text:json()} | closed | {no_connection, inet:posix()}.

-define(ANSWER_MS, 15000).
%% Little is buffered on this side: what is not read stays with the server.
-define(SMALL_BUFFER, 4096).

-spec connect(address()) -> gen_tcp:socket().
connect(Address) ->
	{ok, Socket} = open(Address),
	Socket.

%% A request with a JSON object.
-spec request(address(), string(), string(), #{atom() => json_text:json()}) -> answer().
request(Address, Method, Path, Object) ->
	Json = json_text:encode(Object),
	ask(Address, [Method, " ", Path, " HTTP/1.1\r\nHost: pgmesh\r\nConnection: close\r\n",
		"Content-Length: ", integer_to_list(iolist_size(Json)), "\r\n\r\n", Json]).

%% Sends these bytes over a connection of their own, and reads the answer with
%% which it ends.
-spec ask(address(), iodata()) -> answer().
ask(Address, Bytes) ->
	case open(Address) of
		{ok, Socket} ->
			_ = send(Socket, Bytes),
			Received = receive_all(Socket, <<>>),
			ok = gen_tcp:close(Socket),
			answer(Received);
		{error, Reason} -> {no_connection, Reason}
	end.

%% Whether the other side still took it.
-spec send(gen_tcp:socket(), iodata()) -> ok | {error, term()}.
send(Socket, Bytes) ->
	gen_tcp:send(Socket, Bytes).

%% All that comes until the other side has closed.
-spec rest(gen_tcp:socket()) -> binary().
rest(Socket) ->
	receive_all(Socket, <<>>).

%% True once the other side has closed; for eventually/2.
-spec await_closed(gen_tcp:socket(), timeout()) -> boolean().
await_closed(Socket, TimeoutMs) ->
	case gen_tcp:recv(Socket, 0, TimeoutMs) of
		{ok, _} -> await_closed(Socket, TimeoutMs);
		{error, timeout} -> false;
		{error, _} -> true
	end.

%% Helpers.

open({Address, Port}) ->
	gen_tcp:connect(Address, Port,
		[binary, {active, false}, {recbuf, ?SMALL_BUFFER}, {buffer, ?SMALL_BUFFER}], ?ANSWER_MS).

answer(<<"HTTP/1.", _, " ", Status:3/binary, Answer/binary>>) ->
	[_, Content] = binary:split(Answer, <<"\r\n\r\n">>),
	{binary_to_integer(Status), decode(Content)};
answer(<<>>) ->
	closed.

receive_all(Socket, Received) ->
	case gen_tcp:recv(Socket, 0, ?ANSWER_MS) of
		{ok, Data} -> receive_all(Socket, <<Received/binary, Data/binary>>);
		{error, timeout} -> error({no_end, Received});
		{error, _} -> Received
	end.

decode(<<"{", _/binary>> = Json) -> json_text:decode(Json);
decode(<<"[", _/binary>> = Json) -> json_text:decode(Json);
decode(Text) -> Text.
