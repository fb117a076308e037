%% One container of a network of the lab's own.
%%
%% Its first program reads what we say, which is nothing, and ends when we do: a
%% container outlives neither this process nor the test VM, whatever ends those. What
%% it is there for is started in it later. All carry the run's name as a label, by
%% which erlang_test/run finds what is left.
-module(container).
-behaviour(gen_server).

-export([open_network/1, start/3, name/1, address/1, exec/2, in_its_network/2]).
-export([kill/1, pause/1, unpause/1, unplug/2, plug/2, take_free_address/1]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([container/0, network/0]).

-opaque network() :: #{network := string(), server := pid()}.
-opaque container() :: #{name := string(), address := string(), host := string(), server := pid()}.
-type wanted() :: #{image := string(), host => string(), options => [string()]}.

-define(LABEL, "pgmesh-test.run=").
-define(RUNNING_MS, 30000).
-define(GONE_MS, 10000).

%% A network with nobody in it, gone with the lab.
-spec open_network(map()) -> network().
open_network(Lab) ->
	Name = unique_name(),
	#{network => Name, server => lab:start(Lab, {?MODULE, start_link, [{network, Name}]})}.

%% Returns when the container runs. The host is its name in DNS; options are those of
%% docker run.
-spec start(map(), network(), wanted()) -> container().
start(Lab, #{network := Network}, #{image := Image} = Wanted) ->
	Name = unique_name(),
	Host = maps:get(host, Wanted, Name),
	Args = ["run", "--rm", "--interactive", "--init", "--name", Name, "--label", label(),
		"--network", Network, "--network-alias", Host, "--hostname", Host, "--entrypoint", "cat"]
		++ maps:get(options, Wanted, []) ++ [Image],
	Server = lab:start(Lab, {?MODULE, start_link, [{container, Name, Args}]}),
	#{name => Name, address => await_address(Name), host => Host, server => Server}.

-spec name(container()) -> string().
name(#{name := Name}) ->
	Name.

%% Its IPv4 address in the network.
-spec address(container()) -> string().
address(#{address := Address}) ->
	Address.

%% Runs a command in it; what it prints.
-spec exec(container(), [string()]) -> string().
exec(#{name := Name}, Command) ->
	docker:run(["exec", Name | Command]).

%% A command of this machine that works on the container's network: for what a
%% container may not do to itself. Needs root.
-spec in_its_network(container(), [string()]) -> {string(), [string()]}.
in_its_network(#{name := Name}, Command) ->
	{"nsenter", ["--net", "--target", docker:run(["inspect", "--format", "{{.State.Pid}}", Name]) | Command]}.

%% As a power cut; returns when it is gone.
-spec kill(container()) -> ok.
kill(#{name := Name, server := Server}) ->
	Monitor = erlang:monitor(process, Server),
	_ = docker:run(["kill", Name]),
	receive
		{'DOWN', Monitor, process, Server, _} -> ok
	after ?GONE_MS ->
		error({not_gone, Name})
	end.

%% All that runs in it stands still, its sockets stay open.
-spec pause(container()) -> ok.
pause(#{name := Name}) ->
	_ = docker:run(["pause", Name]),
	ok.

-spec unpause(container()) -> ok.
unpause(#{name := Name}) ->
	_ = docker:run(["unpause", Name]),
	ok.

%% Takes its network interface away, with the address.
-spec unplug(network(), container()) -> ok.
unplug(#{network := Network}, #{name := Name}) ->
	_ = docker:run(["network", "disconnect", Network, Name]),
	ok.

%% Gives it one back. The engine leaves the old address in /etc/hosts, where a machine
%% that is given its address has none.
-spec plug(network(), container()) -> container().
plug(#{network := Network}, #{name := Name, host := Host, address := Old} = Container) ->
	_ = docker:run(["network", "connect", "--alias", Host, Network, Name]),
	_ = exec(Container, ["sh", "-c", "others=$(grep -v \"^$0\" /etc/hosts) && echo \"$others\" >/etc/hosts", Old]),
	Container#{address := await_address(Name)}.

%% Whoever comes next does not get the address of who went last.
-spec take_free_address(map()) -> ok.
take_free_address(#{network := Network} = Lab) ->
	_ = start(Lab, Network, #{image => "pgmesh-test/debian:bookworm"}),
	ok.

%% gen_server.

start_link(What) ->
	gen_server:start_link(?MODULE, What, []).

init({network, Name}) ->
	process_flag(trap_exit, true),
	_ = docker:run(["network", "create", "--label", label(), Name]),
	{ok, {network, Name}};
init({container, Name, Args}) ->
	process_flag(trap_exit, true),
	Port = open_port({spawn_executable, os:find_executable("docker")}, [{args, Args}, exit_status, binary,
		stderr_to_stdout]),
	{ok, {container, Name, Port}}.

handle_call(_Request, _From, State) ->
	{reply, {error, unknown_call}, State}.

handle_cast(_Message, State) ->
	{noreply, State}.

handle_info({Port, {data, Data}}, {container, Name, Port} = State) ->
	ct:log("~s: ~ts", [Name, Data]),
	{noreply, State};
handle_info({Port, {exit_status, Status}}, {container, Name, Port}) ->
	{stop, {container_ended, Name, Status}, {ended, Name}};
handle_info(_, State) ->
	{noreply, State}.

terminate(_Reason, {network, Name}) ->
	docker:run(["network", "rm", Name]);
terminate(_Reason, {container, Name, _Port}) ->
	%% It may be going already, by itself.
	_ = catch docker:run(["rm", "--force", "--volumes", Name]),
	eventually:eventually(fun() -> docker:run(["ps", "-aq", "--filter", "name=^" ++ Name ++ "$"]) =:= "" end,
		?GONE_MS);
terminate(_Reason, {ended, _}) ->
	ok.

%% Helpers.

await_address(Name) ->
	Format = "{{.State.Running}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
	Inspect = fun() -> string:lexemes(docker:run(["inspect", "--format", Format, Name]), " ") end,
	_ = eventually:eventually(fun() ->
		case Inspect() of
			["true", _] -> true;
			Other -> Other
		end
	end, ?RUNNING_MS),
	["true", Address] = Inspect(),
	Address.

%% The scratch folder's name is that of the run.
label() ->
	?LABEL ++ run_name().

unique_name() ->
	run_name() ++ "-" ++ integer_to_list(erlang:unique_integer([positive, monotonic])).

run_name() ->
	filename:basename(os:getenv("ERLANG_TEST_SCRATCH")).
