%% Remembers when things happened on this node, to the microsecond.
%%
%% Join times are measured from a NOTIFY to a nodeup, and tests that say "no
%% link between visible nodes was lost" need every nodedown, also one that was
%% over before anybody looked. So this process sees all nodeups and nodedowns,
%% hidden nodes included, from the moment it starts, and takes notes from
%% others (the beacon). It must stay a process of its own: the beacon is
%% blocked while it dials.
-module(link_recorder).
-behaviour(gen_server).

-export([start/0, note/2, events/0, clear/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([event/0]).

%% `system_us` can be compared between the nodes of one machine,
%% `monotonic_us` only within one node, but it never jumps.
-type event() :: #{what := nodeup | nodedown | notified | heard | atom(),
	about := node() | binary(), info := list(),
	monotonic_us := integer(), system_us := integer()}.

%% Does nothing when it runs already. It loads what a first link would load: a
%% release has all of it from the start, and 20 ms of reading unicode_util from
%% disk must not be taken for the time of a join.
-spec start() -> ok.
start() ->
	ok = code:ensure_modules_loaded([string, unicode_util, dist_util, timer]),
	case gen_server:start({local, ?MODULE}, ?MODULE, [], []) of
		{ok, _} -> ok;
		{error, {already_started, _}} -> ok
	end.

%% The time is taken in the caller, so that a busy recorder falsifies nothing.
-spec note(atom(), node() | binary()) -> ok.
note(What, About) ->
	gen_server:cast(?MODULE, {note, event(What, About, [])}).

%% Everything since the start or the last clear/0, oldest first.
-spec events() -> [event()].
events() ->
	gen_server:call(?MODULE, events).

-spec clear() -> ok.
clear() ->
	gen_server:call(?MODULE, clear).

%% gen_server.

init([]) ->
	ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
	{ok, []}.

handle_call(events, _From, Newest) ->
	{reply, lists:reverse(Newest), Newest};
handle_call(clear, _From, _) ->
	{reply, ok, []}.

handle_cast({note, Event}, Newest) ->
	{noreply, [Event | Newest]}.

handle_info({What, Node, Info}, Newest) when What =:= nodeup; What =:= nodedown ->
	{noreply, [event(What, Node, Info) | Newest]}.

event(What, About, Info) ->
	#{what => What, about => About, info => Info,
		monotonic_us => erlang:monotonic_time(microsecond),
		system_us => erlang:system_time(microsecond)}.
