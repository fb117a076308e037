%% An EPMD of our own, in the foreground, so that its end is ours.
%%
%% Nodes that start without one would start a daemon that outlives the tests.
%% It is bound to 127.0.0.1 only: other loopback addresses stay free for
%% listeners that play a foreign host's EPMD at the same port.
-module(scratch_epmd).

-export([start/1, names/1]).

-define(READY_MS, 5000).

-spec start(map()) -> inet:port_number().
start(#{directory := Directory} = Lab) ->
	Port = free_port:pick(),
	Log = lab:log_file(Lab, "epmd"),
	_ = lab:start(Lab, {os_process, start_link, [#{
		program => "epmd", directory => Directory, stdout => Log, stderr => Log,
		args => ["-address", "127.0.0.1", "-port", integer_to_list(Port)]}]}),
	_ = eventually:eventually(fun() -> is_list(names(Port)) end, ?READY_MS),
	Port.

%% The alive names that are registered. Asked in EPMD's own words, since
%% OTP's client looks up the port in this VM's environment.
-spec names(inet:port_number()) -> [string()].
names(Port) ->
	{ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
	ok = gen_tcp:send(Socket, <<1:16, $n>>),
	<<Port:32, Lines/binary>> = receive_all(Socket, <<>>),
	[alive_name(Line) || Line <- string:lexemes(binary_to_list(Lines), "\n")].

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
