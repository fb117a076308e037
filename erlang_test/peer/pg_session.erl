%% A minimal client of the Postgres v3 protocol.
%%
%% Neither Hex nor a driver is at hand where these tests run, and LISTEN and
%% NOTIFY need very little: trust authentication, the simple protocol for
%% LISTEN, and the extended protocol with an unnamed statement for NOTIFY,
%% because that is what the BEAM's usual driver puts on the wire.
%%
%% A session is a value owned by one process. It is passive while a statement
%% runs; listen_actively/1 turns it into a source of messages afterwards.
%% It knows nothing of clusters, nodes or tests.
-module(pg_session).

-export([connect/1, close/1]).
-export([query/2, execute/2]).
-export([listen_actively/1, socket/1, take_notifications/2]).
-export([notify_statement/2, listen_statement/1]).

-export_type([session/0, options/0]).

-type options() :: #{host := string(), port := inet:port_number(),
	user := string(), database := string()}.
-opaque session() :: #{socket := gen_tcp:socket(), buffer := binary(),
	notifications := [binary()]}.

-define(TIMEOUT, 5000).

%% Opens a session and waits until Postgres is ready for a statement.
-spec connect(options()) -> {ok, session()} | {error, term()}.
connect(#{host := Host, port := Port} = Options) ->
	SocketOptions = [binary, {active, false}, {nodelay, true}],
	case gen_tcp:connect(Host, Port, SocketOptions, ?TIMEOUT) of
		{ok, Socket} -> start_up(new(Socket), Options);
		{error, Reason} -> {error, Reason}
	end.

-spec close(session()) -> ok.
close(#{socket := Socket}) ->
	gen_tcp:close(Socket).

%% Runs statements through the simple protocol. Several, separated by
%% semicolons, are one transaction. Rows are lists of text, null is an atom.
-spec query(iodata(), session()) -> {ok, [[binary() | null]], session()} | {error, term()}.
query(Sql, Session) ->
	run([message($Q, [Sql, 0])], Session).

%% Runs one statement through the extended protocol, unnamed, in two round
%% trips: parse first, then bind and execute.
-spec execute(iodata(), session()) -> {ok, [[binary() | null]], session()} | {error, term()}.
execute(Sql, Session) ->
	Parse = message($P, [0, Sql, 0, <<0:16>>]),
	Describe = message($D, [$S, 0]),
	Flush = message($H, []),
	case exchange([Parse, Describe, Flush], fun is_described/1, Session) of
		{ok, _, Described} -> bind_and_execute(Described);
		{error, Reason} -> {error, Reason}
	end.

bind_and_execute(Session) ->
	Bind = message($B, [0, 0, <<0:16, 0:16, 0:16>>]),
	Execute = message($E, [0, <<0:32>>]),
	Close = message($C, [$S, 0]),
	Sync = message($S, []),
	run([Bind, Execute, Close, Sync], Session).

%% From here on the owner gets {tcp, Socket, Data} for each piece of input,
%% one at a time, and hands it to take_notifications/2.
-spec listen_actively(session()) -> ok | {error, term()}.
listen_actively(#{socket := Socket}) ->
	inet:setopts(Socket, [{active, once}]).

-spec socket(session()) -> gen_tcp:socket().
socket(#{socket := Socket}) ->
	Socket.

%% The payloads that Data completes, oldest first. Call it with an empty
%% binary for those that arrived while a statement was running.
-spec take_notifications(binary(), session()) -> {[binary()], session()}.
take_notifications(Data, #{buffer := Buffer} = Session) ->
	drain(Session#{buffer := <<Buffer/binary, Data/binary>>}).

%% The channel stands in double quotes, as it must to keep its case; like the
%% strategy that this client imitates, neither statement escapes anything.
-spec notify_statement(string() | binary(), iodata()) -> iodata().
notify_statement(Channel, Payload) ->
	["NOTIFY \"", Channel, "\", '", Payload, "'"].

-spec listen_statement(string() | binary()) -> iodata().
listen_statement(Channel) ->
	["LISTEN \"", Channel, "\""].

%% Start-up.

new(Socket) ->
	#{socket => Socket, buffer => <<>>, notifications => []}.

start_up(Session, #{user := User, database := Database}) ->
	Parameters = [[Key, 0, Value, 0] || {Key, Value} <- [
		{"user", User}, {"database", Database},
		{"client_encoding", "UTF8"}, {"application_name", "pg_session"}]],
	Body = iolist_to_binary([<<196608:32>>, Parameters, 0]),
	Startup = <<(byte_size(Body) + 4):32, Body/binary>>,
	case run([Startup], Session) of
		{ok, _, Ready} ->
			{ok, Ready};
		{error, Reason} ->
			close(Session),
			{error, Reason}
	end.

%% Statements.

message(Tag, Body) ->
	[Tag, <<(iolist_size(Body) + 4):32>>, Body].

run(Messages, Session) ->
	exchange(Messages, fun is_ready/1, Session).

is_ready({$Z, _}) -> true;
is_ready(_) -> false.

%% RowDescription, or NoData for a statement like NOTIFY that returns no rows.
is_described({Tag, _}) -> Tag =:= $T orelse Tag =:= $n.

exchange(Messages, IsLast, #{socket := Socket} = Session) ->
	case gen_tcp:send(Socket, Messages) of
		ok -> collect(IsLast, [], Session);
		{error, Reason} -> {error, Reason}
	end.

collect(IsLast, Rows, Session) ->
	case next_message(Session) of
		{ok, Message, Rest} -> collect_message(Message, IsLast, Rows, Rest);
		{error, Reason} -> {error, Reason}
	end.

%% An error ends the exchange and, for callers of this module, the session:
%% nothing here is worth resynchronising for.
collect_message({$E, Fields}, _, _, _) ->
	{error, {postgres, error_text(Fields)}};
collect_message({$R, <<Method:32, _/binary>>}, _, _, _) when Method =/= 0 ->
	{error, {authentication_not_supported, Method}};
collect_message({$D, <<_:16, Columns/binary>>}, IsLast, Rows, Session) ->
	collect(IsLast, [columns(Columns) | Rows], Session);
collect_message({$A, _} = Message, IsLast, Rows, Session) ->
	collect(IsLast, Rows, keep_notification(Message, Session));
collect_message(Message, IsLast, Rows, Session) ->
	case IsLast(Message) of
		true -> {ok, lists:reverse(Rows), Session};
		false -> collect(IsLast, Rows, Session)
	end.

columns(<<>>) -> [];
columns(<<-1:32/signed, Rest/binary>>) -> [null | columns(Rest)];
columns(<<Size:32, Value:Size/binary, Rest/binary>>) -> [Value | columns(Rest)].

error_text(Fields) ->
	Texts = [Text || <<$M, Text/binary>> <- binary:split(Fields, <<0>>, [global])],
	iolist_to_binary(lists:join(" ", Texts)).

%% Input.

next_message(#{buffer := Buffer} = Session) ->
	case split_message(Buffer) of
		{Message, Rest} -> {ok, Message, Session#{buffer := Rest}};
		incomplete -> receive_more(Session)
	end.

receive_more(#{socket := Socket, buffer := Buffer} = Session) ->
	case gen_tcp:recv(Socket, 0, ?TIMEOUT) of
		{ok, Data} -> next_message(Session#{buffer := <<Buffer/binary, Data/binary>>});
		{error, Reason} -> {error, Reason}
	end.

split_message(<<Tag, Length:32, Rest/binary>>) when byte_size(Rest) >= Length - 4 ->
	BodySize = Length - 4,
	<<Body:BodySize/binary, After/binary>> = Rest,
	{{Tag, Body}, After};
split_message(_) ->
	incomplete.

drain(#{buffer := Buffer, notifications := Kept} = Session) ->
	case split_message(Buffer) of
		{Message, Rest} ->
			drain(keep_notification(Message, Session#{buffer := Rest}));
		incomplete ->
			{lists:reverse(Kept), Session#{notifications := []}}
	end.

keep_notification({$A, <<_Backend:32, Rest/binary>>}, #{notifications := Kept} = Session) ->
	[_Channel, Payload, <<>>] = binary:split(Rest, <<0>>, [global]),
	Session#{notifications := [Payload | Kept]};
keep_notification(_, Session) ->
	Session.
