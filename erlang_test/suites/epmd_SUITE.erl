%% Our EPMD, judged by what lives on OTP's: nodes, releases and tools.
%%
%% Whether it answers byte for byte as OTP's is compared elsewhere, in Rust.
-module(epmd_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 30000).
-define(NAME, 'pgmesh@127.0.0.1').

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[nodes_live_on_it, tools_ask_it, erl_starts_it, release_lives_on_it,
		daemon_is_the_epmd_of_its_host, second_one_is_refused, nobody_needs_one].

init_per_suite(Config) ->
	ok = mix_release:build(),
	Config.

end_per_suite(_) ->
	ok.

init_per_testcase(_, Config) ->
	lab:open(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

nodes_live_on_it(Config) ->
	ct:comment("erl and elixir register, find each other, and are gone with their programs."),
	Lab = with_epmd(lab:from(Config)),
	[Erl, Elixir] = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'},
		#{name => 'b@127.0.0.1', kind => elixir}]),
	["a", "b"] = names(Lab),
	pong = beam_node:call(Erl, net_adm, ping, ['b@127.0.0.1']),
	ok = beam_node:kill(Elixir),
	_ = eventually(fun() -> names(Lab) =:= ["a"] end, ?BOUND_MS),
	Revived = beam_node:revive(Lab, Elixir),
	pong = beam_node:call(Revived, net_adm, ping, ['a@127.0.0.1']),
	ok.

tools_ask_it(Config) ->
	ct:comment("net_adm, erl_epmd, erl_call and pgmesh itself are told what OTP's EPMD tells."),
	#{cookie := Cookie} = Lab = with_epmd(lab:from(Config)),
	Erl = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	Port = scratch_epmd:node_port(epmd_port(Lab), "a"),
	{ok, [{"a", Port}]} = beam_node:call(Erl, net_adm, names, []),
	{ok, [{"a", Port}]} = beam_node:call(Erl, erl_epmd, names, ["127.0.0.1"]),
	{port, Port, _} = beam_node:call(Erl, erl_epmd, port_please, ["a", "127.0.0.1"]),
	noport = beam_node:call(Erl, erl_epmd, port_please, ["nobody", "127.0.0.1"]),
	0 = run(Lab, "erl_call", ["-name", "a@127.0.0.1", "-c", Cookie, "-a", "erlang node"]),
	#{exit := 0, stdout := Stdout} = pgmesh:command(Lab, ["names", "127.0.0.1"]),
	{match, _} = re:run(Stdout, "a +" ++ integer_to_list(Port)),
	ok.

erl_starts_it(Config) ->
	ct:comment("Where ours has the place of OTP's, `erl -sname` starts it as its daemon."),
	#{directory := Directory} = Lab = unused_port(lab:from(Config)),
	Bin = filename:join(Directory, "bin"),
	ok = file:make_dir(Bin),
	[ok = link_program(Bin, Program) || Program <- filelib:wildcard(otp_bin() ++ "/*"),
		filename:basename(Program) =/= "epmd"],
	Epmd = link_epmd(Bin),
	Script = "{ok, [{\"short\", _}]} = erl_epmd:names(), halt(0).",
	try
		0 = run(Lab, filename:join(Bin, "erlexec"), ["-sname", "short", "-noshell", "-eval", Script],
			[{"ROOTDIR", code:root_dir()}, {"BINDIR", Bin}, {"EMU", "beam"}, {"PROGNAME", "erl"}])
	after
		%% Once the node is gone; a daemon outlives whoever started it.
		_ = eventually(fun() -> run(Lab, Epmd, ["-kill"]) =:= 0 end, ?BOUND_MS)
	end,
	1 = run(Lab, Epmd, ["-names"]),
	ok.

release_lives_on_it(Config) ->
	ct:comment("A mix release registers, and its script reaches it."),
	Lab = with_epmd(lab:from(Config)),
	Release = beam_node:start(Lab, #{name => 'app@127.0.0.1', kind => release}),
	["app"] = names(Lab),
	0 = mix_release:command(Lab, Release, ["rpc", "node()"]),
	ok.

daemon_is_the_epmd_of_its_host(Config) ->
	ct:comment("With --epmd embedded the host's nodes register with pgmesh, and come back to it."),
	Lab = unused_port(lab:from(Config)),
	Daemon = pgmesh:start(Lab, #{name => ?NAME, flags => #{"--epmd" => "embedded"}}),
	#{<<"epmd">> := #{<<"mode">> := <<"embedded">>, <<"registered">> := true}} = pgmesh:status(Lab, Daemon),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	["a", "b", "pgmesh"] = names(Lab),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, ['a@127.0.0.1', 'b@127.0.0.1']) end, ?BOUND_MS),
	ok = pgmesh:kill(Daemon),
	Us = erlang:system_time(microsecond),
	Again = pgmesh:restart(Lab, Daemon),
	_ = eventually(fun() -> is_map(pgmesh:status(Lab, Again)) end, ?BOUND_MS),
	_ = eventually(fun() -> names(Lab) =:= ["a", "b", "pgmesh"] end, ?BOUND_MS),
	Seconds = (erlang:system_time(microsecond) - Us) / 1.0e6,
	ct_console:note("nodes were back in EPMD ~.1f s after pgmesh was started again", [Seconds]),
	true = links:meshed(Beams),
	_ = eventually(fun() -> pgmesh:sees_mesh(Again, ['a@127.0.0.1', 'b@127.0.0.1']) end, ?BOUND_MS),
	ok.

second_one_is_refused(Config) ->
	ct:comment("Where an EPMD runs, --epmd embedded fails and says so; auto uses the one that runs."),
	Lab = lab:from(Config),
	Refused = pgmesh:launch(Lab, #{flags => #{"--epmd" => "embedded"}}),
	1 = pgmesh:await_exit(Refused, ?BOUND_MS),
	{match, _} = re:run(pgmesh:log(Refused), "cannot be the EPMD at port .* --epmd auto"),
	Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}}),
	#{<<"epmd">> := #{<<"mode">> := <<"external">>}} = pgmesh:status(Lab, Daemon),
	ok.

nobody_needs_one(Config) ->
	ct:comment("Without any EPMD, nodes that listen at one known port are linked and meshed."),
	Lab = unused_port(lab:from(Config)),
	DistPort = integer_to_list(free_port:pick()),
	Names = ['a@127.0.0.2', 'b@127.0.0.3'],
	Beams = beam_node:start_all(Lab, [#{name => Name, flags => ["-erl_epmd_port", DistPort]} || Name <- Names]),
	Daemon = pgmesh:start(Lab, #{name => ?NAME, flags => #{"--epmd" => "none", "--introduce" => "all",
		"--listen" => "127.0.0.1:" ++ DistPort}}),
	[_ = lab:notify(Lab, Name) || Name <- Names],
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, Names) end, ?BOUND_MS),
	true = links:meshed(Beams),
	#{<<"epmd">> := #{<<"mode">> := <<"none">>, <<"registered">> := false}} = pgmesh:status(Lab, Daemon),
	{200, _} = control_socket:ask(Daemon, "/readyz"),
	true = beam_node:call(hd(Beams), erlang, disconnect_node, [?NAME]),
	%% The other way round: a node that dials us.
	_ = eventually(fun() -> beam_node:call(hd(Beams), net_kernel, hidden_connect_node, [?NAME]) end, ?BOUND_MS),
	ok.

