%% When pgmesh says that it is ready, and what never takes that back.
%%
%% That no fault of Postgres does is watched in every suite of such faults, by
%% `status_watch`.
-module(readiness_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 15000).
-define(HOLDS_MS, 1500). %% more than an announce interval

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[not_before_postgres_is_heard, not_before_epmd_has_us, not_before_the_cluster_is_there,
		without_postgres_if_there_is_none, deafness_counts_for_those_who_ask].

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

not_before_postgres_is_heard(Config) ->
	ct:comment("Not ready before the first own echo; alive all the same."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	ok = scratch_postgres:down(Postgres, fast),
	Daemon = answering(Lab, #{}),
	_ = holds(fun() -> waits_for(<<"Postgres has not been heard yet">>, Daemon) end, ?HOLDS_MS),
	{200, <<"alive\n">>} = control_socket:ask(Daemon, "/livez"),
	#{exit := 1, stdout := <<"not ready: Postgres has not been heard yet\n">>} = ready(Lab, Daemon),
	ok = scratch_postgres:up(Postgres),
	_ = eventually(fun() -> is_ready(Daemon) end, ?BOUND_MS),
	#{exit := 0, stdout := <<"ready\n">>} = ready(Lab, Daemon).

not_before_epmd_has_us(Config) ->
	ct:comment("Not ready before EPMD has the name; its end later changes nothing."),
	#{epmd := Epmd} = Lab = lab:from(Config),
	ok = scratch_epmd:kill(Epmd),
	Daemon = answering(Lab, #{"--epmd" => "external"}),
	_ = holds(fun() -> waits_for(<<"not registered with EPMD yet">>, Daemon) end, ?HOLDS_MS),
	Again = scratch_epmd:start(Lab, scratch_epmd:port(Epmd)),
	_ = eventually(fun() -> is_ready(Daemon) end, ?BOUND_MS),
	ok = scratch_epmd:kill(Again),
	_ = eventually(fun() -> not is_registered(Daemon) end, ?BOUND_MS),
	_ = holds(fun() -> is_ready(Daemon) end, ?HOLDS_MS),
	ok.

not_before_the_cluster_is_there(Config) ->
	ct:comment("--min-cluster is waited for once; that nodes go later changes nothing."),
	Lab = lab:from(Config),
	One = beam_node:start(Lab, #{name => 'a@127.0.0.1', beacon => true}),
	Daemon = pgmesh:start(Lab, #{flags => #{"--min-cluster" => "2"}}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [One]) end, ?BOUND_MS),
	_ = holds(fun() -> waits_for(<<"fewer nodes linked than --min-cluster">>, Daemon) end, ?HOLDS_MS),
	Two = beam_node:start(Lab, #{name => 'b@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> is_ready(Daemon) end, ?BOUND_MS),
	[ok = beam_node:kill(Beam) || Beam <- [One, Two]],
	_ = eventually(fun() -> none_up(Daemon) end, ?BOUND_MS),
	_ = holds(fun() -> is_ready(Daemon) end, ?HOLDS_MS),
	ok.

without_postgres_if_there_is_none(Config) ->
	ct:comment("A daemon without a database waits for none."),
	Daemon = answering(lab:from(Config), #{"--database-url" => false}),
	_ = eventually(fun() -> is_ready(Daemon) end, ?BOUND_MS),
	ok.

deafness_counts_for_those_who_ask(Config) ->
	ct:comment("/readyz?postgres=1 is 503 while Postgres is away, /readyz is not."),
	#{postgres := Postgres} = Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{}),
	{200, _} = control_socket:ask(Daemon, "/readyz?postgres=1"),
	ok = scratch_postgres:down(Postgres, fast),
	_ = eventually(fun() -> control_socket:ask(Daemon, "/readyz?postgres=1")
		=:= {503, <<"not ready: Postgres is not heard now\n">>} end, ?BOUND_MS),
	_ = holds(fun() -> is_ready(Daemon) end, ?HOLDS_MS),
	ok = scratch_postgres:up(Postgres),
	_ = eventually(fun() -> control_socket:ask(Daemon, "/readyz?postgres=1") =:= {200, <<"ready\n">>} end, ?BOUND_MS),
	ok.

%% Helpers.

%% It may lack what `pgmesh:start` waits for.
answering(Lab, Flags) ->
	Daemon = pgmesh:launch(Lab, #{flags => Flags}),
	_ = eventually(fun() -> is_map(control_socket:get(Daemon, "/api/v1/status")) end, ?BOUND_MS),
	Daemon.

ready(Lab, #{socket := Socket}) ->
	pgmesh:command(Lab, ["status", "--ready", "--socket", Socket]).

is_ready(Daemon) ->
	Answer = control_socket:ask(Daemon, "/readyz"),
	Answer =:= {200, <<"ready\n">>} orelse Answer.

waits_for(What, Daemon) ->
	Answer = control_socket:ask(Daemon, "/readyz"),
	Answer =:= {503, <<"not ready: ", What/binary, "\n">>} orelse Answer.

is_registered(Daemon) ->
	#{<<"epmd">> := #{<<"registered">> := IsRegistered}} = control_socket:get(Daemon, "/api/v1/status"),
	IsRegistered.

none_up(Daemon) ->
	#{<<"counts">> := #{<<"up">> := Up}} = control_socket:get(Daemon, "/api/v1/status"),
	Up =:= 0 orelse Up.
