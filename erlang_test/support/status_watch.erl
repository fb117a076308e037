%% Asks a daemon for its state all the time, and tells which answers were untrue.
%%
%% A test that looks before and after a fault does not see a state that was wrong
%% for a moment in between: a `listening` of a session that is gone, a member that
%% was forgotten and heard again, a daemon that was not ready any more.
-module(status_watch).
-behaviour(gen_server).

-export([start/3, cannot_hear/2, can_hear/1, state/1, kinds/1, stop/1]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([watch/0, report/0]).

-opaque watch() :: pid().

%% `untrue` holds each untrue answer with everything that was wrong with it.
-type report() :: #{answers := non_neg_integer(), slowest_ms := float(),
	untrue := [#{at_ms := integer(), wrong := [term()], status := term()}]}.

-define(GAP_MS, 50).
%% An own echo is missed after two and a half announce intervals, which the lab's
%% daemons have at one second; the remainder is for a busy machine.
-define(OLDEST_ECHO_S, 3.0).
-define(CALL_MS, 20000).

%% From now on these nodes must always be members that are up.
-spec start(lab:lab(), pgmesh:daemon(), [node()]) -> watch().
start(Lab, Daemon, Linked) ->
	lab:start(Lab, {?MODULE, start_link, [#{daemon => Daemon, linked => Linked}]}).

%% From GraceMs after now until can_hear/1 there is nothing that it could hear:
%% whoever says `listening` is wrong.
-spec cannot_hear(watch(), non_neg_integer()) -> ok.
cannot_hear(Watch, GraceMs) ->
	gen_server:call(Watch, {deaf_from, now_ms() + GraceMs}, ?CALL_MS).

%% To be called before Postgres is helped, not when it is back.
-spec can_hear(watch()) -> ok.
can_hear(Watch) ->
	gen_server:call(Watch, {deaf_from, never}, ?CALL_MS).

%% What it said last of its Postgres session.
-spec state(watch()) -> binary() | term().
state(Watch) ->
	gen_server:call(Watch, state, ?CALL_MS).

%% Every kind of error of its Postgres session that it has named up to now.
-spec kinds(watch()) -> [binary()].
kinds(Watch) ->
	gen_server:call(Watch, kinds, ?CALL_MS).

-spec stop(watch()) -> report().
stop(Watch) ->
	Report = gen_server:call(Watch, report, ?CALL_MS),
	ok = gen_server:stop(Watch),
	Report.

%% gen_server.

start_link(Settings) ->
	gen_server:start_link(?MODULE, Settings, []).

init(Settings) ->
	self() ! look,
	{ok, Settings#{deaf_from => never, started_ms => now_ms(), state => none, kinds => [],
		was_ready => false, answers => 0, slowest_ms => 0.0, untrue => []}}.

handle_call({deaf_from, Time}, _From, State) ->
	{reply, ok, State#{deaf_from := Time}};
handle_call(state, _From, #{state := Last} = State) ->
	{reply, Last, State};
handle_call(kinds, _From, #{kinds := Kinds} = State) ->
	{reply, Kinds, State};
handle_call(report, _From, #{untrue := Untrue} = State) ->
	{reply, (maps:with([answers, slowest_ms], State))#{untrue => lists:reverse(Untrue)}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

handle_info(look, State) ->
	Looked = look(State),
	_ = erlang:send_after(?GAP_MS, self(), look),
	{noreply, Looked}.

%% Looking. Whether the daemon may be listening is asked of the time before the
%% question: what happens while it answers may go either way.

look(#{daemon := Daemon, answers := Answers, slowest_ms := Slowest} = State) ->
	Asked = now_ms(),
	{StatusUs, Status} = timer:tc(control_socket, get, [Daemon, "/api/v1/status"]),
	{MembersUs, Members} = timer:tc(control_socket, get, [Daemon, "/api/v1/members"]),
	{IsReady, Unready} = readiness(control_socket:ask(Daemon, "/readyz"), State),
	Wrong = wrong_with_status(Status, Asked, State) ++ wrong_with_members(Members, State) ++ Unready,
	note_wrong(Wrong, Asked, Status, State#{
		was_ready := IsReady,
		answers := Answers + 1,
		slowest_ms := lists:max([Slowest, StatusUs / 1000, MembersUs / 1000]),
		state := postgres_state(Status),
		kinds := add_kind(Status, State)}).

note_wrong([], _, _, State) ->
	State;
note_wrong(Wrong, Asked, Status, #{untrue := Untrue, started_ms := Started} = State) ->
	State#{untrue := [#{at_ms => Asked - Started, wrong => Wrong, status => Status} | Untrue]}.

postgres_state(#{<<"postgres">> := #{<<"state">> := State}}) -> State;
postgres_state(Other) -> Other.

add_kind(#{<<"postgres">> := #{<<"error">> := #{<<"kind">> := Kind}}}, #{kinds := Kinds}) ->
	lists:usort([Kind | Kinds]);
add_kind(_, #{kinds := Kinds}) ->
	Kinds.

%% What must be true of every answer.

wrong_with_status(#{<<"postgres">> := Postgres, <<"frozen">> := Frozen,
		<<"counts">> := #{<<"up">> := Up}}, Asked, #{linked := Linked, deaf_from := DeafFrom}) ->
	Listens = maps:get(<<"state">>, Postgres) =:= <<"listening">>,
	%% An atom is greater than any number: `never` is later than now.
	named([{listening_to_nothing, Listens andalso Asked >= DeafFrom},
		{listening_with_an_old_echo, Listens andalso not is_fresh(Postgres)},
		{listening_with_an_error, Listens andalso maps:get(<<"error">>, Postgres) =/= null},
		{deaf_and_not_frozen, not Listens andalso not Frozen},
		{listening_and_frozen, Listens andalso Frozen},
		{too_few_up, Up < length(Linked)}]);
wrong_with_status(Other, _, _) ->
	[{no_status, Other}].

is_fresh(#{<<"last_echo_s">> := Seconds}) ->
	is_number(Seconds) andalso Seconds =< ?OLDEST_ECHO_S.

wrong_with_members(Members, #{linked := Linked}) when is_list(Members) ->
	[{not_up, Node} || Node <- Linked, not is_up(atom_to_binary(Node), Members)];
wrong_with_members(Other, _) ->
	[{no_members, Other}].

is_up(Name, Members) ->
	lists:any(fun(#{<<"node">> := Node, <<"state">> := State}) ->
		Node =:= Name andalso State =:= <<"up">>
	end, Members).

%% Whoever was ready once stays so: no fault of Postgres takes a pod out of its
%% service.
readiness({200, <<"ready\n">>}, _) -> {true, []};
readiness({503, <<"not ready: ", _/binary>>}, #{was_ready := false}) -> {false, []};
readiness(Other, #{was_ready := WasReady}) -> {WasReady, [{no_longer_ready, Other}]}.

named(Judgements) ->
	[What || {What, true} <- Judgements].

now_ms() ->
	erlang:monotonic_time(millisecond).
