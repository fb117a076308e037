%% Figures, names and tables as a person reads them, on a terminal as well as on a
%% page: Markdown, the columns of which are in line.
-module(bench_text).

-export([number/1, value/2, quantity/2, spread/2, contender/1, contender_of/1, table/1, table/2]).

%% Three digits that matter, and commas between thousands.
-spec number(number()) -> string().
number(Value) when Value < 0 -> "-" ++ number(-Value);
number(Value) when Value == 0 -> "0";
number(Value) when Value >= 99.95 -> commas(integer_to_list(round(Value)));
number(Value) when Value >= 9.995 -> without_zeros(Value, 1);
number(Value) when Value >= 0.9995 -> without_zeros(Value, 2);
number(Value) -> without_zeros(Value, min(6, 2 - floor(math:log10(Value)))).

%% Of what a metric's values are.
-spec value(bench_values:metric(), number()) -> string().
value(Metric, Value) ->
	#{unit := Unit, scale := Scale} = bench_metrics:describe(Metric),
	quantity(Value * Scale, Unit).

%% Nanoseconds are shown in what suits them.
-spec quantity(number(), string()) -> string().
quantity(Value, "ns") when Value >= 1.0e6 -> quantity(Value / 1.0e6, "ms");
quantity(Value, "ns") when Value >= 1.0e3 -> quantity(Value / 1.0e3, "µs");
quantity(Value, "") -> number(Value);
quantity(Value, "%") -> number(Value) ++ " %";
quantity(Value, Unit) -> number(Value) ++ " " ++ Unit.

%% The median, and between what.
-spec spread(bench_values:metric(), bench_values:summary() | none) -> string().
spread(_, none) ->
	"–";
spread(Metric, #{median := Median, count := 1}) ->
	bold(without_unit(Metric, Median));
spread(Metric, #{median := Median, min := Min, max := Max}) ->
	lists:flatten([bold(without_unit(Metric, Median)), " (", without_unit(Metric, Min), "–",
		without_unit(Metric, Max), ")"]).

without_unit(Metric, Value) ->
	case bench_metrics:describe(Metric) of
		#{unit := "ns"} -> value(Metric, Value);
		#{scale := Scale} -> number(Value * Scale)
	end.

bold(Text) ->
	"**" ++ Text ++ "**".

-spec contender(atom()) -> string().
contender(beam) -> "BEAM";
contender(jinterface) -> "Jinterface";
contender(elixir) -> "elixir --rpc-eval";
contender(erl) -> "erl -eval";
contender(otp) -> "OTP's epmd";
contender(pgmesh_tls) -> "pgmesh, TLS";
contender(pgmesh_shared) -> "shared";
contender(pgmesh_shared_tls) -> "shared, TLS";
contender(beam_tls) -> "BEAM, TLS";
contender(bin_true) -> "/bin/true";
contender(Contender) -> atom_to_list(Contender).

-spec contender_of(atom()) -> string().
contender_of(beam) -> "a BEAM's";
contender_of(Contender) -> contender(Contender) ++ "'s".

%% The first row is the head. The first column is text, the others are figures.
-spec table([[iodata()]]) -> iodata().
table(Rows) ->
	table(Rows, trailing_figures).

%% Or all of them are text.
-spec table([[iodata()]], trailing_figures | text) -> iodata().
table([Head | _] = Rows, Kind) ->
	Sides = [trailing | lists:duplicate(length(Head) - 1, case Kind of text -> trailing; _ -> leading end)],
	Widths = [lists:max([string:length(lists:nth(Column, Row)) || Row <- Rows]) || Column <- lists:seq(1, length(Head))],
	Columns = lists:zip(Widths, Sides),
	[First | Others] = [line(Row, Columns) || Row <- Rows],
	[First, ["|", [rule(Column) || Column <- Columns], "\n"], Others].

line(Cells, Columns) ->
	["|", [[" ", string:pad(Cell, Width, Side), " |"] || {Cell, {Width, Side}} <- lists:zip(Cells, Columns)], "\n"].

rule({Width, trailing}) -> [lists:duplicate(Width + 2, $-), "|"];
rule({Width, leading}) -> [lists:duplicate(Width + 1, $-), ":|"].

commas(Digits) when length(Digits) =< 3 -> Digits;
commas(Digits) ->
	{First, Last} = lists:split(length(Digits) - 3, Digits),
	commas(First) ++ "," ++ Last.

without_zeros(Value, Decimals) ->
	Text = float_to_list(float(Value), [{decimals, Decimals}]),
	string:trim(string:trim(Text, trailing, "0"), trailing, ".").
