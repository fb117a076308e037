%% A pgbouncer of our own in front of a lab's Postgres.
%%
%% It refuses to run as root, as Postgres does, and says what it has to say on
%% its standard error.
-module(scratch_pgbouncer).

-export([start/2, restart/2, kill/1, port/1]).

-export_type([pgbouncer/0]).

-opaque pgbouncer() :: #{process := pid(), port := inet:port_number(), settings := string()}.

-define(READY_MS, 10000).

%% In this pool mode; returns when it answers.
-spec start(lab:lab(), session | transaction | statement) -> pgbouncer().
start(#{directory := Directory} = Lab, PoolMode) ->
	Port = free_port:pick(),
	Settings = filename:join(Directory, "pgbouncer.ini"),
	ok = file:write_file(Settings, settings(lab:postgres(Lab), Port, PoolMode)),
	launch(Lab, Settings, Port).

%% At the same port, after kill/1.
-spec restart(lab:lab(), pgbouncer()) -> pgbouncer().
restart(Lab, #{settings := Settings, port := Port}) ->
	launch(Lab, Settings, Port).

%% As kill -9; returns when it is gone.
-spec kill(pgbouncer()) -> ok.
kill(#{process := Process}) ->
	ok = os_process:signal(Process, 'KILL'),
	137 = os_process:await_exit(Process, ?READY_MS),
	ok.

-spec port(pgbouncer()) -> inet:port_number().
port(#{port := Port}) ->
	Port.

%% Helpers.

launch(#{directory := Directory} = Lab, Settings, Port) ->
	Log = lab:log_file(Lab, "pgbouncer"),
	{Program, Args} = unprivileged:command([program(), Settings]),
	Process = lab:start(Lab, {os_process, start_link, [#{program => Program, args => Args,
		directory => Directory, stdout => Log, stderr => Log}]}),
	Options = (lab:postgres(Lab))#{port := Port},
	_ = eventually:eventually(fun() -> answers(Options) end, ?READY_MS),
	#{process => Process, port => Port, settings => Settings}.

%% Everybody is let in. A Postgres that was away is tried again after a second
%% instead of fifteen: its return is to be seen, not the pooler's patience.
settings(#{host := Host, port := PostgresPort, user := User, database := Database}, Port, PoolMode) ->
	io_lib:format("[databases]~n"
		"~s = host=~s port=~b user=~s~n"
		"[pgbouncer]~n"
		"listen_addr = 127.0.0.1~n"
		"listen_port = ~b~n"
		"unix_socket_dir =~n"
		"auth_type = any~n"
		"pool_mode = ~s~n"
		"server_login_retry = 1~n", [Database, Host, PostgresPort, User, Port, PoolMode]).

answers(Options) ->
	case pg_session:connect(Options) of
		{ok, Session} -> pg_session:close(Session) =:= ok;
		{error, Reason} -> Reason
	end.

%% Debian's place is on root's PATH only.
program() ->
	case os:find_executable("pgbouncer") of
		false -> "/usr/sbin/pgbouncer";
		Path -> Path
	end.
