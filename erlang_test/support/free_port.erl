%% Ports for servers that are stopped and started again during a test.
%%
%% They are taken from below the kernel's ephemeral range: from inside it, a
%% client that retries a closed port can be given that very port as its own
%% and connect to itself.
-module(free_port).

-export([pick/0]).

-define(LOWEST, 10000).

-spec pick() -> inet:port_number().
pick() ->
	pick(ephemeral_start(), 100).

pick(_, 0) ->
	error(no_free_port);
pick(Below, Tries) ->
	Port = ?LOWEST + rand:uniform(Below - ?LOWEST) - 1,
	case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
		{ok, Socket} ->
			ok = gen_tcp:close(Socket),
			Port;
		{error, _} ->
			pick(Below, Tries - 1)
	end.

ephemeral_start() ->
	{ok, Range} = file:read_file("/proc/sys/net/ipv4/ip_local_port_range"),
	[First | _] = string:lexemes(binary_to_list(Range), " \t\n"),
	max(list_to_integer(First), ?LOWEST + 10000).
