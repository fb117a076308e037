%% Asks a daemon over its control socket, as the pgmesh commands do.
%%
%% A command is a process of its own each time: fine for a test that looks now
%% and then, too heavy for one that looks twenty times a second for minutes.
-module(control_socket).

-export([get/2]).

-define(ANSWER_MS, 5000).

%% The JSON of a path, such as "/api/v1/status".
-spec get(pgmesh:daemon(), string()) -> json_text:json() | {no_answer, term()}.
get(#{socket := Path}, Resource) ->
	case gen_tcp:connect({local, Path}, 0, [binary, {active, false}], ?ANSWER_MS) of
		{ok, Socket} -> ask(Socket, Resource);
		{error, Reason} -> {no_answer, Reason}
	end.

ask(Socket, Resource) ->
	_ = gen_tcp:send(Socket, ["GET ", Resource, " HTTP/1.1\r\nHost: pgmesh\r\nConnection: close\r\n\r\n"]),
	Answer = receive_all(Socket, <<>>),
	ok = gen_tcp:close(Socket),
	body(Answer).

receive_all(Socket, Received) ->
	case gen_tcp:recv(Socket, 0, ?ANSWER_MS) of
		{ok, Data} -> receive_all(Socket, <<Received/binary, Data/binary>>);
		{error, closed} -> Received;
		{error, Reason} -> {no_answer, Reason}
	end.

body(<<"HTTP/1.1 200 ", Answer/binary>>) ->
	[_, Json] = binary:split(Answer, <<"\r\n\r\n">>),
	json_text:decode(Json);
body(Other) ->
	{no_answer, Other}.
