%% What is measured, said for a reader: the titles and units of the report's tables
%% and pictures. A metric that is not here is shown all the same, under its own name.
-module(bench_metrics).

-export([tables/0, pictures/0, describe/1]).

-export_type([table/0, picture/0, description/0]).

%% A benchmark's metrics, or those of it that were measured, whatever they are.
-type table() :: #{name := atom(), benchmark := atom(), title := string(),
	metrics := [bench_values:metric()] | {all, atom()}, ratio_to => [atom()]}.
%% Whose bars would leave no room for the others' can be left to the table.
-type picture() :: #{file := string(), title := string(), metrics := [bench_values:metric()], without => [atom()]}.
-type description() :: #{title := string(), unit := string(), better := lower | higher | neither,
	scale := number()}.

-define(MIB, 1048576).

%% Of rates and costs per operation: name, title, operation, its plural for the rate,
%% and what to multiply the rate by.
works() ->
	[{echo1, "echo, 1 in flight", "round trips/s", 1},
	{echo64, "echo, 64 in flight", "round trips/s", 1},
	{in_100b, "100 B in", "messages/s", 1},
	{in_64kib, "64 KiB in", "MiB/s", 65536 / ?MIB},
	{in_1mib, "1 MiB in", "MiB/s", 1},
	{out_100b, "100 B out", "messages/s", 1},
	{out_64kib, "64 KiB out", "MiB/s", 65536 / ?MIB},
	{out_1mib, "1 MiB out", "MiB/s", 1},
	{be_dialled, "be dialled", "links/s", 1},
	{dial_out, "dial out", "links/s", 1},
	{rpc1, "erlang:nodes(), 1 at a time", "calls/s", 1},
	{rpc64, "erlang:nodes(), 64 at a time", "calls/s", 1}].

work_metrics(Suffix) ->
	[{links, list_to_atom(atom_to_list(Name) ++ Suffix)} || {Name, _, _, _} <- works()].

-spec tables() -> [table()].
tables() ->
	[#{name => links_cpu, benchmark => links, title => "links: CPU of the target for each operation",
		metrics => work_metrics("_cpu"), ratio_to => [ei, beam]},
	#{name => links_program, benchmark => links, title => "links: of that in the program itself",
		metrics => [{links, Metric} || Metric <- [echo1_program, in_64kib_program, in_1mib_program, be_dialled_program,
			dial_out_program, rpc1_program]],
		ratio_to => [ei, beam]},
	#{name => links_rates, benchmark => links, title => "links: rates of target and BEAM together",
		metrics => work_metrics(""), ratio_to => [ei, beam]},
	#{name => links_failed, benchmark => links, title => "links: dials that failed",
		metrics => [{links, be_dialled_failed}, {links, dial_out_failed}]},
	#{name => links_busy, benchmark => links, title => "links: share of the asked BEAM's schedulers that was at work",
		metrics => [{links, rpc1_driver_busy}, {links, rpc64_driver_busy}]},
	#{name => links_cores, benchmark => links, title => "links: share of the machine's cores that was at work",
		metrics => [{links, Metric} || Metric <- [echo1_cores_busy, echo64_cores_busy, rpc1_cores_busy, rpc64_cores_busy]]},
	#{name => cli, benchmark => cli, title => "cli: one call from the command line",
		metrics => [{cli, wall}, {cli, cpu}, {cli, faults}, {cli, memory}], ratio_to => [erl_call]},
	#{name => memory, benchmark => memory, title => "memory: resident", metrics => {all, memory}, ratio_to => [beam]},
	#{name => memory_own, benchmark => memory, title => "memory: without pages of files", metrics => {all, memory_own}},
	#{name => memory_parts, benchmark => memory, title => "memory: what it is, with no node linked",
		metrics => [{memory_parts, Part} || Part <- [own, program, openssl, libraries]]},
	#{name => memory_peak, benchmark => memory, title => "memory: its peak", metrics => {all, memory_peak}},
	#{name => idle, benchmark => idle, title => "idle: CPU in a minute with 50 links",
		metrics => {all, idle}, ratio_to => [beam]},
	#{name => start, benchmark => start, title => "start", metrics => {all, start}, ratio_to => [beam]},
	#{name => join, benchmark => join, title => "join: from a node's first NOTIFY to the link",
		metrics => {all, join}, ratio_to => [beam]},
	#{name => crowd, benchmark => crowd, title => "crowd: one daemon and 1,000 nodes", metrics => {all, crowd}},
	#{name => epmd, benchmark => epmd, title => "epmd: beside OTP's", metrics => {all, epmd}, ratio_to => [otp]},
	#{name => parts, benchmark => parts, title => "parts", metrics => {all, parts}},
	#{name => simulator, benchmark => simulator, title => "simulator: 1,000 nodes on 100 hosts",
		metrics => {all, simulator}}].

