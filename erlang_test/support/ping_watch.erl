%% Pings a node again and again and remembers the worst answer; runs on the
%% node that pings.
%%
%% net_adm:ping/1 has no time limit, so that what it found is kept where it can
%% be read while a ping hangs.
-module(ping_watch).

-export([start/1, count/0, stop/0]).

-export_type([report/0]).

%% A ping that is still unanswered counts with the time it has waited so far.
-type report() :: #{pings := non_neg_integer(), not_pong := non_neg_integer(), worst_ms := float()}.

-define(GAP_MS, 1).

-spec start(node()) -> ok.
start(Node) ->
	Caller = self(),
	Pid = spawn(fun() ->
		?MODULE = ets:new(?MODULE, [named_table, public]),
		true = ets:insert(?MODULE, [{pings, 0}, {not_pong, 0}, {worst_us, 0}]),
		Caller ! {self(), ready},
		loop(Node)
	end),
	receive {Pid, ready} -> ok end.

-spec count() -> non_neg_integer().
count() ->
	ets:lookup_element(?MODULE, pings, 2).

-spec stop() -> report().
stop() ->
	[{under_way_since, Since}] = ets:lookup(?MODULE, under_way_since),
	note_time(Since),
	[Pings, NotPong, WorstUs] = [ets:lookup_element(?MODULE, Key, 2)
		|| Key <- [pings, not_pong, worst_us]],
	Pid = ets:info(?MODULE, owner),
	Monitor = monitor(process, Pid),
	exit(Pid, kill),
	receive {'DOWN', Monitor, process, Pid, _} -> ok end,
	#{pings => Pings, not_pong => NotPong, worst_ms => WorstUs / 1000}.

%% Helpers.

loop(Node) ->
	Started = now_us(),
	true = ets:insert(?MODULE, {under_way_since, Started}),
	Answer = net_adm:ping(Node),
	note_time(Started),
	true = ets:insert(?MODULE, {under_way_since, none}),
	_ = ets:update_counter(?MODULE, pings, 1),
	_ = Answer =:= pong orelse ets:update_counter(?MODULE, not_pong, 1),
	receive stop -> ok after ?GAP_MS -> loop(Node) end.

note_time(none) ->
	ok;
note_time(SinceUs) ->
	Us = now_us() - SinceUs,
	case ets:lookup_element(?MODULE, worst_us, 2) of
		Worst when Us > Worst -> ets:insert(?MODULE, {worst_us, Us});
		_ -> ok
	end.

now_us() ->
	erlang:monotonic_time(microsecond).
