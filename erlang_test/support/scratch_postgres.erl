%% A Postgres of our own, to be stopped and started at will.
%%
%% The data directory is made once in a run and copied for each case; trust
%% authentication, no fsync, sockets in the case's directory. Postgres refuses
%% to run as root, so root runs it as the user postgres.
-module(scratch_postgres).
-behaviour(gen_server).

-export([start/1, options/1, up/1, down/2]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, terminate/2]).

-export_type([postgres/0]).

-opaque postgres() :: #{server := pid(), port := inet:port_number()}.

-define(READY_MS, 20000).
-define(DOWN_MS, 20000).

%% Returns when Postgres answers.
-spec start(map()) -> postgres().
start(#{directory := Directory} = Lab) ->
	Port = free_port:pick(),
	Data = filename:join(Directory, "pgdata"),
	"" = os:cmd(lists:flatten(io_lib:format("cp -a '~s' '~s' 2>&1", [template(Directory), Data]))),
	Server = lab:start(Lab, {?MODULE, start_link, [spec(Lab, Data, Port)]}),
	Postgres = #{server => Server, port => Port},
	ok = up(Postgres),
	Postgres.

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

answers(Options) ->
	case pg_session:connect(Options) of
		{ok, Session} -> pg_session:close(Session) =:= ok;
		{error, Reason} -> Reason
	end.

%% gen_server.

start_link(Spec) ->
	gen_server:start_link(?MODULE, Spec, []).

init(Spec) ->
	process_flag(trap_exit, true),
	{ok, #{spec => Spec, process => none}}.

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
	{reply, stopped(Status), State#{process := none}}.

handle_cast(_Message, State) ->
	{noreply, State}.

terminate(_Reason, #{process := none}) ->
	ok;
terminate(_Reason, #{process := Process}) ->
	os_process:stop(Process).

shutdown_signal(fast) -> 'INT';
shutdown_signal(immediate) -> 'QUIT'.

stopped(running) -> {error, does_not_stop};
stopped(_) -> ok.

%% The program.

%% SIGQUIT at the end, and not SIGKILL, lets it give back its shared memory.
spec(#{directory := Directory} = Lab, Data, Port) ->
	Log = lab:log_file(Lab, "postgres"),
	{Program, Args} = as_postgres([bin("postgres"), "-D", Data,
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
	ok = file:make_dir(Template),
	ok = give_to_postgres(Template),
	{Program, Args} = as_postgres([bin("initdb"), "-D", Template, "-U", "postgres",
		"-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"]),
	Port = open_port({spawn_executable, os:find_executable(Program)},
		[{args, Args}, {cd, Template}, exit_status, stderr_to_stdout, binary]),
	ok = await_initdb(Port, <<>>),
	Template.

await_initdb(Port, Output) ->
	receive
		{Port, {data, Data}} -> await_initdb(Port, <<Output/binary, Data/binary>>);
		{Port, {exit_status, 0}} -> ok;
		{Port, {exit_status, Status}} -> error({initdb_failed, Status, Output})
	end.

%% The user postgres, if we are root; else we are who we are.
as_postgres([Program | Args]) ->
	case is_root() of
		true -> {"setpriv", ["--reuid", "postgres", "--regid", "postgres", "--init-groups",
			"--pdeathsig", "QUIT", "--", Program | Args]};
		false -> {Program, Args}
	end.

give_to_postgres(Directory) ->
	case is_root() of
		true -> file:change_owner(Directory, id_of_postgres("-u"), id_of_postgres("-g"));
		false -> ok
	end.

is_root() ->
	string:trim(os:cmd("id -u")) =:= "0".

id_of_postgres(Which) ->
	list_to_integer(string:trim(os:cmd("id " ++ Which ++ " postgres"))).

%% PG_BIN says where; else Debian's place with the newest release, else PATH.
bin(Name) ->
	Debian = lists:reverse(lists:sort(filelib:wildcard("/usr/lib/postgresql/*/bin"))),
	Places = [Place || Place <- [os:getenv("PG_BIN") | Debian], is_list(Place)],
	case [File || Place <- Places, File <- [filename:join(Place, Name)], filelib:is_file(File)] of
		[First | _] -> First;
		[] -> Name
	end.
