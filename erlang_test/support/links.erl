%% Who is linked to whom, as the nodes themselves and pgmesh see it.
%%
%% The functions that answer true or say what is missing are conditions for
%% eventually:eventually/2 and eventually:holds/2.
-module(links).

-export([meshed/1, complete/3, has_hidden/2, has_no_hidden/2, none_lost/1, none_visible_lost/1]).
-export([lost/1, lost/2, visible_events/1]).
-export([join_times_ms/2, nodeup_after/3, meshed_after_ms/2]).
-export([await_global/1, median/1]).

-import(beam_node, [call/4, events/1]).

%% Are these nodes fully linked among themselves, and to no other visible node?
-spec meshed([beam_node:beam()]) -> true | [{node(), [node()]}].
meshed(Beams) ->
	Names = lists:sort(names(Beams)),
	none([{Name, Seen} || #{name := Name} = Beam <- Beams,
		Seen <- [lists:sort(call(Beam, erlang, nodes, []))], Seen =/= Names -- [Name]]).

%% Do all these nodes see pgmesh as hidden, and does it see all of them up?
-spec complete(lab:lab(), pgmesh:daemon(), [beam_node:beam()]) -> true | term().
complete(Lab, Daemon, Beams) ->
	Missing = [Name || #{name := Name} = Beam <- Beams, has_hidden(Beam, Daemon) =/= true],
	case Missing of
		[] -> pgmesh:all_up(Lab, Daemon, names(Beams));
		_ -> {without_pgmesh, Missing}
	end.

-spec has_hidden(beam_node:beam(), pgmesh:daemon()) -> true | {hidden, [node()]}.
has_hidden(Beam, Daemon) ->
	Hidden = call(Beam, erlang, nodes, [hidden]),
	lists:member(pgmesh:node_name(Daemon), Hidden) orelse {hidden, Hidden}.

-spec has_no_hidden(beam_node:beam(), pgmesh:daemon()) -> true | {hidden, [node()]}.
has_no_hidden(Beam, Daemon) ->
	Hidden = call(Beam, erlang, nodes, [hidden]),
	not lists:member(pgmesh:node_name(Daemon), Hidden) orelse {hidden, Hidden}.

%% Until global has told all of these of each other: what it still has to say to a node that
%% is cut off connects it again.
-spec await_global([beam_node:beam()]) -> ok.
await_global(Beams) ->
	[ok = call(Beam, global, sync, []) || Beam <- Beams],
	ok.

%% Has no nodedown been seen since the nodes' events were cleared?
-spec none_lost([beam_node:beam()]) -> true | [link_recorder:event()].
none_lost(Beams) ->
	none([Event || Beam <- Beams, Event <- lost(Beam)]).

%% The same, whatever becomes of daemons.
-spec none_visible_lost([beam_node:beam()]) -> true | [link_recorder:event()].
none_visible_lost(Beams) ->
	none([Event || Beam <- Beams, #{what := nodedown} = Event <- visible_events(Beam)]).

%% Every nodedown on this node since it started or its events were cleared.
-spec lost(beam_node:beam()) -> [link_recorder:event()].
lost(Beam) ->
	[Event || #{what := nodedown} = Event <- events(Beam)].

-spec lost(beam_node:beam(), node()) -> [link_recorder:event()].
lost(Beam, Node) ->
	[Event || #{about := About} = Event <- lost(Beam), About =:= Node].

%% Every nodeup and nodedown of a visible node: none while nothing happens.
-spec visible_events(beam_node:beam()) -> [link_recorder:event()].
visible_events(Beam) ->
	[Event || #{what := What, info := Info} = Event <- events(Beam),
		What =:= nodeup orelse What =:= nodedown,
		proplists:get_value(node_type, Info) =:= visible].

%% From a node's first NOTIFY to each nodeup of the other on it, in order.
-spec join_times_ms(beam_node:beam(), node()) -> [float()].
join_times_ms(Beam, Node) ->
	Events = events(Beam),
	[Notified | _] = [Us || #{what := notified, system_us := Us} <- Events],
	[(Us - Notified) / 1000 || Us <- nodeups(Events, Node)].

%% When the other came up on this node, in system time; the first nodeup at or
%% after the given time, or none.
-spec nodeup_after(integer(), beam_node:beam(), node()) -> integer() | none.
nodeup_after(SinceUs, Beam, Node) ->
	case [Us || Us <- nodeups(events(Beam), Node), Us >= SinceUs] of
		[First | _] -> First;
		[] -> none
	end.

%% From a moment in system time, in microseconds, to the last nodeup among nodes
%% that are meshed now.
-spec meshed_after_ms(integer(), [beam_node:beam()]) -> float().
meshed_after_ms(SinceUs, Beams) ->
	Names = names(Beams),
	Last = lists:max([Us || Beam <- Beams,
		#{what := nodeup, about := About, system_us := Us} <- events(Beam), lists:member(About, Names)]),
	(Last - SinceUs) / 1000.

-spec median([number()]) -> number().
median(Numbers) ->
	lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

%% Helpers.

names(Beams) ->
	[Name || #{name := Name} <- Beams].

none([]) -> true;
none(Some) -> Some.

nodeups(Events, Node) ->
	[Us || #{what := nodeup, about := About, system_us := Us} <- Events, About =:= Node].
