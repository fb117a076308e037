%% A host of its own: a container with one release of OTP, its own address, and an
%% EPMD at the usual port.
%%
%% What is started in its lab runs there: beam_node, pgmesh and mix_release take it as
%% any other. The run's files have the same paths in it, so that nodes are steered, and
%% daemons asked, over unix sockets, whatever becomes of the network.
-module(container_host).

-export([open_lab/1, start_postgres/1, open/2, open/3, mounts/1]).
-export([replace_epmd/1, start_epmd/1, names/1, run/2, otp/1]).

-type release() :: string().  %% Debian's, such as "bookworm"

-define(EPMD_PORT, 4369).
-define(READY_MS, 60000).

%% For init_per_testcase: a lab that is a network for hosts, and has no Postgres yet.
-spec open_lab([{atom(), term()}]) -> [{atom(), term()}].
open_lab(Config) ->
	Bare = lab:bare(Config),
	[{lab, Bare#{network => container:open_network(Bare), epmd_port => ?EPMD_PORT}} | Config].

%% The lab with a Postgres in a container; returns when that answers.
-spec start_postgres(map()) -> lab:lab().
start_postgres(Lab) ->
	Container = container_postgres:start(Lab, "postgres"),
	Lab#{postgres_options => container_postgres:options(Container)}.

%% The lab as programs on this host see it, without an EPMD yet.
-spec open(map(), release()) -> lab:lab().
open(Lab, Release) ->
	open(Lab, Release, #{}).

%% With a name of its own in DNS, or more options of docker run.
-spec open(map(), release(), #{host => string(), options => [string()]}) -> lab:lab().
open(#{network := Network, directory := Directory} = Lab, Release, Wanted) ->
	Options = ["--cap-add", "NET_ADMIN" | mounts(Lab)] ++ maps:get(options, Wanted, []),
	Container = container:start(Lab, Network, Wanted#{image => "pgmesh-test/beam:" ++ Release, options => Options}),
	Own = filename:join(Directory, container:address(Container)),
	ok = file:make_dir(Own),
	Lab#{container => Container, directory => Own, release => Release,
		code_directory => in_scratch("ebin." ++ Release),
		release_directory => in_scratch("release_app." ++ Release)}.

%% From now on `epmd` is ours there, for `erl`, too.
-spec replace_epmd(lab:lab()) -> ok.
replace_epmd(Host) ->
	"" = run(Host, ["sh", "-c", "ln -sf \"$0\" \"$(readlink -f /usr/bin/epmd)\"", os:getenv("PGMESH_BIN")]),
	ok.

%% Whatever `epmd` is there, in the foreground; returns when it answers.
-spec start_epmd(lab:lab()) -> pid().
start_epmd(#{directory := Directory} = Host) ->
	Log = lab:log_file(Host, "epmd-" ++ filename:basename(Directory)),
	Process = lab:start(Host, {os_process, start_link, [lab:placed(Host, #{program => "epmd", args => [],
		directory => Directory, stdout => Log, stderr => Log})]}),
	_ = eventually:eventually(fun() -> is_list(names(Host)) end, ?READY_MS),
	Process.

%% The alive names that are registered there.
-spec names(lab:lab()) -> [string()].
names(#{container := Container}) ->
	lists:sort(scratch_epmd:names(container:address(Container), ?EPMD_PORT)).

%% Runs a command there; what it prints.
-spec run(lab:lab(), [string()]) -> string().
run(#{container := Container}, Command) ->
	container:exec(Container, Command).

%% The release of OTP there, as it calls itself.
-spec otp(lab:lab()) -> string().
otp(Host) ->
	run(Host, ["erl", "-noshell", "-eval", "io:put_chars(erlang:system_info(otp_release)), halt()."]).

%% What every container of a lab sees of this machine, as options of docker run.
-spec mounts(map()) -> [string()].
mounts(#{logs := Logs}) ->
	Binary = os:getenv("PGMESH_BIN"),
	Scratch = in_scratch(""),
	["--volume", Scratch ++ ":" ++ Scratch, "--volume", Logs ++ ":" ++ Logs,
		"--volume", Binary ++ ":" ++ Binary ++ ":ro"].

%% Helpers.

in_scratch(Name) ->
	filename:join(os:getenv("ERLANG_TEST_SCRATCH"), Name).
