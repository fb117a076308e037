%% An EPMD of our own, in the foreground, so that its end is ours.
%%
%% Nodes that start without one would start a daemon that outlives the tests.
%% It is bound to 127.0.0.1 only: other loopback addresses stay free for
%% listeners that play a foreign host's EPMD at the same port.
-module(scratch_epmd).

-export([start/1, start/2, port/1, kill/1, names/1, names/2, node_port/2]).

-export_type([epmd/0]).

-opaque epmd() :: #{process := pid(), port := inet:port_number()}.

-define(READY_MS, 5000).
-define(PORT_PLEASE2, 122).
-define(PORT2_RESP, 119).

%% Returns when it answers.
-spec start(map()) -> epmd().
start(Lab) ->
	start(Lab, free_port:pick()).

%% At this port: another one after kill/1.
-spec start(map(), inet:port_number()) -> epmd().
start(#{directory := Directory} = Lab, Port) ->
	Log = lab:log_file(Lab, "epmd"),
	Process = lab:start(Lab, {os_process, start_link, [#{
		program => "epmd", directory => Directory, stdout => Log, stderr => Log,
		args => ["-address", "127.0.0.1", "-port", integer_to_list(Port)]}]}),
	_ = eventually:eventually(fun() -> is_list(names(Port)) end, ?READY_MS),
	#{process => Process, port => Port}.

-spec port(epmd()) -> inet:port_number().
port(#{port := Port}) ->
	Port.

%% As kill -9; returns when it is gone.
-spec kill(epmd()) -> ok.
kill(#{process := Process}) ->
	ok = os_process:signal(Process, 'KILL'),
	137 = os_process:await_exit(Process, ?READY_MS),
	ok.

%% The alive names that are registered. Asked in EPMD's own words, since
%% OTP's client looks up the port in this VM's environment.
-spec names(inet:port_number()) -> [string()].
names(Port) ->
	names("127.0.0.1", Port).

%% The same of another host's EPMD.
-spec names(string(), inet:port_number()) -> [string()].
names(Host, Port) ->
	{ok, Socket} = gen_tcp:connect(Host, Port, [binary, {active, false}]),
	ok = gen_tcp:send(Socket, <<1:16, $n>>),
	<<Port:32, Lines/binary>> = receive_all(Socket, <<>>),
	[alive_name(Line) || Line <- string:lexemes(binary_to_list(Lines), "\n")].

%% Where the node with this alive name listens.
-spec node_port(inet:port_number(), string()) -> inet:port_number().
node_port(Port, AliveName) ->
	{ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
	ok = gen_tcp:send(Socket, <<(1 + length(AliveName)):16, ?PORT_PLEASE2,
		(list_to_binary(AliveName))/binary>>),
	<<?PORT2_RESP, 0, NodePort:16, _/binary>> = receive_all(Socket, <<>>),
	NodePort.

receive_all(Socket, Received) ->
	case gen_tcp:recv(Socket, 0, ?READY_MS) of
		{ok, Data} ->
			receive_all(Socket, <<Received/binary, Data/binary>>);
		{error, closed} ->
			ok = gen_tcp:close(Socket),
			Received
	end.

alive_name("name " ++ Line) ->
	[Name | _] = string:split(Line, " at port "),
	Name.
