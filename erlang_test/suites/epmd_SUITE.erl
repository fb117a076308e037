%% Our EPMD, judged by what lives on OTP's: nodes, releases and tools.
%%
%% Whether it answers byte for byte as OTP's is compared elsewhere, in Rust.
-module(epmd_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(BOUND_MS, 30000).
%% Longer than pgmesh waits before it brings an EPMD back.
-define(BROUGHT_BACK_MS, 5000).
-define(QUIET_MS, 3000).
-define(NAME, 'pgmesh@127.0.0.1').

%% ct.

suite() ->
	[{timetrap, {minutes, 2}}].

all() ->
	[nodes_live_on_it, tools_ask_it, erl_starts_it, release_lives_on_it,
		daemon_is_the_epmd_of_its_host, nothing_is_lost_while_it_is_away, name_is_taken_while_it_is_away,
		auto_is_the_epmd_where_none_is_installed, auto_brings_one_back,
		auto_brings_back_one_that_died_twice, auto_is_the_epmd_as_soon_as_it_can_be, auto_starts_the_one_that_is_installed,
		second_one_is_refused, nobody_needs_one, settings_alone_make_a_mesh].

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

nothing_is_lost_while_it_is_away(Config) ->
	ct:comment("While the daemon that is the EPMD is away nobody is forgotten, and no goodbye is said."),
	Lab = unused_port(lab:from(Config)),
	Ear = channel_ear:start(Lab),
	Flags = #{"--dialect" => "heartbeat", "--expiry" => "3s"},
	Daemon = pgmesh:start(Lab, #{name => ?NAME, flags => Flags#{"--epmd" => "embedded"}}),
	Other = pgmesh:start(Lab, #{name => 'other@127.0.0.1', log => "other", flags => Flags#{"--epmd" => "external"}}),
	Names = ['a@127.0.0.1', 'b@127.0.0.1'],
	Beams = beam_node:start_all(Lab, [#{name => Name} || Name <- Names]),
	_ = eventually(fun() -> pgmesh:sees_mesh(Other, Names) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = pgmesh:kill(Daemon),
	_ = eventually(fun() -> not is_registered(Lab, Other) end, ?BOUND_MS),
	%% For longer than the expiry.
	ok = holds(fun() -> pgmesh:sees_mesh(Other, Names) end, 2 * ?QUIET_MS),
	Again = pgmesh:restart(Lab, Daemon),
	_ = eventually(fun() -> pgmesh:sees_mesh(Again, Names) end, ?BOUND_MS),
	_ = eventually(fun() -> names(Lab) =:= ["a", "b", "other", "pgmesh"] end, ?BOUND_MS),
	ok = holds(fun() -> pgmesh:sees_mesh(Other, Names) end, ?QUIET_MS),
	[] = [Said || <<"goodbye:", _/binary>> = Said <- channel_ear:heard(Ear)],
	nomatch = re:run(pgmesh:log(Other), "forgot [ab]@"),
	true = links:none_visible_lost(Beams),
	ok.

name_is_taken_while_it_is_away(Config) ->
	ct:comment("Who takes a node's alive name meanwhile has it until its end; then the node comes back to it."),
	Lab = unused_port(lab:from(Config)),
	Daemon = pgmesh:start(Lab, #{name => ?NAME, flags => #{"--epmd" => "embedded"}}),
	[First, _] = Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	ok = beam_node:freeze(First),
	ok = pgmesh:kill(Daemon),
	Again = pgmesh:restart(Lab, Daemon),
	_ = eventually(fun() -> names(Lab) =:= ["b", "pgmesh"] end, ?BOUND_MS),
	Taker = beam_node:start(Lab, #{name => 'a@127.0.0.5'}),
	ok = beam_node:thaw(First),
	%% The second node tells of the first, at whose address nobody has the other one's port.
	_ = eventually(fun() -> error_kind(Lab, Again, 'a@127.0.0.1') =:= <<"refused">> end, ?BOUND_MS),
	["a", "b", "pgmesh"] = names(Lab),
	true = pgmesh:all_up(Lab, Again, ['b@127.0.0.1']),
	ok = beam_node:kill(Taker),
	_ = eventually(fun() -> links:complete(Lab, Again, Beams) end, ?BOUND_MS),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	["a", "b", "pgmesh"] = names(Lab),
	ok.

auto_is_the_epmd_where_none_is_installed(Config) ->
	ct:comment("Where none answers and no epmd is on the PATH, pgmesh is it, and erl registers with it."),
	Lab = unused_port(lab:from(Config)),
	Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}, env => [path_without_epmd(Lab)]}),
	#{<<"epmd">> := #{<<"mode">> := <<"embedded">>, <<"registered">> := true}} = pgmesh:status(Lab, Daemon),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	["a", "pgmesh"] = names(Lab),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok.

auto_brings_one_back(Config) ->
	ct:comment("With auto an EPMD that dies is followed by pgmesh's own; nodes come back to it, no link is lost."),
	#{epmd := Epmd} = Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}, env => [path_without_epmd(Lab)]}),
	#{<<"epmd">> := #{<<"mode">> := <<"external">>}} = pgmesh:status(Lab, Daemon),
	Beams = beam_node:start_all(Lab, [#{name => 'a@127.0.0.1'}, #{name => 'b@127.0.0.1'}]),
	_ = eventually(fun() -> pgmesh:sees_mesh(Daemon, ['a@127.0.0.1', 'b@127.0.0.1']) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	ok = scratch_epmd:kill(Epmd),
	_ = eventually(fun() -> names(Lab) =:= ["a", "b", "pgmesh"] end, ?BOUND_MS),
	_ = eventually(fun() -> has_us(Lab, Daemon, <<"embedded">>) end, ?BOUND_MS),
	true = links:none_lost(Beams),
	true = pgmesh:sees_mesh(Daemon, ['a@127.0.0.1', 'b@127.0.0.1']),
	ok.

auto_brings_back_one_that_died_twice(Config) ->
	ct:comment("An EPMD that is back in a moment and dies again is followed by one of pgmesh's own, which stays."),
	#{epmd := Epmd, epmd_port := Port} = Lab = lab:from(Config),
	Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}, env => [path_without_epmd(Lab)]}),
	ok = scratch_epmd:kill(Epmd),
	Second = scratch_epmd:start(Lab, Port),
	_ = eventually(fun() -> names(Lab) =:= ["pgmesh"] end, ?BOUND_MS),
	ok = scratch_epmd:kill(Second),
	_ = eventually(fun() -> has_us(Lab, Daemon, <<"embedded">>) end, ?BOUND_MS),
	Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
	ok = holds(fun() -> names(Lab) =:= ["a", "pgmesh"] end, ?BROUGHT_BACK_MS),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
	ok.

auto_is_the_epmd_as_soon_as_it_can_be(Config) ->
	ct:comment("Where pgmesh can neither find nor be an EPMD when it starts, it is one once the port is free."),
	#{epmd_port := Port} = Lab = unused_port(lab:from(Config)),
	{ok, Taken} = socket:open(inet, stream, tcp),
	ok = socket:bind(Taken, #{family => inet, addr => {127, 0, 0, 1}, port => Port}),
	Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}, env => [path_without_epmd(Lab)]}),
	#{<<"epmd">> := #{<<"registered">> := false}} = pgmesh:status(Lab, Daemon),
	ok = socket:close(Taken),
	_ = eventually(fun() -> has_us(Lab, Daemon, <<"embedded">>) end, ?BOUND_MS),
	ok.

auto_starts_the_one_that_is_installed(Config) ->
	ct:comment("Where none answers and epmd is on the PATH, pgmesh starts it, and it outlives pgmesh."),
	Lab = unused_port(lab:from(Config)),
	try
		Daemon = pgmesh:start(Lab, #{flags => #{"--epmd" => "auto"}}),
		#{<<"epmd">> := #{<<"mode">> := <<"external">>, <<"registered">> := true}} = pgmesh:status(Lab, Daemon),
		Beam = beam_node:start(Lab, #{name => 'a@127.0.0.1'}),
		["a", "pgmesh"] = names(Lab),
		_ = eventually(fun() -> links:complete(Lab, Daemon, [Beam]) end, ?BOUND_MS),
		ok = pgmesh:kill(Daemon),
		_ = eventually(fun() -> names(Lab) =:= ["a"] end, ?BOUND_MS),
		ok = beam_node:kill(Beam)
	after
		%% It kills no EPMD that has names.
		_ = eventually(fun() -> run(Lab, "epmd", ["-kill"]) =:= 0 end, ?BOUND_MS)
	end,
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

settings_alone_make_a_mesh(Config) ->
	ct:comment("Releases on two hosts, without EPMD and without Postgres, are meshed by the names in a file."),
	#{directory := Directory} = Lab = unused_port(lab:from(Config)),
	Port = integer_to_list(free_port:pick()),
	Hosts = ["127.0.0.2", "127.0.0.3"],
	Names = [list_to_atom("app@" ++ Host) || Host <- Hosts],
	File = filename:join(Directory, "pgmesh.toml"),
	ok = file:write_file(File, ["[peers]\n", [["'", atom_to_list(Name), "' = ", Port, "\n"] || Name <- Names]]),
	Manager = service_manager:open(Lab),
	[Daemon | _] = Daemons = [launch_without_epmd(Lab, Host, File, Environment) || {Host, Environment} <-
		lists:zip(Hosts, [service_manager:environment(Manager), []])],
	Beams = [First, _] = beam_node:start_all(Lab, [#{name => Name, kind => release,
		flags => ["-erl_epmd_port", Port]} || Name <- Names]),
	[_ = eventually(fun() -> pgmesh:sees_mesh(One, Names) end, ?BOUND_MS) || One <- Daemons],
	true = links:meshed(Beams),
	[#{<<"local">> := true}, #{<<"local">> := false}] = [pgmesh:member(Lab, Daemon, Name) || Name <- Names],
	#{<<"epmd">> := #{<<"mode">> := <<"none">>}, <<"ready">> := true, <<"warnings">> := []} = pgmesh:status(Lab, Daemon),
	Status = <<"2 nodes up, full mesh; Postgres off">>,
	_ = eventually(fun() -> service_manager:says_last(Manager, <<"STATUS">>, Status) end, ?BOUND_MS),
	ok = beam_node:kill(First),
	Revived = beam_node:revive(Lab, First),
	_ = eventually(fun() -> links:meshed([Revived | tl(Beams)]) end, ?BOUND_MS),
	ok = asked_without_epmd(Lab, hd(Names), Port, Daemon).

%% Helpers.

%% With no more on it than the leash needs.
path_without_epmd(#{directory := Directory}) ->
	Bin = filename:join(Directory, "bin"),
	ok = file:make_dir(Bin),
	[ok = link_program(Bin, os:find_executable(Program)) || Program <- ["setpriv", "env"]],
	{"PATH", Bin}.

has_us(Lab, Daemon, Mode) ->
	case pgmesh:status(Lab, Daemon) of
		#{<<"epmd">> := #{<<"mode">> := Mode, <<"registered">> := true}} -> true;
		Other -> Other
	end.

launch_without_epmd(Lab, Host, File, Environment) ->
	Name = "pgmesh@" ++ Host,
	Listen = Host ++ ":" ++ integer_to_list(free_port:pick()),
	Daemon = pgmesh:launch(Lab, #{name => list_to_atom(Name), log => Name, env => Environment,
		flags => #{"--config" => File, "--epmd" => "none", "--listen" => Listen, "--database-url" => false}}),
	_ = eventually(fun() -> is_map(pgmesh:status(Lab, Daemon)) end, ?BOUND_MS),
	Daemon.

%% What people ask has to be told the port, or finds it in the daemon's settings.
asked_without_epmd(#{cookie_file := Cookie} = Lab, Name, Port, #{options := Options}) ->
	Ping = ["ping", atom_to_list(Name), "--cookie-file", Cookie],
	#{exit := 1} = pgmesh:command(Lab, Ping),
	#{exit := 0} = pgmesh:command(Lab, Ping ++ ["--dist-port", Port]),
	#{exit := 0} = pgmesh:command(Lab, Ping, #{env => [{"PGMESH_DIST_PORT", Port}]}),
	{0, #{<<"checks">> := Checks}} = pgmesh:doctor(Lab, maps:remove(env, Options)),
	Good = iolist_to_binary([atom_to_binary(Name), ": address, port, handshake and cookie are good"]),
	[_] = [Check || #{<<"message">> := Message} = Check <- Checks, string:prefix(Message, Good) =/= nomatch],
	[_] = [Check || #{<<"group">> := <<"distribution">>, <<"outcome">> := <<"ok">>} = Check <- Checks],
	ok.

is_registered(Lab, Daemon) ->
	#{<<"epmd">> := #{<<"registered">> := Registered}} = pgmesh:status(Lab, Daemon),
	Registered.

error_kind(Lab, Daemon, Node) ->
	case pgmesh:member(Lab, Daemon, Node) of
		#{<<"error">> := #{<<"kind">> := Kind}} -> Kind;
		Other -> Other
	end.

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