-spec pictures() -> [picture()].
pictures() ->
	[#{file => "links-cpu.svg", title => "CPU time of the target for each operation (less is better)",
		metrics => work_metrics("_cpu")},
	#{file => "links-rates.svg", title => "Rates of target and BEAM together (more is better)",
		metrics => work_metrics("")},
	#{file => "cli.svg", title => "One call from the command line (less is better)",
		metrics => [{cli, wall}, {cli, cpu}], without => [erl, elixir]},
	#{file => "memory.svg", title => "Resident memory (less is better)",
		metrics => [{memory, links_0}, {memory, links_3}, {memory, links_50}, {memory, links_1000}]},
	#{file => "start.svg", title => "From the start of the program, and from a NOTIFY (less is better)",
		metrics => [{start, registered_ms}, {join, linked_ms}]}].

-spec describe(bench_values:metric()) -> description().
describe({links, Metric}) -> describe_work(atom_to_list(Metric));
describe({cli, wall}) -> lower("from start to end", "ms");
describe({cli, cpu}) -> lower("CPU", "ms");
describe({cli, faults}) -> lower("mapped on first use", "pages");
describe({memory_parts, own}) -> lower("made by the program", "MB");
describe({memory_parts, program}) -> lower("the program's file", "MB");
describe({memory_parts, openssl}) -> lower("libssl and libcrypto", "MB");
describe({memory_parts, libraries}) -> lower("other libraries", "MB");
describe({cli, memory}) -> lower("memory at its peak", "MB");
describe({memory, links_0}) -> lower("no node linked", "MB");
describe({memory, Metric}) -> lower(links(Metric), "MB");
describe({memory_own, Metric}) -> describe({memory, Metric});
describe({memory_peak, Metric}) -> describe({memory, Metric});
describe({idle, cpu_ms}) -> lower("all on", "ms");
describe({idle, announcements_ms}) -> lower("… of that announcements", "ms");
describe({idle, audits_ms}) -> lower("… of that audits", "ms");
describe({idle, epmd_questions_ms}) -> lower("… of that questions to EPMD", "ms");
describe({idle, postgres_session_ms}) -> lower("… of that the session with Postgres", "ms");
describe({idle, ticks_ms}) -> lower("… of that ticks", "ms");
describe({start, registered_ms}) -> lower("start of the program to its name in EPMD", "ms");
describe({start, any_program_ms}) -> lower("what any program takes to be started and to end", "ms");
describe({start, meshed_ms}) -> lower("start to being in a mesh of 5, all on its host", "ms");
describe({start, meshed_with_other_host_ms}) -> lower("start to being in a mesh of 5, the others elsewhere", "ms");
describe({join, linked_ms}) -> lower("a node's first NOTIFY to the link", "ms");
describe({crowd, all_linked_ms}) -> lower("all linked, from their NOTIFY", "ms");
describe({crowd, all_linked_cpu_ms}) -> lower("… CPU for that", "ms");
describe({crowd, all_audited_ms}) -> lower("all audited", "ms");
describe({crowd, all_audited_cpu_ms}) -> lower("… CPU for that", "ms");
describe({parts, Part}) -> lower(atom_to_list(Part), "ns");
describe({_, Metric}) -> named(string:split(atom_to_list(Metric), ", ")).

%% Whoever measures may put the unit after the name: `lookups held, per_s`.
named([Name | Unit]) ->
	#{title => spelt(Name), unit => spelt(lists:append(Unit)), better => neither, scale => 1}.

links(Metric) ->
	"links_" ++ Number = atom_to_list(Metric),
	bench_text:number(list_to_integer(Number)) ++ " nodes linked".

describe_work(Metric) ->
	[Description | _] = [as_measured(Suffix, Work) || Suffix <- ["", "_cpu", "_program", "_failed", "_driver_busy", "_cores_busy"],
		{Name, _, _, _} = Work <- works(), atom_to_list(Name) ++ Suffix =:= Metric],
	Description.

as_measured("", {_, Title, Unit, Scale}) -> #{title => Title, unit => Unit, better => higher, scale => Scale};
as_measured("_cpu", {_, Title, _, _}) -> lower(Title, "µs");
as_measured("_program", {_, Title, _, _}) -> lower(Title, "µs");
as_measured("_failed", {_, Title, _, _}) -> lower(Title, "in a round");
as_measured("_driver_busy", Work) -> share(Work);
as_measured("_cores_busy", Work) -> share(Work).

share({_, Title, _, _}) ->
	#{title => Title, unit => "%", better => neither, scale => 100}.

lower(Title, Unit) ->
	#{title => Title, unit => Unit, better => lower, scale => 1}.

spelt(Name) ->
	lists:flatten(string:replace(Name, "_", " ", all)).
