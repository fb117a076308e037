%% Lets a test run functions on a node without the distribution.
%%
%% The distribution is what is being tested, so the test VM must not be part of
%% it: it would be one more node in every view, and could not speak to a node
%% whose links it just cut. The agent runs inside the node, connects to the
%% test's own socket and applies what it is sent, each call in a process of
%% its own, so that a call that blocks blocks nobody else. It is a unix socket:
%% no test that cuts a network cuts it.
%%
%% When that connection ends the node ends: no test leaves a node behind.
-module(node_agent).

-export([start_from_env/0]).

-spec start_from_env() -> ok.
start_from_env() ->
	ok = link_recorder:start(),
	Path = os:getenv("NODE_AGENT_SOCKET"),
	_ = spawn(fun() -> connect(Path) end),
	ok.

connect(Path) ->
	{ok, Socket} = gen_tcp:connect({local, Path}, 0, [binary, {packet, 4}, {active, true}]),
	loop(Socket).

loop(Socket) ->
	receive
		{tcp, Socket, Request} ->
			_ = spawn(fun() -> answer(Socket, binary_to_term(Request)) end),
			loop(Socket);
		{tcp_closed, Socket} ->
			erlang:halt(0, [{flush, false}]);
		{tcp_error, Socket, _} ->
			erlang:halt(0, [{flush, false}])
	end.

answer(Socket, {Id, Module, Function, Args}) ->
	ok = gen_tcp:send(Socket, term_to_binary({Id, result(Module, Function, Args)})).

result(Module, Function, Args) ->
	try
		{ok, apply(Module, Function, Args)}
	catch Class:Reason:Stack ->
		{Class, Reason, Stack}
	end.
