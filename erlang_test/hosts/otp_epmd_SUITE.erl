%% Our EPMD in the place of OTP's, with what lives on it: nodes, releases and tools of
%% each OTP, on a host of its own.
-module(otp_epmd_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).
-import(otp_releases, [name/2, address/1]).

-define(BOUND_MS, 60000).

%% ct.

suite() ->
	[{timetrap, {minutes, 4}}].

all() ->
	otp_releases:all().

groups() ->
	otp_releases:groups(fun cases/1).

%% Nodes of OTP 23 do not come back to an EPMD that was started again, whosever it is.
cases("bullseye") ->
	[nodes_live_on_it, tools_ask_it, erl_starts_it, release_lives_on_it];
cases(_) ->
	cases("bullseye") ++ [nodes_come_back].

init_per_group(Group, Config) ->
	otp_releases:enter(Group, Config).

end_per_group(_, _) ->
	ok.

init_per_testcase(_, Config) ->
	container_host:open_lab(Config).

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

nodes_live_on_it(Config) ->
	ct:comment("erl and elixir register, find each other, and are gone with their programs."),
	Host = host_with_our_epmd(Config),
	[#{name := A} = Erl, Elixir] = beam_node:start_all(Host, [#{name => name("a", Host)},
		#{name => name("b", Host), kind => elixir}]),
	["a", "b"] = container_host:names(Host),
	pong = beam_node:call(Erl, net_adm, ping, [name("b", Host)]),
	ok = beam_node:kill(Elixir),
	_ = eventually(fun() -> container_host:names(Host) =:= ["a"] end, ?BOUND_MS),
	Revived = beam_node:revive(Host, Elixir),
	pong = beam_node:call(Revived, net_adm, ping, [A]),
	ok.

tools_ask_it(Config) ->
	ct:comment("net_adm, erl_epmd, erl_call and epmd itself are told what OTP's EPMD tells."),
	#{cookie := Cookie} = Host = host_with_our_epmd(Config),
	#{name := Name} = Erl = beam_node:start(Host, #{name => name("a", Host)}),
	{ok, [{"a", Port}]} = beam_node:call(Erl, net_adm, names, []),
	{ok, [{"a", Port}]} = beam_node:call(Erl, erl_epmd, names, [address(Host)]),
	{port, Port, _} = beam_node:call(Erl, erl_epmd, port_please, ["a", address(Host)]),
	noport = beam_node:call(Erl, erl_epmd, port_please, ["nobody", address(Host)]),
	Called = atom_to_list(Name),
	{match, _} = re:run(container_host:run(Host, ["erl_call", "-name", Called, "-c", Cookie,
		"-a", "erlang node"]), Called),
	Listed = "name a at port " ++ integer_to_list(Port),
	{match, _} = re:run(container_host:run(Host, ["epmd", "-names"]), Listed),
	ok.

erl_starts_it(Config) ->
	ct:comment("Where ours has the place of OTP's, `erl -sname` starts it as its daemon."),
	Host = host_without_epmd(Config),
	Script = "{ok, [{\"short\", _}]} = erl_epmd:names(), io:put_chars(\"registered\"), halt(0).",
	"registered" = container_host:run(Host, ["erl", "-sname", "short", "-noshell", "-eval", Script]),
	[] = container_host:names(Host),
	Programs = container_host:run(Host, ["sh", "-c", "readlink /proc/[0-9]*/exe"]),
	true = lists:member(os:getenv("PGMESH_BIN"), string:lexemes(Programs, "\n")),
	_ = container_host:run(Host, ["epmd", "-kill"]),
	ok.

release_lives_on_it(Config) ->
	ct:comment("A mix release registers, and its script reaches it."),
	Host = host_with_our_epmd(Config),
	ok = mix_release:build_in(Host),
	Release = beam_node:start(Host, #{name => name("app", Host), kind => release}),
	["app"] = container_host:names(Host),
	0 = mix_release:command(Host, Release, ["rpc", "node()"]),
	ok = beam_node:kill(Release),
	_ = eventually(fun() -> container_host:names(Host) =:= [] end, ?BOUND_MS),
	ok.

nodes_come_back(Config) ->
	ct:comment("After a restart of ours, nodes register again by themselves."),
	Host = host_without_epmd(Config),
	Epmd = container_host:start_epmd(Host),
	_ = beam_node:start_all(Host, [#{name => name("a", Host)}, #{name => name("b", Host), kind => elixir}]),
	["a", "b"] = container_host:names(Host),
	ok = os_process:signal(Epmd, 'KILL'),
	137 = os_process:await_exit(Epmd, ?BOUND_MS),
	_ = container_host:start_epmd(Host),
	_ = eventually(fun() -> container_host:names(Host) =:= ["a", "b"] end, ?BOUND_MS),
	ok.

%% Helpers.

host_with_our_epmd(Config) ->
	Host = host_without_epmd(Config),
	_ = container_host:start_epmd(Host),
	Host.

%% `epmd` is ours, and does not run.
host_without_epmd(Config) ->
	Host = container_host:open(lab:from(Config), otp_releases:from(Config)),
	ok = container_host:replace_epmd(Host),
	Host.
