%% An application that is in no hurry to stop.
%%
%% A node in init:stop/0 still answers and still takes connections while its
%% applications stop. This one takes leave of the visible nodes, as some libraries
%% do, and then waits until it is told that it may end.
-module(slow_stop).
-behaviour(application).
-behaviour(gen_server).

-export([start/0, may_end/0]).
-export([start/2, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).

-spec start() -> ok.
start() ->
	ok = application:load({application, ?MODULE, [{description, "slow to stop"}, {vsn, "1"},
		{modules, [?MODULE]}, {registered, [?MODULE]}, {applications, [kernel, stdlib]},
		{mod, {?MODULE, []}}]}),
	application:start(?MODULE).

-spec may_end() -> ok.
may_end() ->
	?MODULE ! may_end,
	ok.

%% application. The top process is no supervisor: it has nobody to look after.

start(_Type, []) ->
	start_link().

stop(_) ->
	ok.

%% gen_server.

start_link() ->
	gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
	process_flag(trap_exit, true),
	{ok, running}.

handle_call(_Request, _From, State) ->
	{reply, {error, unknown_call}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

terminate(_Reason, _State) ->
	_ = [erlang:disconnect_node(Node) || Node <- nodes()],
	receive may_end -> ok end.
