%% Registers a node at the EPMD of its own host; for `erl -epmd_module`.
%%
%% OTP's client registers at 127.0.0.1, wherever the node lives. That is right
%% outside tests, and wrong where every loopback address plays a host. The address
%% is in ERL_EPMD_ADDRESS; whatever is asked of other hosts, OTP's client asks.
-module(own_epmd).
-behaviour(gen_server).

-export([start_link/0, register_node/2, register_node/3]).
-export([port_please/2, port_please/3, names/0, names/1, address_please/3, listen_port_please/2]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(ANSWER_MS, 5000).
-define(ALIVE2_REQ, 120).
-define(ALIVE2_X_RESP, 118).
-define(ALIVE2_RESP, 121).
-define(VISIBLE_NODE, 77).
-define(TCP_IPV4, 0).
-define(HIGHEST, 6).
-define(LOWEST, 5).

start_link() ->
	gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

register_node(Name, Port) ->
	register_node(Name, Port, inet).

register_node(Name, Port, _Family) ->
	gen_server:call(?MODULE, {register, Name, Port}, infinity).

port_please(Name, Host) ->
	erl_epmd:port_please(Name, Host).

port_please(Name, Host, TimeoutMs) ->
	erl_epmd:port_please(Name, Host, TimeoutMs).

names() ->
	names(own_address()).

names(Host) ->
	erl_epmd:names(Host).

address_please(Name, Host, Family) ->
	erl_epmd:address_please(Name, Host, Family).

listen_port_please(_Name, _Host) ->
	{ok, 0}.

%% gen_server. The registration lasts as long as its connection, which is the
%% state.

init([]) ->
	{ok, unregistered}.

handle_call({register, Name, Port}, _From, State) ->
	{ok, Socket} = gen_tcp:connect(own_address(), epmd_port(), [binary, {active, false}], ?ANSWER_MS),
	ok = gen_tcp:send(Socket, request(iolist_to_binary(io_lib:format("~s", [Name])), Port)),
	case gen_tcp:recv(Socket, 0, ?ANSWER_MS) of
		{ok, <<?ALIVE2_X_RESP, 0, Creation:32>>} -> {reply, {ok, Creation}, Socket};
		{ok, <<?ALIVE2_RESP, 0, Creation:16>>} -> {reply, {ok, Creation}, Socket};
		_ -> {reply, {error, duplicate_name}, State}
	end.

handle_cast(_Message, State) ->
	{noreply, State}.

%% Helpers.

request(Name, Port) ->
	Request = <<?ALIVE2_REQ, Port:16, ?VISIBLE_NODE, ?TCP_IPV4, ?HIGHEST:16, ?LOWEST:16,
		(byte_size(Name)):16, Name/binary, 0:16>>,
	<<(byte_size(Request)):16, Request/binary>>.

own_address() ->
	{ok, Ip} = inet:parse_address(os:getenv("ERL_EPMD_ADDRESS")),
	Ip.

epmd_port() ->
	list_to_integer(os:getenv("ERL_EPMD_PORT")).