%% Helpers.

%% The lab with our EPMD in the place of OTP's.
with_epmd(Lab) ->
	#{directory := Directory, epmd_port := Port} = Unused = unused_port(Lab),
	Log = lab:log_file(Lab, "our-epmd"),
	_ = lab:start(Lab, {os_process, start_link, [#{
		program => link_epmd(Directory), directory => Directory, stdout => Log, stderr => Log,
		args => ["-d", "-address", "127.0.0.1", "-port", integer_to_list(Port)]}]}),
	_ = eventually(fun() -> is_list(names(Unused)) end, ?BOUND_MS),
	Unused.

unused_port(Lab) ->
	Lab#{epmd_port := free_port:pick()}.

epmd_port(#{epmd_port := Port}) ->
	Port.

names(Lab) ->
	lists:sort(scratch_epmd:names(epmd_port(Lab))).

link_epmd(Directory) ->
	Link = filename:join(Directory, "epmd"),
	ok = file:make_symlink(os:getenv("PGMESH_BIN"), Link),
	Link.

link_program(Directory, Program) ->
	file:make_symlink(Program, filename:join(Directory, filename:basename(Program))).

otp_bin() ->
	os:getenv("BINDIR").

%% The exit code of a program in this lab.
run(Lab, Program, Args) ->
	run(Lab, Program, Args, []).

run(#{directory := Directory} = Lab, Program, Args, Environment) ->
	Log = lab:log_file(Lab, filename:basename(Program)),
	Process = lab:start(Lab, {os_process, start_link, [#{program => Program, args => Args,
		directory => Directory, stdout => Log, stderr => Log,
		env => Environment ++ lab:environment(Lab)}]}),
	os_process:await_exit(Process, ?BOUND_MS).
