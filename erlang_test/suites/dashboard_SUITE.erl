%% The page at / shows the mesh as it is, to a person with a real browser.
-module(dashboard_SUITE).
-compile(export_all).
-compile(nowarn_export_all).

-import(eventually, [eventually/2]).

-define(BOUND_MS, 20000).
-define(SWARM, 200).
-define(SWARM_MS, 60000).
-define(ASKED, 20).
%% Generous, for a busy machine; the figure itself is printed.
-define(MATRIX_MS, 1000).

%% ct.

suite() ->
	[{timetrap, {minutes, 3}}].

all() ->
	[all_nodes_and_edges_are_shown, node_that_dies_is_shown, cut_edge_is_red_until_it_is_healed,
		one_way_edge_points_to_who_does_not_see, hidden_nodes_stand_apart,
		node_tells_its_details_to_mouse_and_keys, postgres_that_stops_is_shown, deaf_ears_are_shown,
		daemon_that_dies_is_missed_until_it_is_back, daemon_that_stands_still_is_missed, earlier_events_are_there,
		text_of_strangers_is_text, nothing_is_loaded_from_elsewhere,
		phone_needs_no_scrolling_sideways, two_hundred_nodes_are_a_matrix].

init_per_testcase(phone_needs_no_scrolling_sideways, Config) ->
	open(Config, {390, 844});
init_per_testcase(_, Config) ->
	open(Config, {1280, 860}).

open(Config, Size) ->
	Opened = lab:open(Config),
	[{browser, browser:start(lab:from(Opened), Size)} | Opened].

end_per_testcase(_, Config) ->
	ok = keep_screenshot(proplists:get_value(tc_status, Config), Config),
	lab:close(Config).

%% Tests: the mesh.

all_nodes_and_edges_are_shown(Config) ->
	ct:comment("Every node and every edge of a full mesh is in the picture, and the console is silent."),
	Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1', 'd@127.0.0.1']),
	[<<"a@127.0.0.1">>, <<"b@127.0.0.1">>, <<"c@127.0.0.1">>, <<"d@127.0.0.1">>] = drawn(Page, "up"),
	6 = length(edges(Page, "linked")),
	[<<"4 of 4 linked">>] = texts(Page, "#card-nodes .big"),
	[<<"6 of 6 pairs linked", _/binary>>] = plain(texts(Page, "#card-mesh .sub")),
	[] = texts(Page, "#gaps li"),
	ok = click(Page, "#views [data-view=hosts]"),
	[<<"127.0.0.1">>] = texts(Page, ".hull text"),
	6 = length(edges(Page, "linked")),
	[] = complaints(Page).

node_that_dies_is_shown(Config) ->
	ct:comment("A node that is killed loses its edges in the picture, and is down with the reason."),
	#{beams := [_, _, Killed]} = Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1']),
	ok = beam_node:kill(Killed),
	Ms = eventually(fun() -> drawn(Page, "down") =:= [<<"c@127.0.0.1">>] end, ?BOUND_MS),
	ct_console:note("down in the picture ~.1f ms after kill -9", [Ms]),
	_ = eventually(fun() -> edges(Page, "linked") =:= [{<<"a@127.0.0.1">>, <<"b@127.0.0.1">>}] end, ?BOUND_MS),
	[<<"2 of 3 linked">>] = texts(Page, "#card-nodes .big"),
	ok = click(Page, spot("c@127.0.0.1")),
	[<<"down, without a link for ", _/binary>>] = texts(Page, "#panel .state"),
	[_ | _] = [Error || Error <- texts(Page, "#panel-error"), says(<<"c@127.0.0.1">>, Error) orelse says(<<"closed">>, Error)],
	[_ | _] = [Text || Text <- texts(Page, "#events li[data-event=nodedown][data-level=warn] .text"),
		says(<<"nodedown">>, Text)],
	[] = complaints(Page).

