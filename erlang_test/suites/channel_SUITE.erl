%% What is said on the channel, and which channel that is.
%%
%% The channel is the one that the strategy on the BEAM uses for the same cookie
%% or name; what is said there may be anything, since any database role may say
%% it.
-module(channel_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).
-define(QUIET_MS, 500).
-define(CONFIGURATION_ERROR, 78).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[cookie_gives_the_channel, cookie_that_gives_none, channel_name_is_used_as_it_is,
		other_dialect_is_heard, other_dialect_is_spoken, goodbye_for_a_living_node,
		malformed_goodbyes, bad_payloads].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests: channels.

cookie_gives_the_channel(Config) ->
	ct:comment("Without --channel, pgmesh and a node of the strategy meet on the cookie, cleaned."),
	Lab = lab:from(Config),
	lists:foreach(fun({Cookie, Channel}) ->
		Channel = cleaned(Cookie),
		do_meet(with_cookie(Lab, Cookie), #{}, cut(Channel))
	end, cookies()).

cookie_that_gives_none(Config) ->
	ct:comment("A cookie whose channel Postgres would not take is an error at the start."),
	Lab = with_cookie(lab:from(Config), <<"Äb-é"/utf8>>),
	Daemon = pgmesh:launch(Lab, #{flags => #{"--channel" => false}}),
	?CONFIGURATION_ERROR = pgmesh:await_exit(Daemon, ?BOUND_MS),
	{match, _} = re:run(pgmesh:log(Daemon), "the cookie gives no valid channel"),
	ok.

channel_name_is_used_as_it_is(Config) ->
	ct:comment("A channel_name keeps its case and its blanks; one that is too long is cut as Postgres does."),
	Lab = lab:from(Config),
	[do_meet(Lab, #{"--channel" => Channel}, cut(Channel)) || Channel <- channel_names()],
	do_quotes(Lab).

%% Cookies as they occur, each with the channel that the strategy makes of it.
cookies() ->
	Release = lists:append(lists:duplicate(4, "ABCDEFG234567X")),
	[{"secret", "secret"},
	{"Se-cr.et!@#$ x", "Se_cr_et_____x"},
	{Release ++ "====", Release ++ "____"},
	{lists:duplicate(70, $A), lists:duplicate(70, $A)}].

channel_names() ->
	["cluster", "MyChannel", "my-chan nel", lists:duplicate(64, $c)].

%% The strategy's own rule, in the regular expressions of its own language.
cleaned(Cookie) ->
	re:replace(Cookie, "\\W", "_", [global, {return, list}]).

cut(Channel) ->
	lists:sublist(Channel, 63).

%% On the channel as Postgres has it in the end: there, a node of the strategy
%% with a name that is too long is heard, too.
do_meet(Lab, Flags, Channel) ->
	Daemon = pgmesh:start(Lab, #{flags => maps:merge(#{"--channel" => false}, Flags)}),
	Beam = beam_node:start(Lab#{channel := Channel}, #{name => 'a@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:kill(Beam),
	ok = pgmesh:kill(Daemon).

%% The strategy itself fails on such a channel; others may not.
do_quotes(Lab) ->
	Daemon = pgmesh:start(Lab, #{flags => #{"--channel" => "a\"b'; --"}}),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	_ = lab:query(Lab, "NOTIFY \"a\"\"b'; --\", 'a@127.0.0.1'"),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = pgmesh:kill(Daemon).

with_cookie(#{cookie_file := Old} = Lab, Cookie) ->
	File = Old ++ "-" ++ integer_to_list(erlang:phash2(Cookie)),
	ok = file:write_file(File, Cookie),
	ok = file:change_mode(File, 8#600),
	Lab#{cookie := Cookie, cookie_file := File}.

%% Tests: payloads.

other_dialect_is_heard(Config) ->
	ct:comment("heartbeat:NAME is as good as NAME, and after goodbye:NAME it is waited for."),
	Lab = lab:from(Config),
	%% It finds its host's nodes by itself, unless it has no use for them.
	Daemon = pgmesh:start(Lab, #{flags => #{"--announce" => "none", "--introduce" => "none"}}),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	_ = lab:notify(Lab, "heartbeat:a@127.0.0.1"),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok = beam_node:kill(Beam),
	_ = eventually(fun() -> is(Lab, Daemon, <<"down">>) end, ?BOUND_MS),
	_ = lab:notify(Lab, "goodbye:a@127.0.0.1"),
	_ = eventually(fun() -> is(Lab, Daemon, <<"left">>) end, ?BOUND_MS),
	Again = beam_node:revive(Lab, Beam),
	ok = holds(fun() -> is(Lab, Daemon, <<"left">>) end, ?QUIET_MS),
	_ = lab:notify(Lab, "heartbeat:a@127.0.0.1"),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Again]) end, ?BOUND_MS),
	ok.

other_dialect_is_spoken(Config) ->
	ct:comment("With --dialect heartbeat pgmesh says heartbeat:NAME, and goodbye:NAME when it stops."),
	Lab = lab:from(Config),
	Ear = listen(Lab),
	Daemon = pgmesh:start(Lab, #{flags => #{"--dialect" => "heartbeat"}}),
	Heard = hear_until(<<"heartbeat:pgmesh@127.0.0.1">>, Ear),
	ok = pgmesh:signal(Daemon, 'TERM'),
	0 = pgmesh:await_exit(Daemon, ?BOUND_MS),
	Last = hear_until(<<"goodbye:pgmesh@127.0.0.1">>, Heard),
	pg_session:close(Last).

listen(Lab) ->
	{ok, Session} = pg_session:connect(lab:postgres(Lab)),
	{ok, [], Listening} = pg_session:query(pg_session:listen_statement("cluster"), Session),
	Listening.

%% Everything that is said passes by until this is.
hear_until(Payload, Session) ->
	ok = pg_session:listen_actively(Session),
	Socket = pg_session:socket(Session),
	receive
		{tcp, Socket, Data} ->
			{Payloads, After} = pg_session:take_notifications(Data, Session),
			case lists:member(Payload, Payloads) of
				true -> After;
				false -> hear_until(Payload, After)
			end
	after ?BOUND_MS ->
		error({not_heard, Payload})
	end.

goodbye_for_a_living_node(Config) ->
	ct:comment("A goodbye that somebody else says for a living node costs it nothing."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	_ = lab:notify(Lab, "goodbye:a@127.0.0.1"),
	ok = holds(fun() -> is(Lab, Daemon, <<"up">>) end, ?QUIET_MS),
	[] = links:lost(Beam),
	ok.

malformed_goodbyes(Config) ->
	ct:comment("Goodbyes that name nobody cost nobody anything, and make no member."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	_ = lab:notify_all(Lab, bad_goodbyes()),
	ok = holds(fun() -> links:complete(Lab, Daemon, Beams) end, ?QUIET_MS),
	[<<"a@127.0.0.1">>, <<"b@127.0.0.1">>]
		= lists:sort([Name || #{<<"node">> := Name} <- pgmesh:members(Lab, Daemon)]),
	true = links:none_lost(Beams),
	ok.

bad_payloads(Config) ->
	ct:comment("Whatever is no name is counted by its kind, written once, and dialled never."),
	Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab),
	[_ = lab:query(Lab, ["SELECT pg_notify('cluster', ", Text, ")"])
		|| {Text, _} <- bad_payload_texts(), _ <- [once, twice]],
	_ = lab:notify_all(Lab, [pgmesh:node_name(Daemon), 'short@host', 'new@127.0.0.1']),
	Beam = beam_node:start(Lab, #{name => 'new@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	Expected = expected_counts(),
	#{<<"postgres">> := #{<<"bad_payloads">> := Expected}} = pgmesh:status(Lab, Daemon),
	Kinds = maps:size(Expected),
	{match, Lines} = re:run(pgmesh:log(Daemon), "is no name", [global]),
	Kinds = length(Lines),
	Names = [Name || #{<<"node">> := Name} <- pgmesh:members(Lab, Daemon)],
	[<<"new@127.0.0.1">>, <<"short@host">>] = lists:sort(Names),
	#{<<"error">> := #{<<"kind">> := <<"long_short_names">>}} =
		pgmesh:member(Lab, Daemon, 'short@host'),
	ok.

%% As SQL, because most of them cannot be written otherwise.
bad_payload_texts() ->
	[{"''", empty}, {"'nobody'", at_signs}, {"'a@b@c'", at_signs},
	{"repeat('x', 254) || '@h'", too_long}, {"repeat('x', 7999)", too_long},
	{"'o''brien@h'", bad_character}, {"'a\"b@h'", bad_character},
	{"E'a\\x01b@h'", bad_character}, {"E'a\\nb@h'", bad_character},
	{"U&'\\+01F980@h'", bad_character}, {"'goodbye:'", empty}, {"'heartbeat:x'", at_signs},
	{"'@h'", no_alive}, {"'a@'", no_host}].

expected_counts() ->
	Kinds = [atom_to_binary(Kind) || {_, Kind} <- bad_payload_texts()],
	maps:from_list([{Kind, 2 * length([K || K <- Kinds, K =:= Kind])} || Kind <- Kinds]).

%% Helpers.

%% Among them one for pgmesh itself.
bad_goodbyes() ->
	[<<"goodbye:">>, <<"goodbye">>, <<"goodbye:a">>, <<"goodbye:@127.0.0.1">>, <<"goodbye:a@">>,
		<<"goodbye: a@127.0.0.1">>, <<"goodbye:a@127.0.0.1 ">>, <<"goodbye:a@b@127.0.0.1">>,
		<<"goodbye:goodbye:a@127.0.0.1">>, <<"goodbye:heartbeat:a@127.0.0.1">>,
		<<"GOODBYE:a@127.0.0.1">>, <<"goodbye:pgmesh@127.0.0.1">>,
		<<"goodbye:", (binary:copy(<<"x">>, 300))/binary, "@127.0.0.1">>].

is(Lab, Daemon, State) ->
	case pgmesh:member_state(Lab, Daemon, 'a@127.0.0.1') of
		State -> true;
		Other -> Other
	end.
