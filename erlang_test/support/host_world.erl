%% Hosts with an application and a pgmesh each: from before a fault to after it.
%%
%% Whatever the fault is, the same must be true after it: every application is linked
%% to every other, and to every pgmesh, as it says itself; every pgmesh sees that;
%% nobody was forgotten, restarted by itself or needs a person, and nothing was leaked.
-module(host_world).

-export([open/1, open/2, hosts/1, replace/2, reboot/2]).
-export([is_whole/1, sees_nobody/1, is_seen_by_nobody/2, listens/1, daemon_log/1]).
-export([fault/4]).

-import(eventually, [eventually/2, holds/2]).

-export_type([world/0, host/0]).

%% Hosts are numbered from 1.
-type host() :: #{number := pos_integer(), lab := lab:lab(), epmd := pid(), beam := beam_node:beam(),
	daemon := pgmesh:daemon()}.
-type world() :: #{lab := lab:lab(), options := options(), hosts := [host()]}.
%% More options of docker run; where pgmesh logs to; where Postgres is, by names in DNS.
-type options() :: #{docker => [string()], log_directory => string(), database_hosts => [string()]}.

-define(HOSTS, 3).
%% In seconds, of nodes and of pgmesh: how long a silent link is believed.
-define(TICKTIME, 8).
-define(WHOLE_MS, 60000).
%% It is whole, and stays so for several announcements and audits.
-define(STAYS_MS, 5000).
-define(LEAKS_GONE_MS, 30000).

