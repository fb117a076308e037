%% A peer that says what it likes: the distribution protocol down to the bytes.
%%
%% For what no real node would send. It can complete a handshake with the right
%% cookie (erl_dist_protocol, "Distribution Handshake") and then owns a plain
%% socket, with nobody who ticks or reads.
-module(raw_peer).

-export([connect/1, close/1, reset/1, send/2, await_closed/2]).
-export([name_frame/1, handshake_frame/1, receive_handshake_frame/1]).
-export([link/2, frame/1, message/2]).
-export([monitor_of_nobody/1, is_answered/2, receive_request/2, answer_to/2]).

-export_type([target/0, request/0]).

%% Where pgmesh listens, and what the cluster's secret is.
-type target() :: #{port := inet:port_number(), cookie := string(), _ => _}.
%% Where the answer to a call of pgmesh's must go.
-opaque request() :: {pid(), reference()}.

-define(ANSWER_MS, 5000).
-define(SEND_MS, 10000).
-define(SMALL_BUFFER, 4096).

%% All that pgmesh demands, and PUBLISHED: a visible node.
-define(FLAGS, 16#d07075fbd).
-define(CREATION, 77).
-define(PASS_THROUGH, 112).
-define(VERSION, 131).
-define(NEW_PID_EXT, 88).
-define(NEWER_REFERENCE_EXT, 90).
-define(SMALL_ATOM_UTF8_EXT, 119).
-define(SMALL_TUPLE_EXT, 104).
-define(SEND, 2).
-define(MONITOR_P, 19).
-define(MONITOR_P_EXIT, 21).

%% Little is buffered on this side, so that whoever sends to a peer that does
%% not read has to keep it himself.
-spec connect(inet:port_number()) -> gen_tcp:socket().
connect(Port) ->
	{ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {nodelay, true},
		{recbuf, ?SMALL_BUFFER}, {buffer, ?SMALL_BUFFER}, {send_timeout, ?SEND_MS}], ?ANSWER_MS),
	Socket.

-spec close(gen_tcp:socket()) -> ok.
close(Socket) ->
	gen_tcp:close(Socket).

%% Ends the connection by RST.
-spec reset(gen_tcp:socket()) -> ok.
reset(Socket) ->
	_ = inet:setopts(Socket, [{linger, {true, 0}}]),
	gen_tcp:close(Socket).

%% Whether the other side still took it.
-spec send(gen_tcp:socket(), iodata()) -> ok | {error, term()}.
send(Socket, Bytes) ->
	gen_tcp:send(Socket, Bytes).

%% Reads on until the other side has closed.
-spec await_closed(gen_tcp:socket(), timeout()) -> closed | open.
await_closed(Socket, TimeoutMs) ->
	case gen_tcp:recv(Socket, 0, TimeoutMs) of
		{ok, _} -> await_closed(Socket, TimeoutMs);
		{error, timeout} -> open;
		{error, _} -> closed
	end.

%% The handshake.

-spec name_frame(binary()) -> iodata().
name_frame(Name) ->
	handshake_frame(<<$N, ?FLAGS:64, ?CREATION:32, (byte_size(Name)):16, Name/binary>>).

-spec handshake_frame(binary()) -> iodata().
handshake_frame(Body) ->
	<<(byte_size(Body)):16, Body/binary>>.

-spec receive_handshake_frame(gen_tcp:socket()) -> binary() | {error, term()}.
receive_handshake_frame(Socket) ->
	case gen_tcp:recv(Socket, 2, ?ANSWER_MS) of
		{ok, <<Length:16>>} ->
			{ok, Body} = gen_tcp:recv(Socket, Length, ?ANSWER_MS),
			Body;
		{error, Reason} ->
			{error, Reason}
	end.

