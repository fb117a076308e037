%% What systemd is to a service: a datagram socket that is told how it stands.
-module(service_manager).

-export([open/1, environment/1, environment/2]).
-export([said/1, says/2, says_last/3]).

-export_type([manager/0]).

-type manager() :: #{socket := gen_udp:socket(), path := string(), heard := ets:table()}.

-spec open(lab:lab()) -> manager().
open(#{directory := Directory}) ->
	Path = filename:join(Directory, "notify"),
	{ok, Socket} = gen_udp:open(0, [local, binary, {ifaddr, {local, Path}}, {active, false}]),
	#{socket => Socket, path => Path, heard => ets:new(heard, [ordered_set])}.

%% What a service is started with.
-spec environment(manager()) -> [{string(), string()}].
environment(#{path := Path}) ->
	[{"NOTIFY_SOCKET", Path}].

%% The same with a watchdog, which waits so long for a ping.
-spec environment(manager(), pos_integer()) -> [{string(), string()}].
environment(Manager, WatchdogMs) ->
	[{"WATCHDOG_USEC", integer_to_list(WatchdogMs * 1000)} | environment(Manager)].

%% All assignments that have come up to now, in their order: <<"READY=1">>.
-spec said(manager()) -> [binary()].
said(#{socket := Socket, heard := Heard} = Manager) ->
	case gen_udp:recv(Socket, 0, 0) of
		{ok, {_, _, Datagram}} ->
			Lines = binary:split(Datagram, <<"\n">>, [global, trim_all]),
			[true = ets:insert(Heard, {erlang:unique_integer([monotonic]), Line}) || Line <- Lines],
			said(Manager);
		{error, timeout} ->
			[Line || {_, Line} <- ets:tab2list(Heard)]
	end.

%% True if this has been said, else all that was; for eventually/2.
-spec says(manager(), binary()) -> true | [binary()].
says(Manager, Line) ->
	Said = said(Manager),
	lists:member(Line, Said) orelse Said.

%% True if the last assignment to the variable begins so; for eventually/2.
-spec says_last(manager(), binary(), binary()) -> true | [binary()].
says_last(Manager, Variable, Expected) ->
	Start = <<Variable/binary, "=">>,
	Said = [Line || Line <- said(Manager), string:prefix(Line, Start) =/= nomatch],
	Said =/= [] andalso string:prefix(lists:last(Said), <<Start/binary, Expected/binary>>) =/= nomatch
		orelse Said.