%% A world that is whole, with one Postgres.
-spec open(lab:lab()) -> world().
open(Lab) ->
	open(Lab, #{}).

%% The hosts are all alike. Postgres must run.
-spec open(lab:lab(), options()) -> world().
open(Lab, Options) ->
	World = #{lab => Lab, options => Options, hosts => boot(Lab, Options, lists:seq(1, ?HOSTS))},
	_ = eventually(fun() -> is_whole(World) end, ?WHOLE_MS),
	World.

-spec hosts(world()) -> [host()].
hosts(#{hosts := Hosts}) ->
	Hosts.

%% The world with another host under that number.
-spec replace(host(), world()) -> world().
replace(#{number := Number} = New, #{hosts := Hosts} = World) ->
	World#{hosts := [case Host of #{number := Number} -> New; _ -> Host end || Host <- Hosts]}.

%% The same host in another container, which has another address.
-spec reboot(host(), world()) -> world().
reboot(#{number := Number, lab := #{container := Old}}, #{lab := Lab, options := Options} = World) ->
	ok = container:take_free_address(Lab),
	[#{lab := #{container := New}} = Booted] = boot(Lab, Options, [Number]),
	true = container:address(Old) =/= container:address(New),
	replace(Booted, World).

%% Conditions for eventually/2 and holds/2.

-spec is_whole(world()) -> true | term().
is_whole(#{hosts := Hosts} = World) ->
	Beams = beams(World),
	Daemons = [Daemon || #{daemon := Daemon} <- Hosts],
	all([fun() -> links:meshed(Beams) end]
		++ [fun() -> links:has_hidden(Beam, Daemon) end || Beam <- Beams, Daemon <- Daemons]
		++ [fun() -> pgmesh:sees_mesh(Daemon, names(Beams)) end || Daemon <- Daemons]
		++ [fun() -> listens(Daemon) end || Daemon <- Daemons]).

%% Has this host's node lost all others?
-spec sees_nobody(host()) -> true | [node()].
sees_nobody(#{beam := Beam}) ->
	case beam_node:call(Beam, erlang, nodes, []) of
		[] -> true;
		Seen -> Seen
	end.

%% Have all others lost this host's node?
-spec is_seen_by_nobody(host(), world()) -> true | [node()].
is_seen_by_nobody(#{number := Number, beam := #{name := Name}}, #{hosts := Hosts}) ->
	Seeing = [Other || #{number := N, beam := #{name := Other} = Beam} <- Hosts, N =/= Number,
		lists:member(Name, beam_node:call(Beam, erlang, nodes, []))],
	Seeing =:= [] orelse {still_linked_at, Seeing}.

%% Does this pgmesh hear Postgres?
-spec listens(pgmesh:daemon()) -> true | term().
listens(Daemon) ->
	case control_socket:get(Daemon, "/api/v1/status") of
		#{<<"postgres">> := #{<<"state">> := <<"listening">>}} -> true;
		Status -> Status
	end.

%% What its pgmesh has logged, wherever that is.
-spec daemon_log(host()) -> string().
daemon_log(#{lab := Lab, daemon := #{log := Log}}) ->
	container_host:run(Lab, ["cat", Log]).

%% A fault from before to after. `Inflict` returns when it was felt; `Mend` undoes it and
%% gives the world as it is then, with what was replaced on purpose. The world must be
%% whole within that time after.
-spec fault(string(), pos_integer(), world(), {fun(() -> term()), fun(() -> world())}) -> world().
fault(What, BoundMs, World, {Inflict, Mend}) ->
	Before = usage(World),
	Lives = lives(World),
	[ok = beam_node:clear_events(Beam) || Beam <- beams(World)],
	{InflictedUs, _} = timer:tc(Inflict),
	{MendedUs, After} = timer:tc(Mend),
	HealedMs = stays_whole_after_ms(After, BoundMs),
	[] = [Life || Life <- Lives -- lives(After), is_kept(Life, World, After)],
	[] = forgotten(After),
	_ = eventually(fun() -> leaks_nothing(Before, usage(After)) end, ?LEAKS_GONE_MS),
	_ = eventually(fun() -> one_session_each(After) end, ?LEAKS_GONE_MS),
	%% scripts/test-hosts makes a table of these lines.
	ct_console:note("fault | ~ts | ~.1f | ~.1f | ~.1f | ~b | ~b", [What, InflictedUs / 1000000, MendedUs / 1000000,
		HealedMs / 1000, BoundMs div 1000, length(lost(After))]),
	After.

%% When it became whole to stay so: what a bad line did to a connection may show later,
%% within the tick time.
stays_whole_after_ms(World, BoundMs) ->
	Ms = eventually(fun() -> is_whole(World) end, max(0, round(BoundMs))),
	try holds(fun() -> is_whole(World) end, ?STAYS_MS) of
		ok -> Ms
	catch error:{held_only_ms, HeldMs, _} ->
		Ms + HeldMs + stays_whole_after_ms(World, BoundMs - Ms - HeldMs)
	end.

%% What is on a host.

boot(Lab, Options, Numbers) ->
	Hosts = [container_host:open(Lab, hd(otp_releases:releases()), #{host => host_name(Number), options => maps:get(docker, Options, [])})
		|| Number <- Numbers],
	Epmds = [container_host:start_epmd(Host) || Host <- Hosts],
	Beams = beam_node:start_each([{Host, application(Number)} || {Number, Host} <- lists:zip(Numbers, Hosts)]),
	[#{number => Number, lab => Host, epmd => Epmd, beam => Beam, daemon => start_daemon(Host, Number, Options)}
		|| {{Number, Host}, {Epmd, Beam}} <- lists:zip(lists:zip(Numbers, Hosts), lists:zip(Epmds, Beams))].

application(Number) ->
	#{name => at("app", Number), flags => ["-kernel", "net_ticktime", integer_to_list(?TICKTIME)]}.

%% With the intervals that people have.
start_daemon(#{logs := Logs} = Host, Number, Options) ->
	Name = at("pgmesh", Number),
	Urls = [#{"--database-url" => database_url(Names)} || #{database_hosts := Names} <- [Options]],
	Flags = #{"--announce-interval" => false, "--net-ticktime" => integer_to_list(?TICKTIME) ++ "s"},
	pgmesh:start(Host#{logs := maps:get(log_directory, Options, Logs)},
		#{name => Name, log => atom_to_list(Name), flags => lists:foldl(fun maps:merge/2, Flags, Urls)}).

database_url(Hosts) ->
	"postgres://postgres@" ++ lists:append(lists:join(",", Hosts)) ++ "/postgres?target_session_attrs=read-write".

%% Long names in DNS, which outlive an address.
at(Alive, Number) ->
	list_to_atom(Alive ++ "@" ++ host_name(Number)).

host_name(Number) ->
	"host" ++ integer_to_list(Number) ++ ".mesh.test".

%% What must be as before.

beams(#{hosts := Hosts}) ->
	[Beam || #{beam := Beam} <- Hosts].

names(Beams) ->
	[Name || #{name := Name} <- Beams].

lost(World) ->
	[Event || Beam <- beams(World), Event <- links:visible_events(Beam), maps:get(what, Event) =:= nodedown].

%% Who lives: programs by what they say of themselves.
lives(#{hosts := Hosts}) ->
	[{Number, beam, beam_node:call(Beam, os, getpid, []), beam_node:call(Beam, erlang, system_info, [start_time])}
		|| #{number := Number, beam := Beam} <- Hosts]
	++ [{Number, daemon, pgmesh_life(Daemon)} || #{number := Number, daemon := Daemon} <- Hosts].

pgmesh_life(Daemon) ->
	#{<<"creation">> := Creation} = control_socket:get(Daemon, "/api/v1/status"),
	Creation.

%% Was this program to live on?
is_kept(Life, Before, After) ->
	program(Life, Before) =:= program(Life, After).

program(Life, #{hosts := Hosts}) ->
	[Host] = [Host || #{number := Number} = Host <- Hosts, Number =:= element(1, Life)],
	maps:get(element(2, Life), Host).

forgotten(#{hosts := Hosts}) ->
	[{Number, Line} || #{number := Number} = Host <- Hosts,
		{match, Lines} <- [re:run(daemon_log(Host), "forgot .*", [global, {capture, first, binary}])], Line <- Lines].

%% By host and program.
usage(#{hosts := Hosts}) ->
	maps:from_list(lists:append([[{{Number, Key}, Value} || {Key, Value} <- host_usage(Host)]
		|| #{number := Number} = Host <- Hosts])).

host_usage(#{lab := Lab, beam := Beam, daemon := Daemon}) ->
	[{descriptors, descriptors(Lab, Daemon)},
		{ports, length(beam_node:call(Beam, erlang, ports, []))},
		{processes, beam_node:call(Beam, erlang, system_info, [process_count])},
		{atoms, beam_node:call(Beam, erlang, system_info, [atom_count])}].

descriptors(Lab, #{process := Process}) ->
	Folder = io_lib:format("/proc/~b/fd", [os_process:os_pid(Process)]),
	length(string:lexemes(container_host:run(Lab, ["ls", lists:flatten(Folder)]), "\n")).

%% True, or what has grown; for eventually/2. A few come and go.
leaks_nothing(Before, After) ->
	Grown = [{Key, maps:get(Key, Before), Now} || {{_, What} = Key, Now} <- maps:to_list(After),
		Now > maps:get(Key, Before) + spare(What)],
	Grown =:= [] orelse Grown.

spare(descriptors) -> 3;
spare(ports) -> 1;
spare(processes) -> 6;
%% Code that is loaded for the first time, as to report an error, has its own.
spare(atoms) -> 600.

one_session_each(#{lab := Lab, hosts := Hosts}) ->
	[[Sessions]] = lab:query(Lab, "SELECT count(*) FROM pg_stat_activity "
		"WHERE application_name LIKE 'pgmesh/%' AND backend_type = 'client backend'"),
	binary_to_integer(Sessions) =:= length(Hosts) orelse {sessions, Sessions}.

all([]) -> true;
all([Condition | Conditions]) ->
	case Condition() of
		true -> all(Conditions);
		Other -> Other
	end.