cut_edge_is_red_until_it_is_healed(Config) ->
	ct:comment("An edge that is cut turns red and dashed, and is as before once the two are connected."),
	Names = ['a@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1'],
	#{lab := Lab, beams := [A | _], daemon := Daemon} = Page = observed(Config, Names),
	Normal = look(Page, "[data-a='a@127.0.0.1'][data-b='b@127.0.0.1'] .line"),
	true = beam_node:call(A, erlang, disconnect_node, ['b@127.0.0.1']),
	Cut = [{<<"a@127.0.0.1">>, <<"b@127.0.0.1">>}],
	CutMs = eventually(fun() -> edges(Page, "missing") =:= Cut end, ?BOUND_MS),
	_ = eventually(fun() -> [<<"1 pair missing">>] =:= texts(Page, "#card-mesh .big") end, ?BOUND_MS),
	[Missing] = texts(Page, "#gaps li.missing"),
	true = says(<<"a@127.0.0.1">>, Missing) andalso says(<<"b@127.0.0.1">>, Missing),
	_ = eventually(fun() -> is_red_and_dashed(look(Page, ".edge.missing .line")) end, ?BOUND_MS),
	#{exit := 0} = pgmesh:command(Lab, ["connect", "a@127.0.0.1", "b@127.0.0.1", "--socket", maps:get(socket, Daemon)]),
	HealedMs = eventually(fun() -> edges(Page, "missing") =:= [] end, ?BOUND_MS),
	_ = eventually(fun() -> look(Page, "[data-a='a@127.0.0.1'][data-b='b@127.0.0.1'] .line") =:= Normal end, ?BOUND_MS),
	[<<"full mesh">>] = texts(Page, "#card-mesh .big"),
	ct_console:note("red ~.1f ms after the cut, normal ~.1f ms after the connect", [CutMs, HealedMs]),
	[] = complaints(Page).

