%% Hears what is said on a lab's channel, and takes no part.
%%
%% Every name said there becomes an atom on each node of the strategy, so who says
%% which names, and that nobody falls silent, is heard from outside.
-module(channel_ear).
-behaviour(gen_server).

-export([start/1, heard/1, has_heard/2, times/2, longest_silence_ms/2]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([ear/0]).

-opaque ear() :: pid().

%% Returns when it hears.
-spec start(lab:lab()) -> ear().
start(#{channel := Channel} = Lab) ->
	lab:start(Lab, {?MODULE, start_link, [{lab:postgres(Lab), Channel}]}).

%% Each payload once, since the start.
-spec heard(ear()) -> [binary()].
heard(Ear) ->
	{_, Heard} = gen_server:call(Ear, heard),
	lists:usort([Payload || {Payload, _} <- Heard]).

%% How often this name was said, since the start.
-spec times(ear(), node()) -> non_neg_integer().
times(Ear, Name) ->
	{_, Heard} = gen_server:call(Ear, heard),
	length([Payload || {Payload, _} <- Heard, Payload =:= atom_to_binary(Name)]).

%% For how long at most this name was not said, from the start until now.
-spec longest_silence_ms(ear(), node()) -> non_neg_integer().
longest_silence_ms(Ear, Name) ->
	{StartedMs, Heard} = gen_server:call(Ear, heard),
	Said = [Ms || {Payload, Ms} <- Heard, Payload =:= atom_to_binary(Name)],
	Moments = [StartedMs | Said] ++ [now_ms()],
	lists:max([Later - Earlier || {Earlier, Later} <- lists:zip(lists:droplast(Moments), tl(Moments))]).

%% For eventually/2: has all of this been said?
-spec has_heard(ear(), [node()]) -> true | {heard, [binary()]}.
has_heard(Ear, Names) ->
	Heard = heard(Ear),
	[atom_to_binary(Name) || Name <- Names] -- Heard =:= [] orelse {heard, Heard}.

%% gen_server.

start_link(Settings) ->
	gen_server:start_link(?MODULE, Settings, []).

init({Postgres, Channel}) ->
	{ok, Session} = pg_session:connect(Postgres),
	{ok, _, Listening} = pg_session:query(pg_session:listen_statement(Channel), Session),
	ok = pg_session:listen_actively(Listening),
	{ok, #{session => Listening, started_ms => now_ms(), newest => []}}.

handle_call(heard, _From, #{started_ms := StartedMs, newest := Newest} = State) ->
	{reply, {StartedMs, lists:reverse(Newest)}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

%% A Postgres that goes away takes the ear with it: who needs one afterwards
%% starts another.
handle_info({tcp, _, Data}, #{session := Session, newest := Newest} = State) ->
	{Payloads, Listening} = pg_session:take_notifications(Data, Session),
	_ = pg_session:listen_actively(Listening),
	Heard = [{Payload, now_ms()} || Payload <- Payloads],
	{noreply, State#{session := Listening, newest := lists:reverse(Heard, Newest)}};
handle_info({tcp_closed, _}, State) ->
	{stop, normal, State};
handle_info({tcp_error, _, _}, State) ->
	{noreply, State}.

%% Helpers.

now_ms() ->
	erlang:monotonic_time(millisecond).
