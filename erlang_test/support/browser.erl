%% A real browser, headless: Chromium, driven by WebDriver (W3C) over HTTP.
%%
%% The driver takes a free port and says which. The browser hangs on the driver by a
%% pipe, so that it ends with it however that happens. What it keeps it keeps in the
%% lab's directory.
-module(browser).

-export([start/1, start/2, open/2]).
-export([script/2, script/3, texts/2, attributes/3, click/2, press/2]).
-export([complaints/1, screenshot/2]).

-export_type([browser/0]).

-type browser() :: #{session := string()}.
-type size() :: {Width :: pos_integer(), Height :: pos_integer()}.

-define(STARTED_MS, 30000).
-define(ANSWER_MS, 60000).
-define(ELEMENT, <<"element-6066-11e4-a52e-4f735466cecf">>).

-spec start(lab:lab()) -> browser().
start(Lab) ->
	start(Lab, {1280, 860}).

%% With a window of this size; a width below 500 is that of a phone.
-spec start(lab:lab(), size()) -> browser().
start(#{directory := Directory} = Lab, Size) ->
	{ok, _} = application:ensure_all_started(inets),
	Driver = "http://127.0.0.1:" ++ integer_to_list(start_driver(Lab)),
	#{<<"sessionId">> := Id} = request(post, Driver ++ "/session",
		#{capabilities => #{alwaysMatch => capabilities(Directory, Size)}}),
	#{session => Driver ++ "/session/" ++ binary_to_list(Id)}.

%% Returns when the page has loaded.
-spec open(browser(), string()) -> ok.
open(Browser, Url) ->
	null = post(Browser, "/url", #{url => list_to_binary(Url)}),
	ok.

%% Looking.

%% The value that a script returns.
-spec script(browser(), string()) -> json_text:json().
script(Browser, Script) ->
	script(Browser, Script, []).

-spec script(browser(), string(), [json_text:json()]) -> json_text:json().
script(Browser, Script, Args) ->
	post(Browser, "/execute/sync", #{script => unicode:characters_to_binary(Script), args => Args}).

%% What is written in each element that a CSS selector finds, as far as it is shown.
-spec texts(browser(), string()) -> [binary()].
texts(Browser, Css) ->
	each(Browser, Css, "element.innerText ?? element.textContent").

%% An attribute of each of them; null where there is none.
-spec attributes(browser(), string(), string()) -> [binary() | null].
attributes(Browser, Css, Name) ->
	each(Browser, Css, "element.getAttribute('" ++ Name ++ "')").

each(Browser, Css, Expression) ->
	script(Browser, "return [...document.querySelectorAll(arguments[0])].map((element) => " ++ Expression ++ ")",
		[list_to_binary(Css)]).

%% What the console has complained about since it was asked last.
-spec complaints(browser()) -> [binary()].
complaints(Browser) ->
	[Message || #{<<"message">> := Message} <- post(Browser, "/se/log", #{type => <<"browser">>})].

-spec screenshot(browser(), file:filename()) -> ok.
screenshot(#{session := Session}, File) ->
	file:write_file(File, base64:decode(request(get, Session ++ "/screenshot", none))).

%% Doing.

%% As a person would: the element must be visible, and nothing may cover it.
-spec click(browser(), string()) -> ok.
click(Browser, Css) ->
	null = post(Browser, "/element/" ++ element_id(Browser, Css) ++ "/click", #{}),
	ok.

%% A key, whoever has the focus.
-spec press(browser(), enter | escape | tab | right | down) -> ok.
press(Browser, Key) ->
	Strokes = [#{type => Type, value => key(Key)} || Type <- [<<"keyDown">>, <<"keyUp">>]],
	null = post(Browser, "/actions", #{actions => [#{type => <<"key">>, id => <<"keys">>, actions => Strokes}]}),
	ok.

key(Key) ->
	Codes = #{enter => 16#E007, escape => 16#E00C, tab => 16#E004, right => 16#E014, down => 16#E015},
	<<(maps:get(Key, Codes))/utf8>>.

element_id(Browser, Css) ->
	Found = post(Browser, "/element", #{using => <<"css selector">>, value => list_to_binary(Css)}),
	binary_to_list(maps:get(?ELEMENT, Found)).

%% The driver.

%% Not at port 0: an ephemeral port that is free for IPv4 may be taken for IPv6, and
%% it wants the same for both.
start_driver(#{directory := Directory} = Lab) ->
	Port = free_port:pick(),
	Said = filename:join(Directory, "chromedriver.out"),
	_ = lab:start(Lab, {os_process, start_link, [#{program => "chromedriver",
		args => ["--port=" ++ integer_to_list(Port)], directory => Directory, stdout => Said,
		stderr => lab:log_file(Lab, "chromedriver"), env => lab:environment(Lab)}]}),
	_ = eventually:eventually(fun() -> has_started(Said) end, ?STARTED_MS),
	Port.

has_started(File) ->
	{ok, Said} = file:read_file(File),
	string:find(Said, "started successfully") =/= nomatch orelse Said.

%% Root's browser needs leave to do without a sandbox; it sees our own page only.
capabilities(Directory, {Width, Height}) ->
	Profile = iolist_to_binary(["--user-data-dir=", filename:join(Directory, "chromium")]),
	#{'goog:loggingPrefs' => #{browser => <<"ALL">>},
		'goog:chromeOptions' => #{
			args => [<<"--headless=new">>, <<"--no-sandbox">>, <<"--disable-dev-shm-usage">>,
				<<"--disable-gpu">>, <<"--remote-debugging-pipe">>, Profile],
			mobileEmulation => #{deviceMetrics => #{width => Width, height => Height, pixelRatio => 1,
				mobile => Width < 500, touch => Width < 500}}}}.

%% Requests.

post(#{session := Session}, Path, Body) ->
	request(post, Session ++ Path, Body).

request(Method, Url, Body) ->
	{ok, {{_, Status, _}, _, Answer}} =
		httpc:request(Method, what(Url, Body), [{timeout, ?ANSWER_MS}], [{body_format, binary}]),
	case {Status, json_text:decode(Answer)} of
		{200, #{<<"value">> := Value}} -> Value;
		{_, #{<<"value">> := Error}} -> error({webdriver, Url, Error})
	end.

what(Url, none) -> {Url, []};
what(Url, Body) -> {Url, [], "application/json", iolist_to_binary(json_text:encode(Body))}.