%% A whole handshake; what is sent on the socket after it is a link's.
-spec link(target(), binary()) -> gen_tcp:socket().
link(#{port := Port, cookie := Cookie}, Name) ->
	Socket = connect(Port),
	ok = send(Socket, name_frame(Name)),
	<<"sok">> = receive_handshake_frame(Socket),
	<<$N, _Flags:64, Challenge:32, _/binary>> = receive_handshake_frame(Socket),
	Own = rand:uniform(16#FFFFFFFF),
	ok = send(Socket, handshake_frame(<<$r, Own:32, (digest(Cookie, Challenge))/binary>>)),
	Digest = digest(Cookie, Own),
	<<$a, Digest/binary>> = receive_handshake_frame(Socket),
	Socket.

digest(Cookie, Challenge) ->
	erlang:md5([Cookie, integer_to_list(Challenge)]).

%% Frames of a link.

-spec frame(iodata()) -> binary().
frame(Body) ->
	Bytes = iolist_to_binary(Body),
	<<(byte_size(Bytes)):32, Bytes/binary>>.

%% A control term, and the bytes of a payload as they are.
-spec message(term(), iodata()) -> binary().
message(Control, Payload) ->
	frame([?PASS_THROUGH, term_to_binary(Control), Payload]).

%% A question that must be answered: MONITOR_P of a name that is not there.
-spec monitor_of_nobody(binary()) -> binary().
monitor_of_nobody(Own) ->
	message({?MONITOR_P, own_pid(Own), nosuch, own_reference(Own)}, []).

own_pid(Own) ->
	binary_to_term(<<?VERSION, ?NEW_PID_EXT, (atom_bytes(Own))/binary, 9:32, 0:32, ?CREATION:32>>).

own_reference(Own) ->
	binary_to_term(<<?VERSION, ?NEWER_REFERENCE_EXT, 3:16, (atom_bytes(Own))/binary,
		?CREATION:32, 1:32, 2:32, 3:32>>).

atom_bytes(Name) ->
	<<?SMALL_ATOM_UTF8_EXT, (byte_size(Name)), Name/binary>>.

%% Is there still somebody who answers that question?
-spec is_answered(gen_tcp:socket(), binary()) -> boolean().
is_answered(Socket, Own) ->
	case send(Socket, monitor_of_nobody(Own)) of
		ok -> hears_of_nobody(Socket);
		{error, _} -> false
	end.

hears_of_nobody(Socket) ->
	case receive_message(Socket, ?ANSWER_MS) of
		{ok, Control, _} when element(1, Control) =:= ?MONITOR_P_EXIT -> true;
		{ok, _, _} -> hears_of_nobody(Socket);
		{error, _} -> false
	end.

%% A control term and the bytes of its payload; ticks are passed over.
receive_message(Socket, TimeoutMs) ->
	case gen_tcp:recv(Socket, 4, TimeoutMs) of
		{ok, <<0:32>>} ->
			receive_message(Socket, TimeoutMs);
		{ok, <<Length:32>>} ->
			{ok, <<?PASS_THROUGH, Terms/binary>>} = gen_tcp:recv(Socket, Length, TimeoutMs),
			{Control, Used} = binary_to_term(Terms, [used]),
			{ok, Control, binary:part(Terms, Used, byte_size(Terms) - Used)};
		{error, Reason} ->
			{error, Reason}
	end.

%% pgmesh calls each visible node that comes: this reads its call ...
-spec receive_request(gen_tcp:socket(), timeout()) -> request().
receive_request(Socket, TimeoutMs) ->
	{ok, _, Payload} = receive_message(Socket, TimeoutMs),
	{'$gen_call', {Pid, Reference}, _} = binary_to_term(Payload),
	{Pid, Reference}.

%% ... and this is an answer to it with any bytes for the result.
-spec answer_to(request(), binary()) -> binary().
answer_to({Pid, Reference}, Result) ->
	<<?VERSION, ReferenceBytes/binary>> = term_to_binary(Reference),
	message({?SEND, '', Pid}, [?VERSION, ?SMALL_TUPLE_EXT, 2, ReferenceBytes, Result]).
