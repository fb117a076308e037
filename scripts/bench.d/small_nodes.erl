%% Real BEAM nodes, as small as they get: many of them share the machine with what is
%% measured.
-module(small_nodes).

-export([start/3, names/1, await_linked/3]).

-define(SMALL, ["+S", "1", "+SDcpu", "1", "+SDio", "1", "+A", "1"]).
%% At once: the machine has few cores.
-define(TOGETHER, 10).
-define(LINKED_MS, 60000).

%% Those with these numbers, with more flags for the emulator.
-spec start(lab:lab(), [pos_integer()], [string()]) -> [beam_node:beam()].
start(_, [], _) ->
	[];
start(Lab, Numbers, Flags) ->
	{Now, Later} = lists:split(min(?TOGETHER, length(Numbers)), Numbers),
	Started = beam_node:start_all(Lab, [#{name => name(Number), flags => ?SMALL ++ Flags} || Number <- Now]),
	Started ++ start(Lab, Later, Flags).

-spec names([beam_node:beam()]) -> [node()].
names(Beams) ->
	[Name || #{name := Name} <- Beams].

%% Until the daemon is linked to all of these.
-spec await_linked(lab:lab(), pgmesh:daemon(), [node()]) -> ok.
await_linked(Lab, Daemon, Names) ->
	_ = eventually:eventually(fun() -> are_up(pgmesh:all_up(Lab, Daemon, Names)) end, ?LINKED_MS),
	ok.

%% A failure names some of those that are not, and not a thousand.
are_up(true) -> true;
are_up(NotUp) -> {length(NotUp), lists:sublist(NotUp, 5)}.

name(Number) ->
	list_to_atom(lists:concat(["n", Number, "@127.0.0.1"])).
