%% What a node may ask of a hidden one that has no processes: a monitor, a link.
%%
%% It runs on the node itself, on each OTP that the tests know.
-module(hidden_peer).

-export([monitor_reason/1, link_reason/2, dial/1]).

-define(NEW_PID_EXT, 88).
-define(SMALL_ATOM_UTF8_EXT, 119).
-define(BOUND_MS, 5000).

%% Why a monitor of a name fires at once that nobody has there.
-spec monitor_reason(node()) -> term().
monitor_reason(Node) ->
	Monitor = erlang:monitor(process, {nosuch, Node}),
	receive
		{'DOWN', Monitor, process, _, Reason} -> Reason
	after ?BOUND_MS ->
		silence
	end.

%% Why a link to a pid breaks at once that there is none of.
-spec link_reason(node(), pos_integer()) -> term().
link_reason(Node, Creation) ->
	Name = atom_to_binary(Node, utf8),
	Pid = binary_to_term(<<131, ?NEW_PID_EXT, ?SMALL_ATOM_UTF8_EXT, (byte_size(Name)), Name/binary,
		4711:32, 0:32, Creation:32>>),
	Trapping = process_flag(trap_exit, true),
	true = link(Pid),
	Why = receive
		{'EXIT', Pid, Reason} -> Reason
	after ?BOUND_MS ->
		silence
	end,
	_ = process_flag(trap_exit, Trapping),
	Why.

%% For a node that has no name yet, and gets one from whom it dials.
-spec dial(node()) -> node().
dial(Node) ->
	true = net_kernel:connect_node(Node),
	node().
