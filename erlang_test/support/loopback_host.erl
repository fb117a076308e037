%% A host of its own, as far as nodes can tell: a loopback address with an EPMD.
%%
%% Everybody looks for EPMD at the same port of the host in a node's name. But
%% `epmd` listens on 127.0.0.1 whatever it is told, so that there is one at most
%% with that port. Hence each host's real one has a port of its own there, and what
%% comes to the host's address is carried to it.
%%
%% A node registers at 127.0.0.1, too, and is told not to by own_epmd.
-module(loopback_host).
-behaviour(gen_server).

-export([open/2, alias/2, names/1]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2]).

%% The lab as programs on this host see it: what is started in it registers there,
%% pgmesh included. The address is one of 127.0.0.0/8, and not 127.0.0.1.
-spec open(lab:lab(), string()) -> lab:lab().
open(#{epmd_port := SharedPort} = Lab, Address) ->
	Epmd = scratch_epmd:start(Lab),
	ok = carry_from(Lab, Address, SharedPort, scratch_epmd:port(Epmd)),
	Lab#{epmd := Epmd, epmd_address => Address}.

%% The lab's own host under another address: its EPMD is found there, too.
-spec alias(lab:lab(), string()) -> ok.
alias(#{epmd_port := Port} = Lab, Address) ->
	carry_from(Lab, Address, Port, Port).

carry_from(Lab, Address, Port, EpmdPort) ->
	{ok, Ip} = inet:parse_address(Address),
	_ = lab:start(Lab, {?MODULE, start_link, [#{ip => Ip, port => Port, epmd_port => EpmdPort}]}),
	ok.

%% The alive names that are registered on this host.
-spec names(lab:lab()) -> [string()].
names(#{epmd := Epmd}) ->
	scratch_epmd:names(scratch_epmd:port(Epmd)).

%% gen_server.

start_link(Settings) ->
	gen_server:start_link(?MODULE, Settings, []).

init(#{ip := Ip, port := Port, epmd_port := EpmdPort}) ->
	{ok, Listen} = gen_tcp:listen(Port, [binary, {ip, Ip}, {active, false}, {reuseaddr, true},
		{backlog, 256}]),
	_ = spawn_link(fun() -> accept(Listen, EpmdPort) end),
	{ok, Listen}.

handle_call(_Request, _From, State) ->
	{reply, {error, unknown_call}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

%% Connections, each carried by a process that ends with it: a registration lasts
%% as long as its connection.

accept(Listen, EpmdPort) ->
	{ok, Client} = gen_tcp:accept(Listen),
	Carrier = spawn_link(fun() -> receive go -> carry(Client, EpmdPort) end end),
	ok = gen_tcp:controlling_process(Client, Carrier),
	Carrier ! go,
	accept(Listen, EpmdPort).

carry(Client, EpmdPort) ->
	case gen_tcp:connect({127, 0, 0, 1}, EpmdPort, [binary, {active, true}, {nodelay, true}]) of
		{ok, Epmd} ->
			_ = inet:setopts(Client, [{active, true}]),
			pass(Client, Epmd);
		{error, _} ->
			gen_tcp:close(Client)
	end.

pass(Client, Epmd) ->
	receive
		{tcp, Client, Data} ->
			_ = gen_tcp:send(Epmd, Data),
			pass(Client, Epmd);
		{tcp, Epmd, Data} ->
			_ = gen_tcp:send(Client, Data),
			pass(Client, Epmd);
		{tcp_closed, _} ->
			ok = gen_tcp:close(Client),
			gen_tcp:close(Epmd);
		{tcp_error, _, _} ->
			pass(Client, Epmd)
	end.
