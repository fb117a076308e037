%% Behaves on the wire like libcluster_postgres 0.2, in plain Erlang.
%%
%% pgmesh must get on with nodes that run that strategy. This process does what
%% it does: two Postgres sessions, one that listens and one that announces
%% node() at once and then at an interval; for every payload heard that is not
%% the own name it connects to that node unless connected already, one dial
%% after another, inside the process that also hears and announces. A silent
%% address thus blocks it for net_setuptime, as it blocks the real one.
%%
%% Two differences, both so that a test outlives its own trouble:
%%   - it opens its sessions again 1 s after Postgres went away (the real one
%%     dies for good);
%%   - a payload too long for an atom is passed over (the real one crashes).
%%
%% Started by `erl -s pg_beacon start_from_env` or, in Elixir, by
%% `-e ':pg_beacon.start_from_env()'`. Settings are environment variables:
%%   PGHOST (127.0.0.1), PGPORT (5432), PGUSER (postgres), PGDATABASE (postgres),
%%   BEACON_CHANNEL (cluster), BEACON_INTERVAL_MS (5000).
%% What it does is noted in link_recorder: `notified` with the own name just
%% before each NOTIFY is sent, `heard` with each payload.
-module(pg_beacon).
-behaviour(gen_server).

-export([start_from_env/0]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-define(RECONNECT_AFTER_MS, 1000).

%% Not linked: under both `-s` and `-e` the caller is about to end.
-spec start_from_env() -> ok.
start_from_env() ->
	ok = link_recorder:start(),
	{ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, settings(), []),
	ok.

settings() ->
	#{postgres => #{
			host => os:getenv("PGHOST", "127.0.0.1"),
			port => list_to_integer(os:getenv("PGPORT", "5432")),
			user => os:getenv("PGUSER", "postgres"),
			database => os:getenv("PGDATABASE", "postgres")},
		channel => os:getenv("BEACON_CHANNEL", "cluster"),
		interval_ms => list_to_integer(os:getenv("BEACON_INTERVAL_MS", "5000"))}.

%% gen_server.

init(Settings) ->
	{ok, Settings#{sessions => none, timer => none}, {continue, connect}}.

handle_continue(connect, State) ->
	{noreply, connect(State)}.

handle_call(_Request, _From, State) ->
	{reply, {error, unknown_call}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

handle_info(connect, State) ->
	{noreply, connect(State)};
handle_info(announce, #{sessions := {_, _}} = State) ->
	{noreply, announce(State)};
handle_info({tcp, Socket, Data}, #{sessions := {Listening, Announcing}} = State) ->
	case pg_session:socket(Listening) of
		Socket -> {noreply, hear(Data, Listening, Announcing, State)};
		_ -> {noreply, State}
	end;
handle_info({tcp_closed, _}, State) ->
	{noreply, lose_sessions(State)};
handle_info({tcp_error, _, _}, State) ->
	{noreply, lose_sessions(State)};
handle_info(_, State) ->
	{noreply, State}.

%% Sessions.

connect(#{postgres := Postgres, channel := Channel, sessions := none} = State) ->
	case open_sessions(Postgres, Channel) of
		{ok, Sessions} -> announce(State#{sessions := Sessions});
		{error, _} -> connect_later(State)
	end;
connect(State) ->
	State.

open_sessions(Postgres, Channel) ->
	case pg_session:connect(Postgres) of
		{ok, Announcing} -> open_listening(Postgres, Channel, Announcing);
		{error, Reason} -> {error, Reason}
	end.

open_listening(Postgres, Channel, Announcing) ->
	case listen(Postgres, Channel) of
		{ok, Listening} ->
			{ok, {Listening, Announcing}};
		{error, Reason} ->
			pg_session:close(Announcing),
			{error, Reason}
	end.

listen(Postgres, Channel) ->
	maybe_listen(pg_session:connect(Postgres), Channel).

maybe_listen({ok, Session}, Channel) ->
	case pg_session:query(pg_session:listen_statement(Channel), Session) of
		{ok, _, Listening} ->
			ok = pg_session:listen_actively(Listening),
			{ok, Listening};
		{error, Reason} ->
			pg_session:close(Session),
			{error, Reason}
	end;
maybe_listen({error, Reason}, _Channel) ->
	{error, Reason}.

lose_sessions(#{sessions := none} = State) ->
	State;
lose_sessions(#{sessions := {Listening, Announcing}} = State) ->
	pg_session:close(Listening),
	pg_session:close(Announcing),
	connect_later(State#{sessions := none}).

connect_later(State) ->
	set_timer(?RECONNECT_AFTER_MS, connect, State).

set_timer(AfterMs, Message, #{timer := Old} = State) ->
	_ = is_reference(Old) andalso erlang:cancel_timer(Old),
	State#{timer := erlang:send_after(AfterMs, self(), Message)}.

%% Announcing.

announce(#{channel := Channel, interval_ms := Interval,
		sessions := {Listening, Announcing}} = State) ->
	Name = atom_to_binary(node()),
	link_recorder:note(notified, Name),
	case pg_session:execute(pg_session:notify_statement(Channel, Name), Announcing) of
		{ok, _, StillAnnouncing} ->
			set_timer(Interval, announce, State#{sessions := {Listening, StillAnnouncing}});
		{error, _} ->
			lose_sessions(State)
	end.

%% Hearing.

hear(Data, Listening, Announcing, State) ->
	{Payloads, StillListening} = pg_session:take_notifications(Data, Listening),
	lists:foreach(fun on_payload/1, Payloads),
	case pg_session:listen_actively(StillListening) of
		ok -> State#{sessions := {StillListening, Announcing}};
		{error, _} -> lose_sessions(State)
	end.

on_payload(Payload) ->
	link_recorder:note(heard, Payload),
	try binary_to_atom(Payload) of
		Name -> connect_unless_connected(Name)
	catch error:_ ->
		ok
	end.

connect_unless_connected(Name) ->
	Known = [node() | nodes(connected)],
	_ = lists:member(Name, Known) orelse net_kernel:connect_node(Name),
	ok.
