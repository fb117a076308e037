%% Plays the EPMD of another host, badly: at EPMD's port on another loopback
%% address than the real one's.
%%
%% Each connection has its request read and is then dealt with as the behaviour
%% says. One that points to itself gives its own address as the node's, and
%% mistreats the handshake that follows.
-module(false_epmd).

-export([start/3, served/1, bytes_sent/1]).

-export_type([behaviour/0, server/0]).

-type reply() :: silent | garbage | {endless, binary()}.
-type behaviour() :: reply() | {port, inet:port_number()} | {points_to_itself, reply()}.
-opaque server() :: counters:counters_ref().

-define(ACCEPTORS, 64).
-define(SERVED, 1).
-define(BYTES, 2).
-define(MAX_BYTES, 300000000).
-define(BLOCK, 65536).
-define(PORT_PLEASE2, 122).
-define(PORT2_RESP, 119).

%% It ends with the caller.
-spec start(inet:ip_address(), inet:port_number(), behaviour()) -> server().
start(Host, Port, Behaviour) ->
	{ok, Listen} = gen_tcp:listen(Port, [binary, {ip, Host}, {active, false}, {backlog, 256},
		{reuseaddr, true}, {send_timeout, 5000}]),
	Server = counters:new(2, []),
	_ = [spawn_link(fun() -> accept(Listen, Port, Behaviour, Server) end) || _ <- lists:seq(1, ?ACCEPTORS)],
	Server.

%% How many connections have been dealt with.
-spec served(server()) -> non_neg_integer().
served(Server) ->
	counters:get(Server, ?SERVED).

-spec bytes_sent(server()) -> non_neg_integer().
bytes_sent(Server) ->
	counters:get(Server, ?BYTES).

%% Helpers.

accept(Listen, Port, Behaviour, Server) ->
	case gen_tcp:accept(Listen) of
		{ok, Socket} ->
			serve(gen_tcp:recv(Socket, 0), Socket, Port, Behaviour, Server),
			_ = gen_tcp:close(Socket),
			ok = counters:add(Server, ?SERVED, 1),
			accept(Listen, Port, Behaviour, Server);
		{error, closed} ->
			ok
	end.

serve({ok, <<_:16, ?PORT_PLEASE2, _/binary>>}, Socket, Port, {points_to_itself, _}, Server) ->
	reply(port_reply(Port), Socket, Server);
serve({ok, _}, Socket, _, {points_to_itself, Reply}, Server) ->
	mistreat(Reply, Socket, Server);
serve({ok, _}, Socket, _, {port, Port}, Server) ->
	reply(port_reply(Port), Socket, Server);
serve({ok, _}, Socket, _, Reply, Server) ->
	mistreat(Reply, Socket, Server);
serve({error, _}, _, _, _, _) ->
	ok.

%% What it points to is a hidden node of the newest protocol.
port_reply(Port) ->
	<<?PORT2_RESP, 0, Port:16, 72, 0, 6:16, 5:16, 1:16, "x", 0:16>>.

mistreat(silent, Socket, _) ->
	gen_tcp:recv(Socket, 0);
mistreat(garbage, Socket, Server) ->
	{Garbage, _} = rand:bytes_s(1000, rand:seed_s(exsss, bytes_sent(Server))),
	reply(Garbage, Socket, Server);
mistreat({endless, Start}, Socket, Server) ->
	_ = reply(Start, Socket, Server),
	endless(binary:copy(Start, ?BLOCK div byte_size(Start)), Socket, Server).

endless(Block, Socket, Server) ->
	case bytes_sent(Server) < ?MAX_BYTES andalso reply(Block, Socket, Server) of
		ok -> endless(Block, Socket, Server);
		_ -> ok
	end.

reply(Bytes, Socket, Server) ->
	ok = counters:add(Server, ?BYTES, byte_size(Bytes)),
	gen_tcp:send(Socket, Bytes).
