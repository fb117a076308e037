%% What one node sees of its cluster; runs on the node itself.
%%
%% One snapshot is one call, so that its parts belong to the same moment, and
%% two snapshots of an untouched node are equal.
-module(node_view).

-export([snapshot/0, join_group/2, register_globally/1, give_back/3]).
-export([interpreters/0]).

-export_type([view/0]).

-type view() :: #{visible := [node()], hidden := [node()], global_names := [term()],
	global_known := [node()], pg_groups := #{term() => [node()]}}.

-define(SCOPE, ?MODULE).

-spec snapshot() -> view().
snapshot() ->
	#{visible => lists:sort(nodes()),
		hidden => lists:sort(nodes(hidden)),
		global_names => lists:sort(global:registered_names()),
		global_known => lists:sort(global_known()),
		pg_groups => maps:from_list([{Group, members(Group)} || Group <- groups()])}.

%% Puts a process that lives as long as the node into a pg group, and starts
%% the scope if it must.
-spec join_group(term(), pos_integer()) -> ok.
join_group(Group, Members) ->
	start_scope(),
	Pids = [spawn(fun idle/0) || _ <- lists:seq(1, Members)],
	pg:join(?SCOPE, Group, Pids).

%% Returns yes when the name is registered on all nodes.
-spec register_globally(term()) -> yes | no.
register_globally(Name) ->
	global:register_name(Name, spawn(fun idle/0)).

%% For calls from outside: what came in is what goes out.
-spec give_back(term(), term(), term()) -> term().
give_back(First, Second, Third) ->
	{First, Second, Third}.

%% How many processes run code that no module holds: a watcher is one.
-spec interpreters() -> non_neg_integer().
interpreters() ->
	length([Pid || Pid <- processes(), is_interpreter(Pid)]).

%% Helpers.

is_interpreter(Pid) ->
	case process_info(Pid, [initial_call, current_function]) of
		undefined -> false;
		Functions -> [erl_eval || {_, {erl_eval, _, _}} <- Functions] =/= []
	end.

start_scope() ->
	case whereis(?SCOPE) of
		undefined ->
			{ok, Pid} = pg:start(?SCOPE),
			true = unlink(Pid),
			ok;
		_ ->
			ok
	end.

idle() ->
	receive stop -> ok end.

groups() ->
	case whereis(?SCOPE) of
		undefined -> [];
		_ -> pg:which_groups(?SCOPE)
	end.

members(Group) ->
	lists:sort([node(Pid) || Pid <- pg:get_members(?SCOPE, Group)]).

%% global's own list of the nodes it synchronises with: there is no other way
%% to see that a hidden node did not get into it. A map from OTP 25 on, with
%% further keys that are no node names.
global_known() ->
	case element(3, global:info()) of
		Known when is_map(Known) -> [Node || Node <- maps:keys(Known), is_atom(Node)];
		Known when is_list(Known) -> Known
	end.
