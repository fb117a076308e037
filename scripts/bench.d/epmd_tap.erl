%% Sits between a node and EPMD and tells when the node was registered.
%%
%% Asking EPMD again and again costs a whole core just when a node starts. This
%% passes the bytes on and sends its owner {registered, MonotonicUs} when EPMD
%% answers a registration. That adds two hops over loopback, for every node the
%% same.
-module(epmd_tap).

-export([start/1]).

-define(ALIVE2_REQ, 120).

%% Returns the port to be given to nodes as ERL_EPMD_PORT.
-spec start(inet:port_number()) -> inet:port_number().
start(EpmdPort) ->
	{ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}, {nodelay, true}]),
	{ok, Port} = inet:port(Listen),
	Owner = self(),
	Acceptor = spawn_link(fun() -> receive go -> accept(Listen, EpmdPort, Owner) end end),
	ok = gen_tcp:controlling_process(Listen, Acceptor),
	Acceptor ! go,
	Port.

accept(Listen, EpmdPort, Owner) ->
	{ok, Node} = gen_tcp:accept(Listen),
	Relay = spawn(fun() -> receive go -> open(Node, EpmdPort, Owner) end end),
	ok = gen_tcp:controlling_process(Node, Relay),
	Relay ! go,
	accept(Listen, EpmdPort, Owner).

open(Node, EpmdPort, Owner) ->
	{ok, Epmd} = gen_tcp:connect({127, 0, 0, 1}, EpmdPort, [binary, {active, true}, {nodelay, true}]),
	ok = inet:setopts(Node, [{active, true}]),
	relay(Node, Epmd, Owner, <<>>).

%% Asked: what the node has said, of which the third byte is the request's tag.
relay(Node, Epmd, Owner, Asked) ->
	receive
		{tcp, Node, Data} ->
			_ = gen_tcp:send(Epmd, Data),
			relay(Node, Epmd, Owner, <<Asked/binary, Data/binary>>);
		{tcp, Epmd, Data} ->
			_ = [Owner ! {registered, erlang:monotonic_time(microsecond)} || is_registration(Asked)],
			_ = gen_tcp:send(Node, Data),
			relay(Node, Epmd, Owner, Asked);
		{tcp_closed, _} ->
			gen_tcp:close(Node),
			gen_tcp:close(Epmd)
	end.

is_registration(<<_Length:16, ?ALIVE2_REQ, _/binary>>) -> true;
is_registration(_) -> false.
