%% A Postgres of our own, to be stopped and started, frozen and promoted at will.
%%
%% The data directory is made once in a run and copied for each case; trust
%% authentication, no fsync, sockets in the case's directory. Postgres refuses
%% to run as root, so root runs it as the user postgres.
-module(scratch_postgres).
-behaviour(gen_server).

-export([start/1, start_standby/2, options/1, up/1, down/2, promote/1]).
-export([admit/2, offer_tls/1]).
-export([freeze/2, thaw/1]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, terminate/2]).

-export_type([postgres/0, part/0]).

-opaque postgres() :: #{server := pid(), port := inet:port_number(), data := string()}.
%% What can be frozen: the process that takes connections, all of them, or the
%% backend with this process id.
-type part() :: postmaster | everything | pos_integer().

-define(READY_MS, 20000).
-define(DOWN_MS, 20000).

%% Returns when Postgres answers.
-spec start(map()) -> postgres().
start(#{directory := Directory} = Lab) ->
	Data = filename:join(Directory, "pgdata"),
	"" = os:cmd(lists:flatten(io_lib:format("cp -a '~s' '~s' 2>&1", [template(Directory), Data]))),
	launch(Lab, "postgres", Data).

%% A streaming standby of another; returns when it answers.
-spec start_standby(lab:lab(), postgres()) -> postgres().
start_standby(#{directory := Directory} = Lab, #{port := PrimaryPort}) ->
	Data = filename:join(Directory, "pgdata-standby"),
	ok = make_directory(Data),
	ok = run_program(Data, [bin("pg_basebackup"), "-D", Data, "-h", "127.0.0.1",
		"-p", integer_to_list(PrimaryPort), "-U", "postgres", "--checkpoint=fast",
		"--write-recovery-conf", "--no-sync"]),
	launch(Lab, "standby", Data).

-spec options(postgres()) -> pg_session:options().
options(#{port := Port}) ->
	#{host => "127.0.0.1", port => Port, user => "postgres", database => "postgres"}.

%% Starts it, if it does not run, and returns when it answers.
-spec up(postgres()) -> ok.
up(#{server := Server} = Postgres) ->
	ok = gen_server:call(Server, up),
	_ = eventually:eventually(fun() -> answers(options(Postgres)) end, ?READY_MS),
	ok.

%% Stops it, and returns when it is gone: `fast` says goodbye to its clients,
%% `immediate` is what a crash looks like to them.
-spec down(postgres(), fast | immediate) -> ok.
down(#{server := Server}, Mode) ->
	gen_server:call(Server, {down, Mode}, ?DOWN_MS + 1000).

%% Makes a standby a primary; returns when it is one.
-spec promote(postgres()) -> ok.
promote(Postgres) ->
	[[_]] = query("SELECT pg_promote(false)", Postgres),
	_ = eventually:eventually(fun() ->
		query("SELECT pg_is_in_recovery()", Postgres) =:= [[<<"f">>]]
	end, ?READY_MS),
	ok.

%% From now on, who is let in say these lines of pg_hba.conf; the superuser always is.
-spec admit(postgres(), iodata()) -> ok.
admit(#{data := Data} = Postgres, Lines) ->
	Superuser = "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n",
	ok = file:write_file(filename:join(Data, "pg_hba.conf"), [Superuser, Lines, $\n]),
	reload(Postgres).

%% From now on it speaks TLS with those who want it.
-spec offer_tls(postgres()) -> ok.
offer_tls(#{data := Data} = Postgres) ->
	[ok = unprivileged:give(File) || File <- maps:values(scratch_certificate:write(Data))],
	[] = query("ALTER SYSTEM SET ssl = on", Postgres),
	reload(Postgres).

%% Returns when sessions that begin now see what was changed.
reload(Postgres) ->
	Loaded = fun() -> query("SELECT pg_conf_load_time()", Postgres) end,
	Before = Loaded(),
	[[<<"t">>]] = query("SELECT pg_reload_conf()", Postgres),
	_ = eventually:eventually(fun() -> Loaded() =/= Before end, ?READY_MS),
	ok.

%% Stands still, sockets stay open. To be thawed by thaw/1, or by the case's end.
-spec freeze(postgres(), part()) -> ok.
freeze(#{server := Server}, Part) ->
	gen_server:call(Server, {freeze, Part}).

%% Everything that was frozen goes on.
-spec thaw(postgres()) -> ok.
thaw(#{server := Server}) ->
	gen_server:call(Server, thaw).

answers(Options) ->
	case pg_session:connect(Options) of
		{ok, Session} -> pg_session:close(Session) =:= ok;
		{error, Reason} -> Reason
	end.

query(Sql, Postgres) ->
	{ok, Session} = pg_session:connect(options(Postgres)),
	{ok, Rows, After} = pg_session:query(Sql, Session),
	ok = pg_session:close(After),
	Rows.

%% gen_server.

start_link(Spec) ->
	gen_server:start_link(?MODULE, Spec, []).

init(Spec) ->
	process_flag(trap_exit, true),
	{ok, #{spec => Spec, process => none, frozen => []}}.

handle_call(up, _From, #{process := none, spec := Spec} = State) ->
	{ok, Process} = os_process:start_link(Spec),
	{reply, ok, State#{process := Process}};
handle_call(up, _From, State) ->
	{reply, ok, State};
handle_call({down, _}, _From, #{process := none} = State) ->
	{reply, ok, State};
handle_call({down, Mode}, _From, #{process := Process} = State) ->
	ok = os_process:signal(Process, shutdown_signal(Mode)),
	Status = os_process:await_exit(Process, ?DOWN_MS),
	ok = os_process:stop(Process),
	{reply, stopped(Status), State#{process := none}};
handle_call({freeze, Part}, _From, #{process := Process, frozen := Frozen} = State) ->
	Pids = do_freeze(Part, os_process:os_pid(Process)),
	{reply, ok, State#{frozen := Pids ++ Frozen}};
handle_call(thaw, _From, State) ->
	{reply, ok, do_thaw(State)}.

handle_cast(_Message, State) ->
	{noreply, State}.

%% What is frozen cannot obey.
terminate(_Reason, #{process := none}) ->
	ok;
terminate(_Reason, #{process := Process} = State) ->
	_ = do_thaw(State),
	os_process:stop(Process).

shutdown_signal(fast) -> 'INT';
shutdown_signal(immediate) -> 'QUIT'.

stopped(running) -> {error, does_not_stop};
stopped(_) -> ok.

%% Freezing.

%% The postmaster first: it would have new children while the others are counted.
do_freeze(everything, Postmaster) ->
	[Postmaster] = do_freeze(postmaster, Postmaster),
	Children = children(Postmaster),
	ok = send_signal("STOP", Children),
	[Postmaster | Children];
do_freeze(postmaster, Postmaster) ->
	ok = send_signal("STOP", [Postmaster]),
	[Postmaster];
do_freeze(Backend, Postmaster) ->
	true = lists:member(Backend, children(Postmaster)),
	ok = send_signal("STOP", [Backend]),
	[Backend].

do_thaw(#{frozen := Frozen} = State) ->
	ok = send_signal("CONT", Frozen),
	State#{frozen := []}.

children(Postmaster) ->
	{ok, Children} = file:read_file(io_lib:format("/proc/~b/task/~b/children", [Postmaster, Postmaster])),
	[binary_to_integer(Pid) || Pid <- string:lexemes(Children, " \n")].

%% Some may be gone meanwhile.
send_signal(_, []) ->
	ok;
send_signal(Signal, Pids) ->
	_ = os:cmd(lists:flatten(["kill -s ", Signal, [[$\s, integer_to_list(Pid)] || Pid <- Pids]])),
	ok.

%% The programs.

launch(Lab, Name, Data) ->
	Port = free_port:pick(),
	Server = lab:start(Lab, {?MODULE, start_link, [spec(Lab, Name, Data, Port)]}),
	Postgres = #{server => Server, port => Port, data => Data},
	ok = up(Postgres),
	Postgres.

%% SIGQUIT at the end, and not SIGKILL, lets it give back its shared memory.
spec(#{directory := Directory} = Lab, Name, Data, Port) ->
	Log = lab:log_file(Lab, Name),
	{Program, Args} = unprivileged:command([bin("postgres"), "-D", Data,
		"-p", integer_to_list(Port), "-k", Data,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "max_connections=200"]),
	#{program => Program, args => Args, directory => Directory,
		stdout => Log, stderr => Log, stop_signal => 'QUIT'}.

%% Made on first use, beside the directories of the cases. Cases may run in
%% parallel: the others wait for the first.
template(Directory) ->
	Template = filename:join(filename:dirname(Directory), "pgdata"),
	global:trans({?MODULE, self()}, fun() -> template_once(Template) end).

template_once(Template) ->
	case filelib:is_dir(Template) of
		true -> Template;
		false -> make_template(Template)
	end.

make_template(Template) ->
	ok = make_directory(Template),
	ok = run_program(Template, [bin("initdb"), "-D", Template, "-U", "postgres",
		"-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"]),
	Template.

%% Postgres does not start in one that others may read.
make_directory(Directory) ->
	ok = file:make_dir(Directory),
	ok = file:change_mode(Directory, 8#700),
	unprivileged:give(Directory).

%% Runs one that ends, in a directory that it may enter.
run_program(Directory, Command) ->
	{Program, Args} = unprivileged:command(Command),
	Port = open_port({spawn_executable, os:find_executable(Program)},
		[{args, Args}, {cd, Directory}, exit_status, stderr_to_stdout, binary]),
	await_program(Port, Command, <<>>).

await_program(Port, Command, Output) ->
	receive
		{Port, {data, Data}} -> await_program(Port, Command, <<Output/binary, Data/binary>>);
		{Port, {exit_status, 0}} -> ok;
		{Port, {exit_status, Status}} -> error({failed, Command, Status, Output})
	end.

%% PG_BIN says where; else Debian's place with the newest release, else PATH.
bin(Name) ->
	Debian = lists:reverse(lists:sort(filelib:wildcard("/usr/lib/postgresql/*/bin"))),
	Places = [Place || Place <- [os:getenv("PG_BIN") | Debian], is_list(Place)],
	case [File || Place <- Places, File <- [filename:join(Place, Name)], filelib:is_file(File)] of
		[First | _] -> First;
		[] -> Name
	end.