one_way_edge_points_to_who_does_not_see(Config) ->
	ct:comment("An edge that only one end sees has an arrow from that one to the other."),
	#{swarm := Swarm} = Page = swarmed(Config, 3),
	ok = swarm:see(maps:get('n1@127.0.0.1', Swarm), ['n3@127.0.0.1']),
	_ = eventually(fun() -> length(edges(Page, "one_way")) =:= 1 end, ?BOUND_MS),
	[Row] = texts(Page, "#gaps li.one_way"),
	true = says(<<"n1@127.0.0.1">>, Row) andalso says(<<"n2@127.0.0.1">>, Row),
	[<<"one-way: only n2@127.0.0.1 says that it stands">>] = attributes(Page, "#gaps li.one_way", "title"),
	[<<"url(#arrow)">>] = attributes(Page, ".edge.one_way .line", "marker-mid"),
	%% It begins where the node is that says so.
	true = script(Page, "
		const at = (element) => element.getAttribute('transform').match(/[-0-9.]+/g).map(Number);
		const [x, y] = document.querySelector('.edge.one_way .line').getAttribute('d').match(/[-0-9.]+/g).map(Number);
		const [sees, other] = ['n2', 'n1'].map((n) => at(document.querySelector(`[data-node='${n}@127.0.0.1']`)));
		return Math.hypot(x - sees[0], y - sees[1]) < 1 && Math.hypot(x - other[0], y - other[1]) > 20"),
	[] = complaints(Page).

hidden_nodes_stand_apart(Config) ->
	ct:comment("A hidden node has its own place, is no node of the mesh, and goes when it leaves."),
	#{lab := Lab} = Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1']),
	Shell = beam_node:start(Lab, #{name => 'shell@127.0.0.1', flags => ["-hidden"]}),
	true = beam_node:call(Shell, net_kernel, connect_node, ['pgmesh@127.0.0.1']),
	_ = eventually(fun() -> hidden(Page) =:= [<<"shell@127.0.0.1">>] end, ?BOUND_MS),
	[<<"2 of 2 linked">>] = texts(Page, "#card-nodes .big"),
	3 = script(Page, "return document.querySelectorAll('.spoke').length"),
	ok = click(Page, "#hidden-links"),
	[] = hidden(Page),
	ok = click(Page, "#hidden-links"),
	ok = beam_node:kill(Shell),
	_ = eventually(fun() -> hidden(Page) =:= [] end, ?BOUND_MS),
	[] = complaints(Page).

node_tells_its_details_to_mouse_and_keys(Config) ->
	ct:comment("A click or Enter shows state, age, OTP release and last error; Escape closes."),
	Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1']),
	ok = click(Page, spot("b@127.0.0.1")),
	[<<"b@127.0.0.1">>] = texts(Page, "#panel h2"),
	[<<"up, linked for ", _/binary>>] = texts(Page, "#panel .state"),
	Release = list_to_binary(erlang:system_info(otp_release)),
	#{<<"OTP release">> := Release, <<"last error">> := <<"none">>} = facts(Page),
	ok = browser:press(browser(Page), escape),
	[] = texts(Page, "#panel:not([hidden])"),
	null = script(Page, "document.querySelector('[data-node=\"a@127.0.0.1\"]').focus()"),
	ok = browser:press(browser(Page), enter),
	[<<"a@127.0.0.1">>] = texts(Page, "#panel h2"),
	<<"panel-name">> = script(Page, "return document.activeElement.id"),
	ok = browser:press(browser(Page), escape),
	<<"a@127.0.0.1">> = script(Page, "return document.activeElement.dataset.node"),
	[] = complaints(Page).

%% Tests: what the mesh hangs on.

postgres_that_stops_is_shown(Config) ->
	ct:comment("Without Postgres the ears are down, with a reason; the page goes on, and hears again."),
	#{lab := #{postgres := Postgres}} = Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1']),
	_ = eventually(fun() -> [<<"listening">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	[Heard] = plain(texts(Page, "#card-postgres .sub")),
	true = says(<<"channel cluster">>, Heard) andalso says(<<"echo ">>, Heard),
	ok = scratch_postgres:down(Postgres, fast),
	_ = eventually(fun() -> [<<"down">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	_ = eventually(fun() -> [<<"unreachable: ", _/binary>>] = texts(Page, "#card-postgres .error"), true end, ?BOUND_MS),
	[Frozen] = plain(texts(Page, "#card-postgres .sub")),
	true = says(<<"frozen">>, Frozen),
	[<<"live">>] = texts(Page, "#connection"),
	2 = length(drawn(Page, "up")),
	ok = scratch_postgres:up(Postgres),
	_ = eventually(fun() -> [<<"listening">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	[] = [Error || Error <- texts(Page, "#card-postgres .error"), Error =/= <<>>],
	[] = complaints(Page).

deaf_ears_are_shown(Config) ->
	ct:comment("A Postgres that stands still, its connections open, is shown as deafness."),
	#{lab := #{postgres := Postgres}} = Page = linked(Config, ['a@127.0.0.1']),
	_ = eventually(fun() -> [<<"listening">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	ok = scratch_postgres:freeze(Postgres, everything),
	Ms = eventually(fun() -> [<<"deaf">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	ct_console:note("deaf on the page ~.1f ms after Postgres froze, with an interval of 1 s", [Ms]),
	[<<"deaf: ", _/binary>>] = texts(Page, "#card-postgres .error"),
	[_ | _] = texts(Page, "#events li[data-event=postgres][data-level=warn]"),
	ok = scratch_postgres:thaw(Postgres),
	_ = eventually(fun() -> [<<"listening">>] =:= texts(Page, "#card-postgres .big") end, ?BOUND_MS),
	[] = complaints(Page).

daemon_that_dies_is_missed_until_it_is_back(Config) ->
	ct:comment("Without the daemon the page says since when, greys the picture, and is live again by itself."),
	#{lab := Lab, daemon := Daemon} = Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1']),
	ok = pgmesh:kill(Daemon),
	Ms = eventually(fun() -> [<<"no connection">>] =:= texts(Page, "#connection") end, ?BOUND_MS),
	ct_console:note("said ~.1f ms after kill -9", [Ms]),
	[<<"no connection to pgmesh since ", _/binary>>] = texts(Page, "#lost"),
	<<"grayscale(1)">> = script(Page, "return getComputedStyle(document.querySelector('main')).filter"),
	2 = length(drawn(Page, "up")),
	_ = pgmesh:restart(Lab, Daemon),
	_ = eventually(fun() -> [<<"live">>] =:= texts(Page, "#connection") end, ?BOUND_MS),
	_ = eventually(fun() -> [<<"full mesh">>] =:= texts(Page, "#card-mesh .big") end, ?BOUND_MS),
	[] = texts(Page, "#lost:not([hidden])"),
	_ = eventually(fun() -> texts(Page, "#events li[data-event=nodeup]") =/= [] end, ?BOUND_MS),
	[] = [Text || Text <- complaints(Page), not says(<<"net::ERR_">>, Text)].

daemon_that_stands_still_is_missed(Config) ->
	ct:comment("A daemon that answers nothing, its connections open, is missed as one that died."),
	#{daemon := Daemon} = Page = linked(Config, ['a@127.0.0.1']),
	ok = pgmesh:signal(Daemon, 'STOP'),
	Ms = eventually(fun() -> [<<"no connection">>] =:= texts(Page, "#connection") end, ?BOUND_MS),
	ct_console:note("said ~.1f ms after it froze", [Ms]),
	ok = pgmesh:signal(Daemon, 'CONT'),
	_ = eventually(fun() -> [<<"live">>] =:= texts(Page, "#connection") end, ?BOUND_MS).

earlier_events_are_there(Config) ->
	ct:comment("What happened before the page was opened is in its strip, and nothing twice after a reload."),
	Page = linked(Config, ['a@127.0.0.1', 'b@127.0.0.1']),
	_ = eventually(fun() -> length(texts(Page, "#events li[data-event=nodeup]")) =:= 2 end, ?BOUND_MS),
	ok = browser:open(browser(Page), url(Page)),
	_ = eventually(fun() -> length(texts(Page, "#events li[data-event=nodeup]")) =:= 2 end, ?BOUND_MS),
	ok = click(Page, "#only-warnings"),
	[] = script(Page, "return [...document.querySelectorAll('#events li[data-level=info]')].filter((e) => e.offsetParent)"),
	[] = complaints(Page).

%% Tests: the page itself.

text_of_strangers_is_text(Config) ->
	ct:comment("Markup in names and messages is shown as it is written, and does nothing."),
	Markup = "<img id=evil src=x onerror=alert(1)>",
	#{postgres := Postgres} = lab:from(Config),
	#{port := Port} = scratch_postgres:options(Postgres),
	Url = lists:flatten(io_lib:format("postgres://postgres@127.0.0.1:~b/~s", [Port, uri_string:quote(Markup)])),
	Page = launched(Config, #{"--channel" => Markup, "--database-url" => Url}),
	_ = eventually(fun() -> [Error] = texts(Page, "#card-postgres .error"), says(list_to_binary(Markup), Error) end, ?BOUND_MS),
	[Sub] = plain(texts(Page, "#card-postgres .sub")),
	true = says(list_to_binary(Markup), Sub),
	_ = eventually(fun() -> texts(Page, "#events li[data-event=postgres]") =/= [] end, ?BOUND_MS),
	[] = texts(Page, "#evil"),
	[] = complaints(Page).

nothing_is_loaded_from_elsewhere(Config) ->
	ct:comment("The page asks nobody but pgmesh, and its policy would not let it."),
	#{lab := #{epmd_port := Elsewhere}} = Page = linked(Config, ['a@127.0.0.1']),
	Own = list_to_binary(url(Page)),
	Asked = script(Page, "return performance.getEntriesByType('resource').map(({ name }) => name)"),
	true = length(Asked) > 10,
	[] = [Url || Url <- Asked, not says(Own, Url)],
	null = script(Page, "
		addEventListener('securitypolicyviolation', (event) => (document.title = event.effectiveDirective));
		fetch(arguments[0]).catch(() => {})",
		[iolist_to_binary(io_lib:format("http://127.0.0.1:~b/", [Elsewhere]))]),
	_ = eventually(fun() -> <<"connect-src">> =:= script(Page, "return document.title") end, ?BOUND_MS).

phone_needs_no_scrolling_sideways(Config) ->
	ct:comment("At 390 pixels everything fits, in each view and with a node's details open."),
	Page = linked(Config, ['a_node_with_a_very_long_name@127.0.0.1', 'b@127.0.0.1', 'c@127.0.0.1']),
	lists:foreach(fun(View) ->
		ok = click(Page, "#views [data-view=" ++ View ++ "]"),
		{View, true} = {View, fits(Page)}
	end, ["hosts", "matrix", "circle"]),
	ok = click(Page, spot("a_node_with_a_very_long_name@127.0.0.1")),
	[<<"a_node_with_a_very_long_name@127.0.0.1">>] = texts(Page, "#panel h2"),
	true = fits(Page),
	[] = complaints(Page).

two_hundred_nodes_are_a_matrix(Config) ->
	ct:comment("Two hundred nodes are shown as a matrix, quickly, and a gap is found with the keyboard."),
	#{swarm := Swarm} = Page = swarmed(Config, ?SWARM),
	Pairs = ?SWARM * (?SWARM - 1) div 2,
	Full = iolist_to_binary(io_lib:format("~b of ~b pairs linked", [Pairs, Pairs])),
	_ = eventually(fun() -> [Sub] = plain(texts(Page, "#card-mesh .sub")), says(Full, Sub) end, ?SWARM_MS),
	[<<"true">>] = attributes(Page, "#views [data-view=matrix]", "aria-pressed"),
	true = script(Page, "return !document.getElementById('grid').hidden"),
	ok = is_quick(Page, "api/v1/matrix"),
	ok = is_quick(Page, "api/v1/matrix?full=1"),
	ok = swarm:see(maps:get('n1@127.0.0.1', Swarm), lists:delete('n2@127.0.0.1', swarm:names(Swarm))),
	_ = eventually(fun() -> length(texts(Page, "#gaps li.one_way")) =:= 1 end, ?BOUND_MS),
	null = script(Page, "document.getElementById('grid').focus()"),
	[ok = browser:press(browser(Page), Key) || Key <- [right, right]],
	[Reading] = texts(Page, "#reading"),
	true = says(<<"n1@127.0.0.1 – n2@127.0.0.1: one-way: only n2@127.0.0.1"/utf8>>, Reading),
	ok = browser:press(browser(Page), enter),
	[<<"n1@127.0.0.1">>] = texts(Page, "#panel h2"),
	DrawMs = script(Page, "
		const started = performance.now();
		document.querySelector('[data-view=circle]').click();
		document.getElementById('picture').getBoundingClientRect();
		return Math.round(performance.now() - started)"),
	ct_console:note("the picture of ~b nodes is drawn in ~b ms", [?SWARM, DrawMs]),
	?SWARM = length(drawn(Page, "up")),
	[] = complaints(Page).

%% Helpers: worlds.

%% Nodes that pgmesh has made one mesh, and the page open on it.
linked(Config, Names) ->
	Beams = beam_node:start_all(lab:from(Config), [#{name => Name} || Name <- Names]),
	Page = launched(Config, #{}),
	_ = eventually(fun() -> length(edges(Page, "linked")) =:= pairs(length(Names)) end, ?BOUND_MS),
	_ = eventually(fun() -> length(drawn(Page, "up")) =:= length(Names) end, ?BOUND_MS),
	Page#{beams => Beams}.

%% The same among nodes that pgmesh only looks at: they connect themselves.
observed(Config, Names) ->
	Flags = ["-kernel", "prevent_overlapping_partitions", "false"],
	Beams = beam_node:start_all(lab:from(Config), [#{name => Name, flags => Flags} || Name <- Names]),
	[true = beam_node:call(Beam, net_kernel, connect_node, [Name]) || Beam <- Beams, Name <- Names],
	ok = links:await_global(Beams),
	Page = launched(Config, #{"--introduce" => "none", "--watch-edges" => "on"}),
	_ = eventually(fun() -> length(edges(Page, "linked")) =:= pairs(length(Names)) end, ?BOUND_MS),
	Page#{beams => Beams}.

swarmed(Config, Count) ->
	#{epmd_port := EpmdPort, cookie := Cookie} = lab:from(Config),
	Page = launched(Config, #{"--introduce" => "none", "--watch-edges" => "off", "--audit-interval" => "1s"}),
	Port = scratch_epmd:node_port(EpmdPort, "pgmesh"),
	Swarm = swarm:start(#{port => Port, cookie => Cookie}, Count, "127.0.0.1"),
	_ = eventually(fun() -> [Text] = texts(Page, "#card-nodes .big"),
		says(iolist_to_binary(io_lib:format("~b of ~b linked", [Count, Count])), Text) end, ?SWARM_MS),
	Page#{swarm => Swarm}.

%% The daemon need not hear Postgres for its page to be there.
launched(Config, Flags) ->
	Lab = lab:from(Config),
	Http = "127.0.0.1:" ++ integer_to_list(free_port:pick()),
	Daemon = pgmesh:launch(Lab, #{flags => Flags#{"--http" => Http}}),
	_ = eventually(fun() -> is_map(control_socket:get(Daemon, "/api/v1/status")) end, ?BOUND_MS),
	Page = #{lab => Lab, daemon => Daemon, http => Http, browser => proplists:get_value(browser, Config)},
	ok = browser:open(browser(Page), url(Page)),
	_ = eventually(fun() -> [<<"live">>] =:= texts(Page, "#connection") end, ?BOUND_MS),
	Page.

keep_screenshot({failed, _}, Config) ->
	#{logs := Logs} = lab:from(Config),
	_ = (catch browser:screenshot(proplists:get_value(browser, Config), filename:join(Logs, "page.png"))),
	ok;
keep_screenshot(_, _) ->
	ok.

%% Helpers: the page.

browser(#{browser := Browser}) -> Browser.

url(#{http := Http}) -> "http://" ++ Http ++ "/".

script(Page, Script) -> browser:script(browser(Page), Script).
script(Page, Script, Args) -> browser:script(browser(Page), Script, Args).
texts(Page, Css) -> browser:texts(browser(Page), Css).
attributes(Page, Css, Name) -> browser:attributes(browser(Page), Css, Name).
click(Page, Css) -> browser:click(browser(Page), Css).
complaints(Page) -> browser:complaints(browser(Page)).

spot(Name) -> "[data-node='" ++ Name ++ "'] circle".

drawn(Page, State) ->
	lists:sort(attributes(Page, "[data-hidden=false][data-state=" ++ State ++ "]", "data-node")).

hidden(Page) ->
	attributes(Page, "[data-hidden=true]", "data-node").

edges(Page, Kind) ->
	Css = ".edge[data-kind=" ++ Kind ++ "]",
	lists:sort(lists:zip(attributes(Page, Css, "data-a"), attributes(Page, Css, "data-b"))).

pairs(Nodes) -> Nodes * (Nodes - 1) div 2.

facts(Page) ->
	maps:from_list(lists:zip(texts(Page, "#panel dt"), texts(Page, "#panel dd"))).

%% What a line looks like once it has stopped changing: its colour and its dashes.
look(Page, Css) ->
	_ = eventually(fun() -> script(Page, "return document.getAnimations().length === 0") end, ?BOUND_MS),
	[Colour, Dashes] = script(Page, "
		const { stroke, strokeDasharray } = getComputedStyle(document.querySelector(arguments[0]));
		return [stroke, strokeDasharray]", [list_to_binary(Css)]),
	{Colour, Dashes}.

is_red_and_dashed({Colour, Dashes}) ->
	{match, Parts} = re:run(Colour, "[0-9]+", [global, {capture, first, list}]),
	[Red, Green, Blue | _] = [list_to_integer(Part) || [Part] <- Parts],
	Red > 2 * Green andalso Red > 2 * Blue andalso Dashes =/= <<"none">>.

fits(Page) ->
	script(Page, "return document.documentElement.scrollWidth <= window.innerWidth").

%% Spaces that do not break are spaces.
plain(Texts) ->
	[binary:replace(Text, <<"\x{a0}"/utf8>>, <<" ">>, [global]) || Text <- Texts].

says(What, Text) ->
	binary:match(Text, What) =/= nomatch.

is_quick(Page, Path) ->
	Times = [asked_ms(url(Page) ++ Path) || _ <- lists:seq(1, ?ASKED)],
	ct_console:note("/~s of ~b linked nodes: median ~.1f ms, worst ~.1f ms (target 50)",
		[Path, ?SWARM, links:median(Times), lists:max(Times)]),
	true = links:median(Times) < ?MATRIX_MS,
	ok.

asked_ms(Url) ->
	Started = erlang:monotonic_time(microsecond),
	{ok, {{_, 200, _}, _, _}} = httpc:request(get, {Url, []}, [], [{body_format, binary}]),
	(erlang:monotonic_time(microsecond) - Started) / 1000.
