%% Fifty nodes on five hosts, made one mesh by one pgmesh on a sixth.
-module(crowd_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2, holds/2]).

-define(HOSTS, 5).
-define(ON_EACH, 10).
-define(BOUND_MS, 180000).
%% In seconds. Fifty nodes share few cores here: none is to be late for a tick.
-define(TICKTIME, 20).
-define(STAYS_MS, 10000).

%% ct.

suite() ->
	[{timetrap, {minutes, 12}}].

all() ->
	[fifty_nodes_lose_a_host_and_get_it_back].

init_per_testcase(_, Config) ->
	[{lab, Lab} | _] = Opened = container_host:open_lab(Config),
	[{lab, container_host:start_postgres(Lab)} | Opened].

end_per_testcase(_, Config) ->
	lab:close(Config).

%% Tests.

fifty_nodes_lose_a_host_and_get_it_back(Config) ->
	ct:comment("One pgmesh links fifty nodes, 1,225 edges; a host of ten is cut off, and is back in the mesh."),
	Lab = lab:from(Config),
	[Here | Hosts] = [otp_releases:host(Lab, hd(otp_releases:releases())) || _ <- lists:seq(0, ?HOSTS)],
	Beams = beam_node:start_each([{Host, #{name => otp_releases:name("app" ++ integer_to_list(N), Host),
		flags => ["+S", "1:1", "-kernel", "net_ticktime", integer_to_list(?TICKTIME)]}}
		|| Host <- Hosts, N <- lists:seq(1, ?ON_EACH)]),
	Daemon = pgmesh:start(Here, #{name => otp_releases:name("pgmesh", Here),
		flags => #{"--introduce" => "all", "--net-ticktime" => integer_to_list(?TICKTIME) ++ "s"}}),
	Idle = cost(Here, Daemon),
	_ = lab:notify_all(Here, [Name || #{name := Name} <- Beams]),
	LinkedMs = eventually(fun() -> is_whole(Daemon, Beams) end, ?BOUND_MS),
	Linked = cost(Here, Daemon),
	[Cut | _] = Hosts,
	{Inside, Outside} = lists:split(?ON_EACH, Beams),
	ok = cable:cut(Cut),
	NoticedMs = eventually(fun() -> are_apart(Inside, Outside) end, ?BOUND_MS),
	ok = cable:mend(Cut),
	BackMs = eventually(fun() -> is_whole(Daemon, Beams) end, ?BOUND_MS),
	Healed = cost(Here, Daemon),
	ok = holds(fun() -> is_whole(Daemon, Beams) end, ?STAYS_MS),
	ct_console:note("~b nodes: full mesh ~.1f s after they were named", [length(Beams), LinkedMs / 1000]),
	ct_console:note("a host of ~b cut off: all noticed after ~.1f s; full again ~.1f s after its return",
		[?ON_EACH, NoticedMs / 1000, BackMs / 1000]),
	[ct_console:note("pgmesh, ~s: ~.1f MB, ~.2f s of CPU", [When, Megabytes, Seconds])
		|| {When, {Megabytes, Seconds}} <- [{"alone", Idle}, {"all linked", Linked}, {"all linked again", Healed}]],
	%% scripts/test-hosts puts this line into a page.
	{Megabytes, Seconds} = Healed,
	ct_console:note("crowd | ~b | ~.1f | ~.1f | ~.1f | ~.1f | ~.2f",
		[length(Beams), LinkedMs / 1000, NoticedMs / 1000, BackMs / 1000, Megabytes, Seconds]),
	ok.

%% Helpers.

%% The nodes' own word counts; pgmesh's is the quicker to ask for.
is_whole(Daemon, Beams) ->
	case pgmesh:sees_mesh(Daemon, [Name || #{name := Name} <- Beams]) of
		true -> links:meshed(Beams);
		Other -> Other
	end.

%% Has each of the ones lost each of the others, and the other way round?
are_apart(Ones, Others) ->
	Linked = [{Name, Node} || {Here, There} <- [{Ones, Others}, {Others, Ones}], #{name := Name} = Beam <- Here,
		Node <- beam_node:call(Beam, erlang, nodes, []), lists:keymember(Node, 1, [{N} || #{name := N} <- There])],
	Linked =:= [] orelse {still_linked, length(Linked)}.

%% Megabytes that lie in memory, and seconds of CPU since its start.
cost(Host, #{process := Process}) ->
	Folder = "/proc/" ++ integer_to_list(os_process:os_pid(Process)),
	{match, [Kilobytes]} = re:run(container_host:run(Host, ["cat", Folder ++ "/status"]), "VmRSS:\\s*([0-9]+)",
		[{capture, all_but_first, list}]),
	[_, Fields] = string:split(container_host:run(Host, ["cat", Folder ++ "/stat"]), ") "),
	%% From the third field on; user's and system's time are the 14th and 15th, in hundredths of a second.
	[User, System] = lists:sublist(string:lexemes(Fields, " "), 12, 2),
	{list_to_integer(Kilobytes) * 1024 / 1000000, (list_to_integer(User) + list_to_integer(System)) / 100}.
