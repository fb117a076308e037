%% Pictures of figures: a panel for each metric, with a bar for each contender from
%% zero to its median, and a thin line from its least to its greatest value.
%%
%% They are read on light and on dark pages, so they bring a background of their own.
-module(bench_svg).

-export([panels/2]).

-export_type([panel/0, bar/0]).

-type bar() :: #{label := string(), ours := boolean(), median := number(), min := number(), max := number()}.
-type panel() :: #{title := string(), unit := string(), bars := [bar()]}.

-define(WIDTH, 960).
-define(MARGIN, 24).
-define(COLUMNS, 2).
-define(TOP, 64).
-define(LABELS, 92).
-define(VALUES, 74).
-define(BAR, 16).
-define(STEP, 22).
-define(PANEL_HEAD, 30).
-define(PANEL_FOOT, 40).

-spec panels(string(), [panel()]) -> iodata().
panels(Title, Panels) ->
	Rows = in_rows(Panels),
	Heights = [lists:max([height(Panel) || Panel <- Row]) || Row <- Rows],
	Height = ?TOP + lists:sum(Heights) + ?MARGIN - 14,
	[io_lib:format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ~b ~b\" width=\"~b\" height=\"~b\" "
		"role=\"img\" aria-label=\"~ts\">~n", [?WIDTH, Height, ?WIDTH, Height, escaped(Title)]),
	style(),
	"<rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n",
	text(?MARGIN, 36, "title", Title),
	rows(Rows, Heights, ?TOP),
	"</svg>\n"].

style() ->
	"<style>\n"
	"text{font:12px ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\n"
	".title{font-size:17px;font-weight:600}.panel{font-size:13px;font-weight:600}.soft,.unit{fill:#59636e}"
	".tick{font-size:11px;fill:#59636e}.unit{font-weight:400}.middle{text-anchor:middle}.strong{font-weight:600}\n"
	".page{fill:#fff}.ours{fill:#0969da}.other{fill:#afb8c1}.grid{stroke:#d1d9e0}.range{stroke:#1f2328}\n"
	"@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.soft,.unit,.tick{fill:#9198a1}.page{fill:#0d1117}"
	".ours{fill:#4493f8}.other{fill:#59636e}.grid{stroke:#3d444d}.range{stroke:#f0f6fc}}\n"
	"</style>\n".

in_rows(Panels) when length(Panels) =< ?COLUMNS -> [Panels];
in_rows(Panels) ->
	{Row, Others} = lists:split(?COLUMNS, Panels),
	[Row | in_rows(Others)].

height(#{bars := Bars}) ->
	?PANEL_HEAD + length(Bars) * ?STEP + ?PANEL_FOOT.

rows([], [], _) ->
	[];
rows([Row | Rows], [Height | Heights], Y) ->
	PanelWidth = (?WIDTH - 2 * ?MARGIN) div ?COLUMNS,
	[[panel(Panel, ?MARGIN + Column * PanelWidth, Y, PanelWidth - ?MARGIN)
		|| {Column, Panel} <- lists:zip(lists:seq(0, length(Row) - 1), Row)]
	| rows(Rows, Heights, Y + Height)].

panel(#{title := Title, unit := Unit, bars := Bars}, X, Y, Width) ->
	{End, Ticks} = axis(lists:max([Median || #{median := Median} <- Bars])),
	Left = X + ?LABELS,
	Scale = (Width - ?LABELS - ?VALUES) / End,
	Top = Y + ?PANEL_HEAD - 8,
	Bottom = Top + length(Bars) * ?STEP,
	[panel_title(X, Y + 10, Title, Unit),
	[tick(Left + Tick * Scale, Top, Bottom, Tick) || Tick <- Ticks],
	[bar(Bar, X, Left, Top + Index * ?STEP + 3, Scale, Left + End * Scale)
		|| {Index, Bar} <- lists:zip(lists:seq(0, length(Bars) - 1), Bars)]].

panel_title(X, Y, Title, Unit) ->
	io_lib:format("<text x=\"~b\" y=\"~b\" class=\"panel\">~ts <tspan class=\"unit\">~ts</tspan></text>~n",
		[X, Y, escaped(Title), escaped(Unit)]).

tick(X, Top, Bottom, Tick) ->
	[io_lib:format("<line class=\"grid\" x1=\"~.1f\" y1=\"~b\" x2=\"~.1f\" y2=\"~b\"/>~n", [X, Top, X, Bottom]),
	text(X, Bottom + 14, "tick middle", bench_text:number(Tick))].

bar(#{label := Label, ours := Ours, median := Median, min := Min, max := Max}, X, Left, Y, Scale, Right) ->
	Length = Median * Scale,
	RangeEnd = min(Right, Left + Max * Scale),
	Middle = Y + ?BAR / 2,
	Strong = case Ours of true -> " strong"; false -> "" end,
	[text(X, Y + 12, "soft" ++ Strong, Label),
	io_lib:format("<rect class=\"~s\" x=\"~b\" y=\"~b\" width=\"~.1f\" height=\"~b\" rx=\"2\"/>~n",
		[case Ours of true -> "ours"; false -> "other" end, Left, Y, max(1.0, Length), ?BAR]),
	[io_lib:format("<line class=\"range\" x1=\"~.1f\" y1=\"~.1f\" x2=\"~.1f\" y2=\"~.1f\"/>~n",
		[Left + Min * Scale, Middle, RangeEnd, Middle]) || Max > Min],
	text(max(Left + Length, RangeEnd) + 6, Y + 12, "value" ++ Strong, bench_text:number(Median))].

%% From zero to a round number above, by two or so round steps.
axis(Max) when Max =< 0 ->
	{1, [0]};
axis(Max) ->
	Power = math:pow(10, floor(math:log10(Max))),
	[Step | _] = [Factor * Power || Factor <- [0.25, 0.5, 1.0, 2.5, 5.0], Factor * Power * 4 >= Max],
	Count = ceil(Max / Step),
	{Count * Step, [Index * Step || Index <- lists:seq(0, Count, 1 + (Count - 1) div 3)]}.

text(X, Y, Class, Text) ->
	io_lib:format("<text x=\"~.1f\" y=\"~b\" class=\"~s\">~ts</text>~n", [float(X), Y, Class, escaped(Text)]).

escaped(Text) ->
	lists:foldl(fun({Char, Escape}, Done) -> string:replace(Done, Char, Escape, all) end, Text,
		[{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}]).
