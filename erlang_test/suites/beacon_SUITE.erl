%% The tools before the work: the peer that stands for libcluster_postgres and
%% the support modules behave as the other suites rely on. No pgmesh here.
-module(beacon_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 10000).

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[json_is_read, mesh_forms_by_itself, postgres_outage_is_survived,
		bad_payload_is_survived, killed_node_is_revived, frozen_node_keeps_its_link,
		hidden_node_is_told_apart, silent_address_blocks_the_beacon].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

json_is_read(_) ->
	ct:comment("The JSON reader reads all of JSON and refuses what is not."),
	Text = <<" {\"a\\n\": [1, -2.5, 1e3, true, false, null, \"\\u00e9\\ud83d\\ude00\"], \"b\": {}, \"c\": []} "/utf8>>,
	#{<<"a\n">> := [1, -2.5, 1000.0, true, false, null, <<"é😀"/utf8>>],
		<<"b">> := B, <<"c">> := []} = json_text:decode(Text),
	0 = map_size(B),
	[{'EXIT', {{not_json, _}, _}} = (catch json_text:decode(Bad))
		|| Bad <- [<<>>, <<"[1,]">>, <<"{\"a\"}">>, <<"\"open">>, <<"1 2">>, <<"nul">>]],
	ok.

mesh_forms_by_itself(Config) ->
	ct:comment("Two erl nodes and an elixir node find each other through the channel alone."),
	Beams = start_three(lab:from(Config)),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	ok.

postgres_outage_is_survived(Config) ->
	ct:comment("Beacons lose no link while Postgres is away, and hear newcomers once it is back."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	Beams = start_meshed(Lab),
	ok = scratch_postgres:down(Postgres, immediate),
	ok = holds(fun() -> links:meshed(Beams) end, 500),
	ok = scratch_postgres:up(Postgres),
	Newcomer = beam_node:start(Lab, #{name => 'd@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:meshed([Newcomer | Beams]) end, ?BOUND_MS),
	[[] = links:lost(Beam) || Beam <- Beams],
	ok.

bad_payload_is_survived(Config) ->
	ct:comment("A payload that is no atom, and a dead name, leave the beacon hearing."),
	Lab = lab:from(Config),
	Beam = start_hearing(Lab),
	_ = lab:notify(Lab, binary:copy(<<"x">>, 300)),
	_ = lab:notify(Lab, <<"nobody@127.0.0.1">>),
	_ = lab:notify(Lab, <<"the last word">>),
	_ = eventually(fun() -> do_has_heard(<<"the last word">>, Beam) end, ?BOUND_MS),
	ok.

killed_node_is_revived(Config) ->
	ct:comment("kill -9 is a nodedown for the others, the same name again is a nodeup."),
	Lab = lab:from(Config),
	[First, Second, Third] = start_meshed(Lab),
	ok = beam_node:kill(Second),
	_ = eventually(fun() -> links:meshed([First, Third]) end, ?BOUND_MS),
	{'EXIT', {{failed_on, 'b@127.0.0.1', _, _}, _}} = (catch links:lost(Second)),
	Revived = beam_node:revive(Lab, Second),
	_ = eventually(fun() -> links:meshed([First, Revived, Third]) end, ?BOUND_MS),
	[_] = links:lost(First, 'b@127.0.0.1'),
	ok.

frozen_node_keeps_its_link(Config) ->
	ct:comment("SIGSTOP does not end a link by itself; after SIGCONT the node answers again."),
	[First, Second, Third] = Beams = start_meshed(lab:from(Config)),
	ok = beam_node:freeze(Second),
	ok = holds(fun() -> links:lost(First) =:= [] andalso links:lost(Third) =:= [] end, 500),
	{'EXIT', {timeout, _}} = (catch beam_node:call(Second, erlang, node, [], 100)),
	ok = beam_node:thaw(Second),
	true = links:meshed(Beams),
	ok.

hidden_node_is_told_apart(Config) ->
	ct:comment("A node's view shows global names and pg groups of all, and hidden nodes apart."),
	Lab = lab:from(Config),
	[First, Second, _] = Beams = start_meshed(Lab),
	Hidden = beam_node:start(Lab, #{name => 'h@127.0.0.1', beacon => true, flags => ["-hidden"]}),
	_ = eventually(fun() -> length(beam_node:call(Hidden, erlang, nodes, [hidden])) =:= 3 end, ?BOUND_MS),
	yes = beam_node:call(First, node_view, register_globally, [a_name]),
	[ok = beam_node:call(Beam, node_view, join_group, [a_group, 2]) || Beam <- Beams],
	_ = eventually(fun() -> do_is_expected_view(First, ['b@127.0.0.1', 'c@127.0.0.1']) end, ?BOUND_MS),
	_ = eventually(fun() -> do_is_expected_view(Second, ['a@127.0.0.1', 'c@127.0.0.1']) end, ?BOUND_MS),
	ok.

silent_address_blocks_the_beacon(Config) ->
	ct:comment("Like the real strategy, the beacon is deaf while it dials a silent address."),
	#{epmd_port := EpmdPort} = Lab = lab:from(Config),
	Beam = start_hearing(Lab),
	{ok, _Silent} = gen_tcp:listen(EpmdPort, [{ip, {127, 0, 0, 11}}]),
	_ = lab:notify(Lab, <<"silent@127.0.0.11">>),
	_ = eventually(fun() -> do_has_heard(<<"silent@127.0.0.11">>, Beam) end, ?BOUND_MS),
	_ = lab:notify(Lab, <<"the last word">>),
	ok = holds(fun() -> not do_has_heard(<<"the last word">>, Beam) end, 2000).

%% Helpers.

start_meshed(Lab) ->
	Beams = start_three(Lab),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	Beams.

start_three(Lab) ->
	beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'b@127.0.0.1', beacon => true},
		#{name => 'c@127.0.0.1', beacon => true, kind => elixir}]).

%% A beacon that has proven its ears: its own name came back.
start_hearing(Lab) ->
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> do_has_heard(<<"a@127.0.0.1">>, Beam) end, ?BOUND_MS),
	Beam.

do_has_heard(Payload, Beam) ->
	lists:any(fun(#{what := What, about := About}) ->
		What =:= heard andalso About =:= Payload
	end, beam_node:events(Beam)).

do_is_expected_view(#{name := Name} = Beam, Others) ->
	View = beam_node:call(Beam, node_view, snapshot, []),
	Members = lists:sort([Name, Name] ++ Others ++ Others),
	View =:= #{visible => Others, hidden => ['h@127.0.0.1'], global_names => [a_name],
		global_known => Others, pg_groups => #{a_group => Members}} orelse View.
