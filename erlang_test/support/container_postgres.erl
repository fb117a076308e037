%% Postgres on a host of its own: a primary, a standby of it that can be promoted, and
%% a pooler before one.
%%
%% The cluster lies in memory: the disk is shared with everybody. One with a name in
%% DNS is found by it, also by others.
-module(container_postgres).

-export([start/2, start_standby/3, promote/1, start_pooler/3, options/1, host/1, kill/1]).

-export_type([server/0]).

-opaque server() :: #{container := container:container(), process := pid(), host := string()}.

-define(IMAGE, "pgmesh-test/postgres:bookworm").
-define(PORT, 5432).
-define(READY_MS, 60000).
-define(DATA, "/var/lib/postgresql/data").

%% Returns when it answers.
-spec start(map(), string()) -> server().
start(Lab, Host) ->
	run(Lab, Host, "entrypoint", ["postgres", "-c", "fsync=off"]).

%% Follows that primary; returns when it can be asked.
-spec start_standby(map(), string(), server()) -> server().
start_standby(Lab, Host, #{host := Primary, container := Container}) ->
	"" = as_postgres(Container, "echo 'host replication all all trust' >>" ?DATA "/pg_hba.conf"),
	_ = as_postgres(Container, "pg_ctl reload -D " ?DATA),
	Script = "install -d -o postgres -g postgres -m 0700 " ?DATA " && exec setpriv --reuid postgres --regid postgres "
		"--init-groups sh -c 'pg_basebackup -h \"$0\" -U postgres -D " ?DATA " -R -c fast && "
		"exec postgres -D " ?DATA " -c fsync=off' \"$0\"",
	run(Lab, Host, "sh", ["-c", Script, Primary]).

-spec promote(server()) -> ok.
promote(#{container := Container}) ->
	_ = as_postgres(Container, "pg_ctl promote -D " ?DATA),
	ok.

%% pgbouncer in session mode, at Postgres' own port.
-spec start_pooler(map(), string(), server()) -> server().
start_pooler(Lab, Host, #{host := Postgres}) ->
	Script = "printf '[databases]\\n*=host=%s user=postgres\\n[pgbouncer]\\nlisten_addr=*\\nlisten_port=5432\\n"
		"auth_type=any\\npool_mode=session\\nserver_login_retry=1\\nunix_socket_dir=\\n' \"$0\" >/tmp/pgbouncer.ini && "
		"exec setpriv --reuid postgres --regid postgres --init-groups pgbouncer /tmp/pgbouncer.ini",
	run(Lab, Host, "sh", ["-c", Script, Postgres]).

%% For a session from here.
-spec options(server()) -> pg_session:options().
options(#{container := Container}) ->
	#{host => container:address(Container), port => ?PORT, user => "postgres", database => "postgres"}.

%% Its name in DNS.
-spec host(server()) -> string().
host(#{host := Host}) ->
	Host.

%% As a power cut.
-spec kill(server()) -> ok.
kill(#{container := Container}) ->
	container:kill(Container).

%% Helpers.

as_postgres(Container, Command) ->
	container:exec(Container, ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups",
		"sh", "-c", Command]).

run(#{network := Network, directory := Directory} = Lab, Host, Program, Args) ->
	Container = container:start(Lab, Network, #{image => ?IMAGE, host => Host,
		options => ["--tmpfs", ?DATA | container_host:mounts(Lab)]}),
	Log = lab:log_file(Lab, Host),
	Process = lab:start(Lab, {os_process, start_link, [#{container => Container, program => Program, args => Args,
		directory => Directory, stdout => Log, stderr => Log, env => [{"POSTGRES_HOST_AUTH_METHOD", "trust"}]}]}),
	Server = #{container => Container, process => Process, host => Host},
	_ = eventually:eventually(fun() -> answers(options(Server)) end, ?READY_MS),
	Server.

answers(Options) ->
	case pg_session:connect(Options) of
		{ok, Session} -> pg_session:close(Session) =:= ok;
		{error, Reason} -> Reason
	end.
