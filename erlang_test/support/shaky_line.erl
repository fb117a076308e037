%% A line to Postgres that fails as networks do: cut, or dead without a word.
%%
%% A server that is stopped closes its sockets, and one that is frozen keeps them
%% all. Here single connections die, silently if need be, in one direction or
%% both, and at any step of becoming a session.
-module(shaky_line).
-behaviour(gen_server).

-export([start/2, port/1, cut/1, lose/2, plan/2]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2]).

-export_type([line/0, lost/0]).

-opaque line() :: #{server := pid(), port := inet:port_number()}.
%% Whose words get lost.
-type lost() :: client | server | everybody.

-define(NEVER, infinity).

%% To the Postgres at this port of 127.0.0.1.
-spec start(lab:lab(), inet:port_number()) -> line().
start(Lab, PostgresPort) ->
	Server = lab:start(Lab, {?MODULE, start_link, [PostgresPort]}),
	#{server => Server, port => gen_server:call(Server, port)}.

-spec port(line()) -> inet:port_number().
port(#{port := Port}) ->
	Port.

%% Closes every connection that there is.
-spec cut(line()) -> ok.
cut(#{server := Server}) ->
	gen_server:call(Server, {tell_all, cut}).

%% From now on this is lost on every connection that there is. New ones are good.
-spec lose(line(), lost()) -> ok.
lose(#{server := Server}, Lost) ->
	gen_server:call(Server, {tell_all, {lose, Lost}}).

%% After how many pieces from the client each of the next connections goes dead;
%% those after them are good.
-spec plan(line(), [non_neg_integer() | infinity]) -> ok.
plan(#{server := Server}, Pieces) ->
	gen_server:call(Server, {plan, Pieces}).

%% gen_server.

start_link(PostgresPort) ->
	gen_server:start_link(?MODULE, PostgresPort, []).

init(PostgresPort) ->
	{ok, Listen} = gen_tcp:listen(0,
		[binary, {ip, {127, 0, 0, 1}}, {active, false}, {nodelay, true}, {backlog, 64}]),
	Server = self(),
	_ = spawn_link(fun() -> accept(Listen, Server, PostgresPort) end),
	{ok, #{listen => Listen, plan => [], carriers => []}}.

handle_call(port, _From, #{listen := Listen} = State) ->
	{ok, Port} = inet:port(Listen),
	{reply, Port, State};
handle_call({plan, Plan}, _From, State) ->
	{reply, ok, State#{plan := Plan}};
handle_call({tell_all, What}, _From, #{carriers := Carriers} = State) ->
	_ = [Carrier ! What || Carrier <- Carriers],
	{reply, ok, State};
handle_call({carries, Carrier}, _From, #{carriers := Carriers, plan := Plan} = State) ->
	{Pieces, Later} = first(Plan),
	{reply, Pieces, State#{carriers := [Carrier | Carriers], plan := Later}}.

handle_cast(_Message, State) ->
	{noreply, State}.

first([]) -> {?NEVER, []};
first([Pieces | Later]) -> {Pieces, Later}.

%% Connections, each carried by a process that ends with it.

accept(Listen, Server, PostgresPort) ->
	{ok, Client} = gen_tcp:accept(Listen),
	Carrier = spawn_link(fun() -> receive {go, Pieces} -> carry(Client, PostgresPort, Pieces) end end),
	ok = gen_tcp:controlling_process(Client, Carrier),
	Carrier ! {go, gen_server:call(Server, {carries, Carrier})},
	accept(Listen, Server, PostgresPort).

carry(Client, PostgresPort, Pieces) ->
	case gen_tcp:connect({127, 0, 0, 1}, PostgresPort, [binary, {active, true}, {nodelay, true}]) of
		{ok, Postgres} ->
			_ = inet:setopts(Client, [{active, true}]),
			pass(#{client => Client, postgres => Postgres, pieces => Pieces, lost => none});
		{error, _} ->
			gen_tcp:close(Client)
	end.

pass(#{client := Client, postgres := Postgres} = State) ->
	receive
		{tcp, Client, Data} -> pass(from_client(Data, State));
		{tcp, Postgres, Data} -> pass(from_postgres(Data, State));
		{lose, Lost} -> pass(State#{lost := Lost});
		{tcp_closed, _} -> close(State);
		{tcp_error, _, _} -> pass(State);
		cut -> close(State)
	end.

from_client(_, #{pieces := 0} = State) ->
	State#{lost := everybody};
from_client(_, #{lost := Lost} = State) when Lost =:= client; Lost =:= everybody ->
	State;
from_client(Data, #{postgres := Postgres, pieces := Pieces} = State) ->
	_ = gen_tcp:send(Postgres, Data),
	State#{pieces := one_less(Pieces)}.

from_postgres(_, #{lost := Lost} = State) when Lost =:= server; Lost =:= everybody ->
	State;
from_postgres(Data, #{client := Client} = State) ->
	_ = gen_tcp:send(Client, Data),
	State.

one_less(?NEVER) -> ?NEVER;
one_less(Pieces) -> Pieces - 1.

close(#{client := Client, postgres := Postgres}) ->
	ok = gen_tcp:close(Client),
	gen_tcp:close(Postgres).
