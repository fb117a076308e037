%% Tables and pictures from the values that were measured: on the terminal, or as
%% docs/PERFORMANCE.md and what it shows.
%%
%% The page's words are in performance.md.in. A line `@NAME@` there stands for the
%% table, the picture or the fact of that name.
-module(bench_report).

-export([terminal/1, page/1]).

%% VALUES BENCHMARK...
-spec terminal([string()]) -> no_return().
terminal([File | Benchmarks]) ->
	Values = bench_values:load(File),
	_ = [say(table_with_title(Values, Table)) || #{benchmark := Benchmark} = Table <- bench_metrics:tables(),
		lists:member(atom_to_list(Benchmark), Benchmarks)],
	Rows = [Row || #{met := Met} = Row <- bench_targets:rows(Values), Met =/= unknown],
	_ = Rows =:= [] orelse say(targets(Rows)),
	halt(0).

%% VALUES TEMPLATE DOCS
-spec page([string()]) -> no_return().
page([File, Template, Docs]) ->
	Values = bench_values:load(File),
	_ = [write_picture(Values, Docs, Picture) || Picture <- bench_metrics:pictures()],
	{ok, Words} = file:read_file(Template),
	Lines = [insert(Values, Line) || Line <- string:split(Words, "\n", all)],
	ok = file:write_file(filename:join(Docs, "PERFORMANCE.md"), unicode:characters_to_binary(Lines)),
	halt(0).

say(Text) ->
	ok = io:setopts([{encoding, unicode}]),
	io:put_chars([$\n, Text]).

%% The page.

insert(Values, Line) ->
	case re:run(Line, "^@([a-z_0-9.-]+)@$", [{capture, all_but_first, list}]) of
		{match, [Name]} -> part(Values, Name);
		nomatch -> [Line, $\n]
	end.

part(Values, "targets") ->
	targets(bench_targets:rows(Values));
part(Values, "machine") ->
	machine(Values);
part(Values, Name) ->
	Pictures = [Picture || #{file := File} = Picture <- bench_metrics:pictures(), File =:= Name],
	Tables = [Table || #{name := Table_} = Table <- bench_metrics:tables(), atom_to_list(Table_) =:= Name],
	case {Pictures, Tables} of
		{[Picture], []} -> show_picture(Values, Picture);
		{[], [Table]} -> table(Values, Table)
	end.

show_picture(Values, #{file := File, title := Title} = Picture) ->
	[["![", Title, "](performance/", File, ")\n"] || panels(Values, Picture) =/= []].

write_picture(Values, Docs, #{file := File, title := Title} = Picture) ->
	case panels(Values, Picture) of
		[] -> ok;
		Panels ->
			Path = filename:join([Docs, "performance", File]),
			ok = file:write_file(Path, unicode:characters_to_binary(bench_svg:panels(Title, Panels)))
	end.

panels(Values, #{metrics := Metrics} = Picture) ->
	Without = maps:get(without, Picture, []),
	[panel(Metric, Bars) || Metric <- Metrics, Bars <- [bars(Values, Metric, Without)], Bars =/= []].

panel(Metric, Bars) ->
	#{title := Title, unit := Unit} = bench_metrics:describe(Metric),
	#{title => Title, unit => Unit, bars => Bars}.

bars(Values, Metric, Without) ->
	#{scale := Scale} = bench_metrics:describe(Metric),
	[#{label => bench_text:contender(Contender), ours => lists:member(Contender, [pgmesh, pgmesh_tls, pgmesh_shared, pgmesh_shared_tls]),
			median => Median * Scale, min => Min * Scale, max => Max * Scale}
		|| Contender <- bench_values:contenders(Values, [Metric]) -- Without,
			#{median := Median, min := Min, max := Max} <- [bench_values:summary(Values, Metric, Contender)]].

%% Tables.

targets(Rows) ->
	bench_text:table([["work", "target", "reached", "met"] | [target(Row) || Row <- Rows]], text).

target(#{work := Work, target := Target, reached := Reached, met := Met}) ->
	[Work, Target, Reached, verdict(Met)].

verdict(true) -> "met";
verdict(false) -> "**not met**";
verdict(unknown) -> "–".

machine(Values) ->
	Facts = [[Title, bench_values:fact(Values, Key)] || {Key, Title} <- bench_machine:facts()],
	bench_text:table([["", ""] | Facts], text).

table_with_title(Values, #{title := Title} = Table) ->
	[Title, "\n\n", table(Values, Table)].

table(Values, Table) ->
	Metrics = metrics(Values, Table),
	case bench_values:contenders(Values, Metrics) of
		[] ->
			"Not measured in this run.\n";
		Contenders ->
			Others = [Other || Other <- maps:get(ratio_to, Table, []), lists:member(Other, Contenders)],
			bench_text:table([head(Contenders, Others) | [row(Values, Metric, Contenders, Others) || Metric <- Metrics]])
	end.

metrics(Values, #{metrics := {all, Benchmark}}) ->
	[{Benchmark, Metric} || Metric <- bench_values:metrics(Values, Benchmark)];
metrics(Values, #{metrics := Metrics}) ->
	[Metric || {Benchmark, Name} = Metric <- Metrics, lists:member(Name, bench_values:metrics(Values, Benchmark))].

head(Contenders, Others) ->
	["" | [bench_text:contender(Contender) || Contender <- Contenders]]
		++ ["pgmesh / " ++ bench_text:contender(Other) || Other <- Others].

row(Values, Metric, Contenders, Others) ->
	[title(Metric) | [cell(Values, Metric, Contender) || Contender <- Contenders]]
		++ [ratio(bench_values:ratio(Values, Metric, pgmesh, Other)) || Other <- Others].

title(Metric) ->
	case bench_metrics:describe(Metric) of
		#{title := Title, unit := Unit} when Unit =:= ""; Unit =:= "ns" -> Title;
		#{title := Title, unit := Unit} -> [Title, ", ", Unit]
	end.

cell(Values, Metric, Contender) ->
	Spread = bench_text:spread(Metric, bench_values:summary(Values, Metric, Contender)),
	case bench_values:failures(Values, Metric, Contender) of
		0 -> Spread;
		Failures -> io_lib:format("~ts, failed ~b×", [Spread, Failures])
	end.

ratio(none) -> "–";
ratio(#{median := Median, count := 1}) -> bench_text:number(Median);
ratio(#{median := Median, min := Min, max := Max}) ->
	[bench_text:number(Median), " (", bench_text:number(Min), "–", bench_text:number(Max), ")"].
