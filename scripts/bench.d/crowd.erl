%% Very many visible nodes in this VM, a process each, as pgmesh sees them: they are
%% registered with EPMD, are dialled, and answer what it asks of every node: their
%% release, whom they are connected to, and a watcher that tells the same.
%%
%% Each says that it is connected to all others, so that the mesh is a full one. They
%% are told apart from real nodes by what they do not do: dial, and tick first.
-module(crowd).

-export([hosts/1, start_daemon/2, open/2, names/1, last_linked_us/1, clear_audits/1, audits_us/1, join/3, close/1]).

-export_type([crowd/0]).

%% In `notes`, when what happened to whom, in system time: {{linked, Name}, Us}, and the
%% first question and the last answer as {{audited, Name}, AskedUs, AnsweredUs}.
-opaque crowd() :: #{names := [node()], members := [pid()], notes := ets:tid()}.

-define(HOST, "127.0.0.1").
-define(OTHER_HOST, "127.0.0.9").
-define(READY_MS, 60000).
-define(SETUP_MS, 30000).
-define(ALIVE2_REQ, 120).
-define(ALIVE2_X_RESP, 118).
-define(NORMAL_NODE, 77).
-define(HIGHEST, 6).
-define(LOWEST, 5).
%% As raw_peer has them: a visible node's, without atom cache and fragments.
-define(FLAGS, 16#d07075fbd).
-define(CREATION, 77).
-define(PASS_THROUGH, 112).
-define(VERSION, 131).
-define(NEW_PID_EXT, 88).
-define(SMALL_ATOM_UTF8_EXT, 119).
-define(SMALL_TUPLE_EXT, 104).
-define(SEND, 2).
-define(MONITOR_P, 19).

%% The lab with pgmesh's EPMD for the crowd's host (OTP's has room for 1,017 connections,
%% names and questions together), and a host of its own for the daemon: of its own host's
%% nodes there are never so many.
-spec hosts(lab:lab()) -> {lab:lab(), lab:lab()}.
hosts(Lab) ->
	OfCrowd = Lab#{epmd_port := start_epmd(Lab)},
	{OfCrowd, loopback_host:open(OfCrowd, ?OTHER_HOST)}.

start_epmd(#{directory := Directory} = Lab) ->
	Port = free_port:pick(),
	Log = lab:log_file(Lab, "crowd-epmd"),
	_ = lab:start(Lab, {os_process, start_link, [#{program => os:getenv("PGMESH_BIN"),
		directory => Directory, stdout => Log, stderr => Log,
		args => ["epmd", "-address", ?HOST, "-port", integer_to_list(Port)]}]}),
	_ = eventually:eventually(fun() -> is_list(scratch_epmd:names(Port)) end, ?READY_MS),
	Port.

%% A daemon that has a watcher on each of them, with more flags.
-spec start_daemon(lab:lab(), #{string() => string()}) -> pgmesh:daemon().
start_daemon(OfDaemon, Flags) ->
	pgmesh:start(OfDaemon, #{name => list_to_atom("pgmesh@" ++ ?OTHER_HOST), flags => maps:merge(Flags,
		#{"--introduce" => "none", "--watch-edges" => "on", "--announce-interval" => "5s"})}).

%% Returns when all are registered. They end with whoever started them.
-spec open(lab:lab(), pos_integer()) -> crowd().
open(#{epmd_port := EpmdPort, cookie := Cookie}, Count) ->
	Names = [list_to_atom(lists:concat(["c", Number, "@", ?HOST])) || Number <- lists:seq(1, Count)],
	Notes = ets:new(?MODULE, [public, {write_concurrency, true}]),
	Owner = self(),
	Members = [spawn_link(fun() -> begin_life(Name, Names -- [Name], EpmdPort, Cookie, Notes, Owner) end)
		|| Name <- Names],
	[receive {Member, ready} -> ok after ?READY_MS -> error({not_registered, Member}) end || Member <- Members],
	#{names => Names, members => Members, notes => Notes}.

-spec names(crowd()) -> [node()].
names(#{names := Names}) ->
	Names.

%% When the last of them had proven itself and been proven; or how many are not linked.
-spec last_linked_us(crowd()) -> integer() | {waiting, pos_integer()}.
last_linked_us(#{names := Names, notes := Notes}) ->
	Times = ets:select(Notes, [{{{linked, '_'}, '$1'}, [], ['$1']}]),
	case length(Names) - length(Times) of
		0 -> lists:max(Times);
		Waiting -> {waiting, Waiting}
	end.

-spec clear_audits(crowd()) -> ok.
clear_audits(#{notes := Notes}) ->
	true = ets:match_delete(Notes, {{audited, '_'}, '_', '_'}),
	ok.

%% When the first was asked for its connections since that, and when the last had
%% answered; or how many have not been asked.
-spec audits_us(crowd()) -> {integer(), integer()} | {waiting, pos_integer()}.
audits_us(#{names := Names, notes := Notes}) ->
	Spans = ets:select(Notes, [{{{audited, '_'}, '$1', '$2'}, [], [{{'$1', '$2'}}]}]),
	case length(Names) - length(Spans) of
		0 ->
			{Asked, Answered} = lists:unzip(Spans),
			{lists:min(Asked), lists:max(Answered)};
		Waiting ->
			{waiting, Waiting}
	end.

%% One more, of whom nobody has heard, dials the daemon on this host: then all others are
%% asked whom they are connected to.
-spec join(crowd(), lab:lab(), node()) -> pid().
join(#{notes := Notes}, #{epmd := Epmd, cookie := Cookie}, Name) ->
	Target = #{port => scratch_epmd:node_port(scratch_epmd:port(Epmd), "pgmesh"), cookie => Cookie},
	spawn_link(fun() -> live(Name, [], raw_peer:link(Target, atom_to_binary(Name)), Notes) end).

%% Before whom they are linked to, which would end all links one by one.
-spec close(crowd()) -> ok.
close(#{members := Members}) ->
	lists:foreach(fun(Member) -> true = unlink(Member), true = exit(Member, kill) end, Members).

%% A member's life.

begin_life(Name, Others, EpmdPort, Cookie, Notes, Owner) ->
	{ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}, {packet, 2},
		{nodelay, true}]),
	{ok, Port} = inet:port(Listen),
	_Registration = register_name(Name, Port, EpmdPort),
	Owner ! {self(), ready},
	be_linked(Name, Others, Cookie, Listen, Notes).

%% Again and again: a dial may be given up just when we have proven ourselves.
be_linked(Name, Others, Cookie, Listen, Notes) ->
	Socket = await_dial(Name, Cookie, Listen),
	true = ets:insert(Notes, {{linked, Name}, erlang:system_time(microsecond)}),
	ok = live(Name, Others, Socket, Notes),
	true = ets:delete(Notes, {linked, Name}),
	be_linked(Name, Others, Cookie, Listen, Notes).

register_name(Name, Port, EpmdPort) ->
	[Alive, _Host] = binary:split(atom_to_binary(Name), <<"@">>),
	{ok, Epmd} = gen_tcp:connect({127, 0, 0, 1}, EpmdPort, [binary, {active, false}]),
	ok = gen_tcp:send(Epmd, epmd_frame(<<?ALIVE2_REQ, Port:16, ?NORMAL_NODE, 0, ?HIGHEST:16, ?LOWEST:16,
		(byte_size(Alive)):16, Alive/binary, 0:16>>)),
	{ok, <<?ALIVE2_X_RESP, 0, _Creation:32>>} = gen_tcp:recv(Epmd, 6, ?READY_MS),
	Epmd.

epmd_frame(Request) ->
	[<<(byte_size(Request)):16>>, Request].

%% A probe hangs up in the middle, and whoever dials in earnest comes after it.
await_dial(Name, Cookie, Listen) ->
	{ok, Socket} = gen_tcp:accept(Listen),
	case handshake(Name, Cookie, Socket) of
		ok ->
			Socket;
		{error, _} ->
			ok = gen_tcp:close(Socket),
			await_dial(Name, Cookie, Listen)
	end.

handshake(Name, Cookie, Socket) ->
	case gen_tcp:recv(Socket, 0, ?SETUP_MS) of
		{ok, <<$N, _/binary>>} ->
			Challenge = rand:uniform(16#FFFFFFFF),
			_ = gen_tcp:send(Socket, <<"sok">>),
			_ = gen_tcp:send(Socket, challenge(atom_to_binary(Name), Challenge)),
			prove(Cookie, Challenge, Socket);
		Other ->
			{error, Other}
	end.

challenge(Name, Challenge) ->
	<<$N, ?FLAGS:64, Challenge:32, ?CREATION:32, (byte_size(Name)):16, Name/binary>>.

%% Whoever has hung up proves nothing.
prove(Cookie, Challenge, Socket) ->
	Expected = digest(Cookie, Challenge),
	case gen_tcp:recv(Socket, 0, ?SETUP_MS) of
		{ok, <<$r, Theirs:32, Expected/binary>>} ->
			gen_tcp:send(Socket, <<$a, (digest(Cookie, Theirs))/binary>>);
		Other ->
			{error, Other}
	end.

digest(Cookie, Challenge) ->
	erlang:md5([Cookie, integer_to_list(Challenge)]).

%% The list is made once: to make it takes longer than to send it.
live(Name, Others, Socket, Notes) ->
	ok = inet:setopts(Socket, [{packet, 4}, {active, true}]),
	loop(#{name => Name, socket => Socket, others => term_bytes(Others), notes => Notes}).

loop(#{socket := Socket} = State) ->
	receive
		{tcp, Socket, <<>>} ->
			ok = gen_tcp:send(Socket, <<>>), % a tick for a tick
			loop(State);
		{tcp, Socket, <<?PASS_THROUGH, Terms/binary>>} ->
			ok = answer(swarm:message(Terms), State),
			loop(State);
		{tcp_closed, Socket} ->
			ok
	end.

answer({'$gen_call', From, {call, erlang, Function, Args, _}}, State) ->
	answer_call(Function, Args, From, State);
answer({'$gen_call', From, _}, State) ->
	reply(From, term_bytes({badrpc, nodedown}), State);
answer(_, _) ->
	ok.

answer_call(nodes, _, From, #{name := Name, others := Others, notes := Notes} = State) ->
	AskedUs = erlang:system_time(microsecond),
	ok = reply(From, Others, State),
	true = ets:insert(Notes, {{audited, Name}, AskedUs, erlang:system_time(microsecond)}),
	ok;
answer_call(system_info, _, From, State) ->
	reply(From, term_bytes("27"), State);
answer_call(spawn, [erl_eval, exprs, [_Program, [{'Me', Me}]]], From, #{name := Name} = State) ->
	Watcher = pid(Name),
	ok = reply(From, term_bytes(Watcher), State),
	watch(Me, Watcher, State);
answer_call(_, _, From, State) ->
	reply(From, term_bytes({badrpc, nodedown}), State).

reply({Pid, Reference}, Result, State) ->
	send({?SEND, '', Pid}, [?VERSION, ?SMALL_TUPLE_EXT, 2, term_bytes(Reference), Result], State).

%% What a watcher does first: it monitors pgmesh's process, and tells what it sees.
watch(Me, Watcher, #{others := Others} = State) ->
	ok = send({?MONITOR_P, Watcher, Me, make_ref()}, [], State),
	News = [?VERSION, ?SMALL_TUPLE_EXT, 3, term_bytes(pgmesh_watch), term_bytes(nodes), Others],
	send({?SEND, '', Me}, News, State).

%% pgmesh has gone, or never reads again: nothing to answer any more.
send(Control, Payload, #{socket := Socket}) ->
	Frame = [?PASS_THROUGH, ?VERSION, term_bytes(Control), Payload],
	case gen_tcp:send(Socket, Frame) of
		ok -> ok;
		{error, closed} -> ok
	end.

%% Without the version, as a part of another term.
term_bytes(Term) ->
	<<?VERSION, Bytes/binary>> = term_to_binary(Term, [{minor_version, 2}]),
	Bytes.

pid(Name) ->
	Text = atom_to_binary(Name),
	binary_to_term(<<?VERSION, ?NEW_PID_EXT, ?SMALL_ATOM_UTF8_EXT, (byte_size(Text)), Text/binary,
		9:32, 0:32, ?CREATION:32>>).
