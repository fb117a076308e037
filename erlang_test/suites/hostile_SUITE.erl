%% Nobody who reaches pgmesh can harm those it is linked to.
%%
%% Anybody can connect to its port, any database role can say names, and a node
%% of the cluster can be broken. While each of them does its worst, a healthy
%% node pings pgmesh without pause: every ping is answered in time, no link is
%% lost, and pgmesh does not grow.
-module(hostile_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(bystander, [await_pings/1, max_growth_mb/0, measured/3, measured/4, start_healthy/1, start_healthy/2, unharmed/1]).
-import(eventually, [eventually/2]).

-define(BOUND_MS, 15000).
-define(CLOSED_MS, 5000).
-define(MAX_QUEUED_MB, 135). %% twice the default --max-frame
-define(PGMESH, 'pgmesh@127.0.0.1').
-define(SILENT, 1000).
-define(NAMES, 200).
-define(FRAMES, 1000).
-define(QUESTION_MB, 300).
-define(QUESTION_MB_OF_MANY, 8).
-define(VERSION, 131).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[silent_connections, byte_a_second, bad_first_frames, own_name_is_not_allowed,
		wrong_digests, connects_and_closes, many_names_at_once, silent_epmd, babbling_epmd,
		endless_epmd, epmd_points_elsewhere, length_of_4_gb, random_frames, headers_not_agreed_on,
		compressed_terms, terms_that_lie, nested_terms, answers_that_lie, answers_of_millions,
		one_that_never_reads, many_that_never_read].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: connections of strangers.

silent_connections(Config) ->
	ct:comment("A thousand connections that say nothing keep no honest node out, in either direction."),
	#{lab := Lab, daemon := Daemon, port := Port} = World = start_healthy(Config),
	[Said, Dialling] = Newcomers = beam_node:start_all(Lab, [
		#{name => 'said@127.0.0.1'}, #{name => 'dialling@127.0.0.1'}]),
	measured(World, "1000 silent connections", fun() ->
		Silent = [raw_peer:connect(Port) || _ <- lists:seq(1, ?SILENT)],
		_ = lab:notify(Lab, 'said@127.0.0.1'),
		SaidMs = eventually(fun() -> links:complete(Lab, Daemon, [Said]) end, ?BOUND_MS),
		true = beam_node:call(Dialling, net_kernel, connect_node, [?PGMESH]),
		DialMs = eventually(fun() -> links:complete(Lab, Daemon, [Dialling]) end, ?BOUND_MS),
		ct_console:note("newcomers meanwhile: linked ~.1f ms after being said, ~.1f ms after its own dial",
			[SaidMs, DialMs]),
		await_pings(World),
		close_all(Silent)
	end),
	true = links:complete(Lab, Daemon, Newcomers),
	unharmed(World).

byte_a_second(Config) ->
	ct:comment("A name that comes one byte a second is cut off at the step's time limit."),
	#{port := Port} = World = start_healthy(Config, #{"--setup-timeout" => "2s"}),
	measured(World, "100 slow connections", fun() ->
		Frame = iolist_to_binary(raw_peer:name_frame(<<"slow@127.0.0.1">>)),
		Slow = [raw_peer:connect(Port) || _ <- lists:seq(1, 100)],
		Times = in_parallel(Slow, fun(Socket) -> drip(Frame, Socket) end),
		ct_console:note("cut off after ~b to ~b ms", [lists:min(Times), lists:max(Times)]),
		true = lists:max(Times) < ?BOUND_MS
	end),
	unharmed(World).

bad_first_frames(Config) ->
	ct:comment("What is no handshake ends its connection, before the time limit of the step."),
	#{port := Port} = World = start_healthy(Config),
	measured(World, "first frames that are none", fun() ->
		Times = [begin
			Socket = raw_peer:connect(Port),
			_ = raw_peer:send(Socket, Bytes),
			{Us, Ending} = timer:tc(raw_peer, await_closed, [Socket, ?CLOSED_MS]),
			{What, closed} = {What, Ending},
			ok = raw_peer:close(Socket),
			Us / 1000
		end || {What, Bytes} <- bad_first_frames()],
		ct_console:note("~b kinds: closed after ~.2f ms at the worst", [length(Times), lists:max(Times)]),
		await_pings(World)
	end),
	unharmed(World).

own_name_is_not_allowed(Config) ->
	ct:comment("Who claims pgmesh's own name is told not_allowed."),
	#{port := Port} = World = start_healthy(Config),
	measured(World, "200 of our own name", fun() ->
		[begin
			Socket = raw_peer:connect(Port),
			ok = raw_peer:send(Socket, raw_peer:name_frame(atom_to_binary(?PGMESH))),
			<<"snot_allowed">> = raw_peer:receive_handshake_frame(Socket),
			closed = raw_peer:await_closed(Socket, ?CLOSED_MS),
			raw_peer:close(Socket)
		end || _ <- lists:seq(1, ?NAMES)],
		await_pings(World)
	end),
	unharmed(World).

wrong_digests(Config) ->
	ct:comment("Two hundred names with a wrong cookie get no link, and cost the healthy one nothing."),
	#{lab := Lab, daemon := Daemon, port := Port} = World = start_healthy(Config),
	measured(World, "200 wrong digests", fun() ->
		[begin
			Wrong = #{port => Port, cookie => "guess"},
			{'EXIT', {{badmatch, {error, closed}}, _}} = (catch raw_peer:link(Wrong, Name))
		end || Name <- names("wrong")],
		await_pings(World)
	end),
	[#{<<"node">> := <<"healthy@127.0.0.1">>}] = pgmesh:members(Lab, Daemon),
	unharmed(World).

connects_and_closes(Config) ->
	ct:comment("A hundred connections at once that are closed or reset at once leave nothing."),
	#{port := Port} = World = start_healthy(Config),
	measured(World, "connects and closes", fun() ->
		_ = in_parallel(lists:seq(1, 100), fun(_) -> raw_peer:close(raw_peer:connect(Port)) end),
		_ = in_parallel(lists:seq(1, 100), fun(_) -> raw_peer:reset(raw_peer:connect(Port)) end),
		_ = in_parallel(names("gone"), fun(Name) ->
			Socket = raw_peer:connect(Port),
			_ = raw_peer:send(Socket, raw_peer:name_frame(Name)),
			raw_peer:reset(Socket)
		end),
		await_pings(World)
	end),
	unharmed(World).

%% Tests: names on the channel, and what answers for them.

many_names_at_once(Config) ->
	ct:comment("Four hundred names of nobody, said at once and again, delay nobody."),
	#{lab := Lab} = World = start_healthy(Config),
	measured(World, "400 names of nobody", fun() ->
		Names = names("nobody") ++ names("nobody", "127.0.0.9"),
		_ = lab:notify_all(Lab, Names),
		_ = lab:notify_all(Lab, Names),
		_ = eventually(fun() -> has_tried(World, 100) end, ?BOUND_MS),
		_ = lab:notify_all(Lab, Names),
		await_pings(World)
	end),
	unharmed(World).

silent_epmd(Config) ->
	ct:comment("An EPMD that never answers is given up, and a node that never answers."),
	World = start_healthy(Config, #{"--setup-timeout" => "1s"}),
	do_false_epmd(World, "silent EPMD", silent),
	do_false_epmd(World, "silent node", {points_to_itself, silent}).

babbling_epmd(Config) ->
	ct:comment("Garbage from an EPMD, or from what it says is the node, is garbage."),
	World = start_healthy(Config),
	do_false_epmd(World, "babbling EPMD", garbage),
	do_false_epmd(World, "babbling node", {points_to_itself, garbage}).

endless_epmd(Config) ->
	ct:comment("Endless answers from an EPMD, or from what it says is the node, are not read."),
	World = start_healthy(Config),
	do_false_epmd(World, "endless EPMD", {endless, <<0>>}),
	do_false_epmd(World, "endless port", {endless, <<119, 0, 1:16, 72, 0, 6:16, 5:16, 16#FFFF:16, "x">>}),
	do_false_epmd(World, "endless node", {points_to_itself, {endless, <<3:16, "sok">>}}),
	do_false_epmd(World, "endless zeros", {points_to_itself, {endless, <<0>>}}).

epmd_points_elsewhere(Config) ->
	ct:comment("An EPMD that sends pgmesh to itself, to the healthy node or nowhere makes no link."),
	#{lab := #{epmd_port := EpmdPort}, port := OwnPort} = World = start_healthy(Config),
	do_false_epmd(World, "our own port", {port, OwnPort}),
	do_false_epmd(World, "the healthy node's port", {port, scratch_epmd:node_port(EpmdPort, "healthy")}),
	do_false_epmd(World, "port 0", {port, 0}).

%% Tests: broken nodes of the cluster.

length_of_4_gb(Config) ->
	ct:comment("A frame that says it has 4 GB ends its own link, at once, and is named."),
	#{daemon := Daemon} = World = start_healthy(Config),
	by_one_and_many(World, "length", fun(Name) ->
		Socket = raw_peer:link(World, Name),
		ok = raw_peer:send(Socket, <<16#FFFFFFFF:32, 0, 0>>),
		closed = raw_peer:await_closed(Socket, ?CLOSED_MS),
		raw_peer:close(Socket)
	end),
	[_ | _] = string:find(binary_to_list(pgmesh:log(Daemon)), "frame_too_large"),
	unharmed(World).

random_frames(Config) ->
	ct:comment("A thousand frames of random bytes are passed over; what follows is answered."),
	World = start_healthy(Config),
	Frames = noise(rand:seed_s(exsss, {1, 2, 3})),
	by_one_and_many(World, "random", fun(Name) -> passed_over(World, Name, Frames) end),
	unharmed(World).

headers_not_agreed_on(Config) ->
	ct:comment("Distribution headers and fragments, which were not agreed on, are passed over."),
	World = start_healthy(Config),
	Frames = [raw_peer:frame([?VERSION, Tag, Rest]) || Tag <- [68, 69, 70], Rest <- [<<>>, <<0>>,
		<<255, 255, 255>>, <<1:64, 16#FFFFFFFFFFFFFFFF:64, 0>>, <<1:64, 2:64, 0, 104, 3>>,
		binary:copy(<<0>>, 1000)], _ <- lists:seq(1, 20)],
	by_one_and_many(World, "headers", fun(Name) -> passed_over(World, Name, Frames) end),
	unharmed(World).

compressed_terms(Config) ->
	ct:comment("Compressed terms, of 200 MB and of 4 GB too, are passed over and not unpacked."),
	World = start_healthy(Config),
	Frames = frames_with(compressed_terms()),
	by_one_and_many(World, "compressed", fun(Name) -> passed_over(World, Name, Frames) end),
	unharmed(World).

terms_that_lie(Config) ->
	ct:comment("Terms whose counts promise more than there is are passed over."),
	World = start_healthy(Config),
	Frames = frames_with(lying_terms()),
	by_one_and_many(World, "lying", fun(Name) -> passed_over(World, Name, Frames) end),
	unharmed(World).

nested_terms(Config) ->
	ct:comment("Terms of thousands of levels are passed over."),
	World = start_healthy(Config),
	Frames = frames_with(nested_terms()),
	by_one_and_many(World, "nested", fun(Name) -> passed_over(World, Name, Frames) end),
	unharmed(World).

answers_that_lie(Config) ->
	ct:comment("The same terms in an answer to pgmesh's own call are no answer, and no harm."),
	World = start_healthy(Config),
	Terms = [Bytes || <<?VERSION, Bytes/binary>> <- compressed_terms() ++ lying_terms() ++ nested_terms()],
	Each = lists:zip(lists:seq(1, length(Terms)), Terms),
	measured(World, "answers", fun() ->
		Sockets = [begin
			Name = name("answer", N, "127.0.0.1"),
			Socket = raw_peer:link(World, Name),
			Request = raw_peer:receive_request(Socket, ?BOUND_MS),
			ok = raw_peer:send(Socket, raw_peer:answer_to(Request, Bytes)),
			{N, true} = {N, raw_peer:is_answered(Socket, Name)},
			Socket
		end || {N, Bytes} <- Each],
		await_pings(World),
		close_all(Sockets)
	end),
	unharmed(World).

answers_of_millions(Config) ->
	ct:comment("An answer of millions of elements does not become a hundred times its size."),
	World = start_healthy(Config),
	Answer = <<108, 3900000:32, (binary:copy(<<106>>, 3900001))/binary>>,
	measured(World, "3.9 million elements, 20 times", fun() ->
		Links = [{Socket, raw_peer:receive_request(Socket, ?BOUND_MS)}
			|| Name <- lists:sublist(names("million"), 20), Socket <- [raw_peer:link(World, Name)]],
		[ok = raw_peer:send(Socket, raw_peer:answer_to(Request, Answer)) || {Socket, Request} <- Links],
		[true = raw_peer:is_answered(Socket, <<"million@127.0.0.1">>) || {Socket, _} <- Links],
		await_pings(World),
		close_all([Socket || {Socket, _} <- Links])
	end),
	unharmed(World).

one_that_never_reads(Config) ->
	ct:comment("A node that asks and never reads is dropped at a bound, and named."),
	#{daemon := Daemon} = World = start_healthy(Config),
	measured(World, "one that never reads", max_growth_mb() + ?MAX_QUEUED_MB, fun() ->
		Name = <<"never@127.0.0.1">>,
		Socket = raw_peer:link(World, Name),
		{Us, {Outcome, Megabytes}} = timer:tc(fun() -> ask_without_reading(Socket, Name, ?QUESTION_MB) end),
		ct_console:note("~p after ~b MB of questions and ~.1f s", [Outcome, Megabytes, Us / 1000000]),
		closed = Outcome,
		_ = eventually(fun() -> string:find(pgmesh:log(Daemon), "queue_full") =/= nomatch end, ?BOUND_MS),
		await_pings(World),
		raw_peer:close(Socket)
	end),
	unharmed(World).

many_that_never_read(Config) ->
	ct:comment("Two hundred nodes that ask and never read cost no more than one of them may."),
	World = start_healthy(Config),
	measured(World, "200 that never read", max_growth_mb() + ?MAX_QUEUED_MB, fun() ->
		Links = [{Name, raw_peer:link(World, Name)} || Name <- names("never")],
		Outcomes = [ask_without_reading(Socket, Name, ?QUESTION_MB_OF_MANY) || {Name, Socket} <- Links],
		ct_console:note("~b of ~b dropped after ~b MB of questions each",
			[length([closed || {closed, _} <- Outcomes]), length(Links), ?QUESTION_MB_OF_MANY]),
		await_pings(World),
		close_all([Socket || {_, Socket} <- Links])
	end),
	unharmed(World).

%% Helpers: attacks.

%% The same by one peer, and by two hundred of different names at once.
by_one_and_many(World, What, Attack) ->
	measured(World, "one peer", fun() ->
		Attack(name(What, 0, "127.0.0.1")),
		await_pings(World)
	end),
	measured(World, "200 peers", fun() ->
		_ = in_parallel(names(What), Attack),
		await_pings(World)
	end).

%% The peer's link survives, since its frames are frames.
passed_over(World, Name, Frames) ->
	Socket = raw_peer:link(World, Name),
	ok = raw_peer:send(Socket, Frames),
	{Name, true} = {Name, raw_peer:is_answered(Socket, Name)},
	raw_peer:close(Socket).

ask_without_reading(Socket, Name, Megabytes) ->
	Question = raw_peer:monitor_of_nobody(Name),
	Block = binary:copy(Question, 1000000 div byte_size(Question)),
	ask_without_reading(Socket, Block, 0, Megabytes).

ask_without_reading(_, _, Megabytes, Megabytes) ->
	{open, Megabytes};
ask_without_reading(Socket, Block, Sent, Megabytes) ->
	case raw_peer:send(Socket, Block) of
		ok -> ask_without_reading(Socket, Block, Sent + 1, Megabytes);
		{error, _} -> {closed, Sent}
	end.

%% One byte a second until it is cut off; returns after how many milliseconds.
drip(Frame, Socket) ->
	Started = erlang:monotonic_time(millisecond),
	drip(Frame, Socket, Started).

drip(<<Byte, Rest/binary>>, Socket, Started) ->
	_ = raw_peer:send(Socket, <<Byte>>),
	case raw_peer:await_closed(Socket, 1000) of
		open -> drip(Rest, Socket, Started);
		closed -> erlang:monotonic_time(millisecond) - Started
	end.

do_false_epmd(#{lab := #{epmd_port := EpmdPort} = Lab} = World, What, Behaviour) ->
	Host = {127, 0, 1, erlang:phash2(What, 250) + 1},
	Server = false_epmd:start(Host, EpmdPort, Behaviour),
	Names = lists:sublist(names("n", inet:ntoa(Host)), 20),
	measured(World, What, fun() ->
		_ = lab:notify_all(Lab, Names),
		_ = eventually(fun() -> none_dialling(World, Names) end, ?BOUND_MS),
		await_pings(World)
	end),
	ct_console:note("    ~b connections, ~.1f MB sent; pgmesh says ~0p",
		[false_epmd:served(Server), false_epmd:bytes_sent(Server) / 1000000, errors(World, Names)]),
	unharmed(World).

%% Each has been dialled and has failed.
none_dialling(#{lab := Lab, daemon := Daemon}, Names) ->
	Members = pgmesh:members(Lab, Daemon),
	Failed = [Name || #{<<"node">> := Name, <<"attempts">> := Attempts} <- Members,
		Attempts > 0, lists:member(Name, Names)],
	length(Failed) =:= length(Names) orelse {failed, length(Failed)}.

errors(#{lab := Lab, daemon := Daemon}, Names) ->
	lists:usort([binary_to_atom(Kind) || #{<<"node">> := Name, <<"error">> := #{<<"kind">> := Kind}}
		<- pgmesh:members(Lab, Daemon), lists:member(Name, Names)]).

has_tried(#{lab := Lab, daemon := Daemon}, Least) ->
	Tried = [Name || #{<<"node">> := Name, <<"attempts">> := Attempts}
		<- pgmesh:members(Lab, Daemon), Attempts > 0],
	length(Tried) >= Least orelse {tried, length(Tried)}.

%% Results in order; whoever fails fails the test.
in_parallel(Items, Function) ->
	Workers = [spawn_monitor(fun() -> exit({done, Function(Item)}) end) || Item <- Items],
	[receive {'DOWN', Monitor, process, Pid, Reason} -> {done, Result} = Reason, Result end
		|| {Pid, Monitor} <- Workers].

close_all(Sockets) ->
	lists:foreach(fun raw_peer:close/1, Sockets).

names(Prefix) ->
	names(Prefix, "127.0.0.1").

names(Prefix, Host) ->
	[name(Prefix, N, Host) || N <- lists:seq(1, ?NAMES)].

name(Prefix, N, Host) ->
	iolist_to_binary([Prefix, integer_to_list(N), $@, Host]).

%% Helpers: bytes.

bad_first_frames() ->
	[{"a length of 0xFFFF", <<16#FFFF:16>>},
		{"an empty frame", <<0:16>>},
		{"64 KiB of name", raw_peer:handshake_frame(<<$N, 0:64, 0:32, 65520:16, (binary:copy(<<"a">>, 65520))/binary>>)},
		{"a name length that lies", raw_peer:handshake_frame(<<$N, 0:64, 0:32, 16#FFFF:16, "a@127.0.0.1">>)},
		{"another tag", raw_peer:handshake_frame(<<"x", 0:200>>)},
		{"a status", raw_peer:handshake_frame(<<"sok">>)},
		{"HTTP", <<"GET / HTTP/1.1\r\n\r\n">>},
		{"TLS", <<22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3>>}
		| [{Name, raw_peer:name_frame(Name)} || Name <- [<<"two@at@127.0.0.1">>, <<"noat">>, <<>>, <<"@">>,
			<<"a@">>, <<"@127.0.0.1">>, <<"nul\0@127.0.0.1">>, <<"line\n@127.0.0.1">>,
			<<255, 254, "@127.0.0.1">>, <<(binary:copy(<<"a">>, 256))/binary, "@127.0.0.1">>]]].

%% A third is noise, a third begins as messages do, a third are messages with
%% one byte changed.
noise(Seed) ->
	Message = raw_peer:monitor_of_nobody(<<"random@127.0.0.1">>),
	<<_:32, Body/binary>> = Message,
	{Frames, _} = lists:mapfoldl(fun(N, S) -> noise_frame(N rem 3, Body, S) end, Seed, lists:seq(1, ?FRAMES)),
	Frames.

noise_frame(0, _, Seed) ->
	{Bytes, Next} = random_bytes(Seed),
	{raw_peer:frame(Bytes), Next};
noise_frame(1, _, Seed) ->
	{Bytes, Next} = random_bytes(Seed),
	{raw_peer:frame([112, ?VERSION, 104, Bytes]), Next};
noise_frame(2, Body, Seed) ->
	{At, Second} = rand:uniform_s(byte_size(Body), Seed),
	{Byte, Next} = rand:uniform_s(256, Second),
	<<Before:(At - 1)/binary, _, After/binary>> = Body,
	{raw_peer:frame([Before, Byte - 1, After]), Next}.

%% At least one: an empty frame is a tick.
random_bytes(Seed) ->
	{Length, Next} = rand:uniform_s(200, Seed),
	rand:bytes_s(Length, Next).

%% Each in the place of a control term, of a request to net_kernel, of a
%% message to a name that is not there, and of what a call asks for.
frames_with(Terms) ->
	Caller = self(),
	lists:append([[
		raw_peer:frame([112, Term]),
		raw_peer:message({6, Caller, '', net_kernel}, Term),
		raw_peer:message({6, Caller, '', nosuch}, Term),
		raw_peer:message({2, '', Caller}, Term),
		raw_peer:message({29, make_ref(), Caller, Caller, {erlang, apply, 2}, []}, Term)] || Term <- Terms]).

compressed_terms() ->
	Size = 200000000,
	Bomb = zlib:compress([<<109, Size:32>>, binary:copy(<<0>>, Size)]),
	[term_to_binary(lists:duplicate(1000, a), [compressed]),
		<<?VERSION, 80, (Size + 5):32, Bomb/binary>>,
		<<?VERSION, 80, 16#FFFFFFFF:32, Bomb/binary>>,
		<<?VERSION, 80, 16#FFFFFFFF:32>>,
		<<?VERSION, 80>>,
		<<?VERSION, 104, 1, 80, (Size + 5):32, Bomb/binary>>].

lying_terms() ->
	Many = <<16#FFFFFFFF:32>>,
	[<<?VERSION, Term/binary>> || Term <- [
		<<108, Many/binary>>, <<108, Many/binary, 106>>, <<105, Many/binary>>, <<116, Many/binary>>,
		<<109, Many/binary>>, <<77, Many/binary, 9>>, <<111, Many/binary, 0>>, <<104, 255>>,
		<<107, 16#FFFF:16>>, <<100, 16#FFFF:16>>, <<118, 16#FFFF:16>>, <<119, 255>>, <<110, 255, 0>>,
		<<90, 16#FFFF:16, 119, 1, "n">>, <<114, 16#FFFF:16, 119, 1, "n">>,
		<<112, Many/binary, 0, 0:128, 0:32, Many/binary, 119, 1, "m", 97, 0, 97, 0>>,
		<<117, Many/binary>>, <<88, 97, 1>>, <<88, 119, 1, "n">>, <<103>>, <<120, 119, 1, "n">>,
		<<113, 119, 1, "m">>, <<99>>, <<70, 16#7FF8000000000000:64>>, <<82, 0>>, <<68, 0>>, <<67, Many/binary>>,
		<<121, 0:64>>, <<255>>, <<119, 2, 255, 254>>, <<77, 1:32, 0, 255>>, <<108, 1:32, 108, 1:32, 108, Many/binary>>,
		<<>>]].

nested_terms() ->
	[<<?VERSION, Term/binary>> || Term <- [
		binary:copy(<<104, 1>>, 1500),
		<<(binary:copy(<<104, 1>>, 1500))/binary, 106>>,
		<<(binary:copy(<<104, 1>>, 10000))/binary, 106>>,
		<<(binary:copy(<<108, 1:32>>, 10000))/binary, 106, (binary:copy(<<106>>, 10000))/binary>>,
		<<(binary:copy(<<116, 1:32, 106>>, 10000))/binary, 106>>,
		binary:copy(<<108, 1:32, 106>>, 10000)]].
