%% The small world of one test case: EPMD, Postgres, nodes, pgmesh.
%%
%% Each case has a world of its own, on free ports and in a directory of its
%% own, so that cases cannot disturb each other or anything else on the
%% machine. All that a case starts is a child of the lab's supervisor. That one
%% is linked to the case, and the programs are on leashes: however the case
%% ends, nothing of it stays.
-module(lab).

-export([open/1, bare/1, close/1, from/1]).
-export([start/2, placed/2, log_file/2, environment/1]).
-export([has_postgres/1, postgres/1, notify/2, notify_all/2, query/2]).
-export([init/1]).

-export_type([lab/0]).

-type lab() :: #{supervisor := pid(), directory := string(), logs := string(),
	epmd := scratch_epmd:epmd(), epmd_port := inet:port_number(), postgres := scratch_postgres:postgres(),
	epmd_address => string(),       %% of a host of its own: see loopback_host
	network => container:network(), container => container:container(),  %% see container_host
	code_directory => string(), release_directory => string(),
	postgres_options => pg_session:options(),  %% of one in a container
	channel := string(), cookie := string(), cookie_file := string()}.

-define(CHANNEL, "cluster").
-define(COOKIE, "a_cookie_for_tests").

%% For init_per_testcase: the configuration with a running lab in it.
-spec open([{atom(), term()}]) -> [{atom(), term()}].
open(Config) ->
	Bare = bare(Config),
	Epmd = scratch_epmd:start(Bare),
	WithEpmd = Bare#{epmd => Epmd, epmd_port => scratch_epmd:port(Epmd)},
	Lab = WithEpmd#{postgres => scratch_postgres:start(WithEpmd)},
	[{lab, Lab} | Config].

%% A lab in which nothing runs yet, for those that are no loopback's.
-spec bare([{atom(), term()}]) -> map().
bare(Config) ->
	{ok, Supervisor} = supervisor:start_link(?MODULE, []),
	Directory = make_directory(),
	#{supervisor => Supervisor, directory => Directory,
		logs => proplists:get_value(priv_dir, Config),
		channel => ?CHANNEL, cookie => ?COOKIE,
		cookie_file => write_cookie(Directory)}.

%% For end_per_testcase: ends everything and returns when it is gone. After a
%% failure it shows the ends of the logs first, since they explain most.
-spec close([{atom(), term()}]) -> ok.
close(Config) ->
	#{supervisor := Supervisor, logs := Logs} = from(Config),
	case proplists:get_value(tc_status, Config) of
		{failed, _} -> ct_console:show_logs(Logs);
		_ -> ok
	end,
	stop_supervisor(Supervisor).

%% For a test case: its lab.
-spec from([{atom(), term()}]) -> lab().
from(Config) ->
	proplists:get_value(lab, Config).

%% A supervised process; the start function is that of a gen_server.
-spec start(lab() | map(), {module(), atom(), [term()]}) -> pid().
start(#{supervisor := Supervisor}, StartFunction) ->
	Child = #{id => make_ref(), start => StartFunction, restart => temporary,
		shutdown => 20000},
	case supervisor:start_child(Supervisor, Child) of
		{ok, Pid} -> Pid;
		{error, Reason} -> error({cannot_start, StartFunction, Reason})
	end.

%% A program as it is started in this lab: in a container if that is the host.
-spec placed(lab() | map(), os_process:spec()) -> os_process:spec().
placed(#{container := Container}, Spec) -> Spec#{container => Container};
placed(_, Spec) -> Spec.

%% A path for the log of something with this name. Used again, the log goes on.
-spec log_file(lab() | map(), string()) -> string().
log_file(#{logs := Logs}, Name) ->
	filename:join(Logs, Name ++ ".log").

%% What every program of this lab gets: the lab's EPMD instead of the
%% machine's, and nothing from the home directory of whoever runs the tests.
-spec environment(lab()) -> [{string(), string()}].
environment(#{directory := Directory, epmd_port := EpmdPort} = Lab) ->
	[{"ERL_EPMD_PORT", integer_to_list(EpmdPort)}, {"HOME", Directory}
		| [{"ERL_EPMD_ADDRESS", Address} || #{epmd_address := Address} <- [Lab]]].

%% Hosts in containers may have none.
-spec has_postgres(map()) -> boolean().
has_postgres(Lab) ->
	is_map_key(postgres, Lab) orelse is_map_key(postgres_options, Lab).

%% Where Postgres is, as pg_session wants it.
-spec postgres(lab()) -> pg_session:options().
postgres(#{postgres_options := Options}) ->
	Options;
postgres(#{postgres := Postgres}) ->
	scratch_postgres:options(Postgres).

%% Announces a payload on the lab's channel, as an unknown somebody. Returns
%% the system time in microseconds just before it was said.
-spec notify(lab(), binary() | string() | atom()) -> integer().
notify(Lab, Payload) ->
	notify_all(Lab, [Payload]).

%% Announces several in one transaction: all are delivered at the same moment.
-spec notify_all(lab(), [binary() | string() | atom()]) -> integer().
notify_all(#{channel := Channel} = Lab, Payloads) ->
	Statements = [pg_session:notify_statement(Channel, payload(P)) || P <- Payloads],
	{SaidUs, []} = timed_query(Lab, lists:join("; ", Statements)),
	SaidUs.

-spec query(lab(), iodata()) -> [[binary() | null]].
query(Lab, Sql) ->
	{_, Rows} = timed_query(Lab, Sql),
	Rows.

%% supervisor.

init([]) ->
	{ok, {#{strategy => one_for_one, intensity => 0}, []}}.

%% Helpers.

%% The time begins when the session stands: to open one takes longer than what
%% is to be measured.
timed_query(Lab, Sql) ->
	{ok, Session} = pg_session:connect(postgres(Lab)),
	Us = erlang:system_time(microsecond),
	{ok, Rows, After} = pg_session:query(Sql, Session),
	ok = pg_session:close(After),
	{Us, Rows}.

payload(Payload) when is_atom(Payload) -> atom_to_binary(Payload);
payload(Payload) -> Payload.

%% Short, because the path of a unix socket may have 107 bytes at most.
make_directory() ->
	Number = erlang:unique_integer([positive, monotonic]),
	Directory = filename:join(scratch(), integer_to_list(Number)),
	ok = file:make_dir(Directory),
	Directory.

scratch() ->
	case os:getenv("ERLANG_TEST_SCRATCH") of
		false -> error("ERLANG_TEST_SCRATCH is not set: start the suites by erlang_test/run");
		Scratch -> Scratch
	end.

write_cookie(Directory) ->
	File = filename:join(Directory, "cookie"),
	ok = file:write_file(File, ?COOKIE),
	ok = file:change_mode(File, 8#600),
	File.

%% The case's process may be dead already, and the supervisor with it.
stop_supervisor(Supervisor) ->
	true = unlink(Supervisor),
	Monitor = monitor(process, Supervisor),
	exit(Supervisor, shutdown),
	receive {'DOWN', Monitor, process, Supervisor, _} -> ok end.
