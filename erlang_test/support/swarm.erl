%% Many visible nodes in one process each, for what hundreds of real ones would take
%% too much memory.
%%
%% They are real links of pgmesh's, and answer what it asks in passing: their release,
%% and whom they are connected to. That is all they do, so pgmesh must only look:
%% `--watch-edges off --introduce none`.
-module(swarm).

-export([start/3, see/2, names/1, message/1]).

-define(PASS_THROUGH, 112).
-define(SEND, 2).

%% Peers by their names, which say that they are connected to each other, all of
%% them. They end with whoever started them.
-spec start(raw_peer:target(), pos_integer(), string()) -> #{node() => pid()}.
start(Target, Count, Host) ->
	Names = [list_to_atom(lists:flatten(io_lib:format("n~b@~s", [N, Host]))) || N <- lists:seq(1, Count)],
	maps:from_list([{Name, spawn_link(fun() -> live(Target, Name, Names -- [Name]) end)} || Name <- Names]).

%% From now on this one says that it is connected to these.
-spec see(pid(), [node()]) -> ok.
see(Peer, Names) ->
	Peer ! {see, Names},
	ok.

-spec names(#{node() => pid()}) -> [node()].
names(Swarm) ->
	lists:sort(maps:keys(Swarm)).

live(Target, Name, Peers) ->
	Socket = raw_peer:link(Target, atom_to_binary(Name)),
	ok = inet:setopts(Socket, [{packet, 4}, {active, true}]),
	loop(Socket, Peers).

loop(Socket, Peers) ->
	receive
		{see, Others} ->
			loop(Socket, Others);
		{tcp, Socket, <<>>} ->
			ok = gen_tcp:send(Socket, <<>>), % a tick for a tick
			loop(Socket, Peers);
		{tcp, Socket, <<?PASS_THROUGH, Terms/binary>>} ->
			answer(Socket, message(Terms), Peers),
			loop(Socket, Peers);
		{tcp_closed, Socket} ->
			ok
	end.

%% What a frame without a distribution header carries behind its control message.
-spec message(binary()) -> term() | none.
message(Terms) ->
	{_Control, Used} = binary_to_term(Terms, [used]),
	case binary:part(Terms, Used, byte_size(Terms) - Used) of
		<<>> -> none;
		Payload -> binary_to_term(Payload)
	end.

answer(Socket, {'$gen_call', {Pid, Reference}, {call, Module, Function, _, _}}, Peers) ->
	Answer = term_to_binary({Reference, result(Module, Function, Peers)}),
	ok = gen_tcp:send(Socket, [?PASS_THROUGH, term_to_binary({?SEND, '', Pid}), Answer]);
answer(_, _, _) ->
	ok.

result(erlang, nodes, Peers) -> Peers;
result(erlang, system_info, _) -> "27";
result(_, _, _) -> {badrpc, nodedown}.
