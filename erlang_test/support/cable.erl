%% Pulls a host's cable, or makes it a bad one.
%%
%% By netfilter, in the network namespace of the host's container, which is why the
%% tests that use it need root. What is done to a host is undone by mend/1.
-module(cable).

-export([cut/1, deafen/1, worsen/3, was_bad/1, hide_dns/1, mend/1]).

-define(ALL, ["-i", "eth0"]).
-define(SLOW_MS, 10000).
%% Where the engine answers for all containers.
-define(DNS, "127.0.0.11").

%% Nothing comes and nothing goes.
-spec cut(lab:lab()) -> ok.
cut(Host) ->
	ok = drop(Host, ["INPUT" | ?ALL]),
	drop(Host, ["OUTPUT", "-o", "eth0"]).

%% Nothing comes any more; what it sends arrives.
-spec deafen(lab:lab()) -> ok.
deafen(Host) ->
	drop(Host, ["INPUT" | ?ALL]).

%% What comes is lost with that probability, and what goes is that late.
-spec worsen(lab:lab(), float(), pos_integer()) -> ok.
worsen(Host, Probability, DelayMs) ->
	ok = delay(Host, DelayMs),
	drop(Host, ["INPUT"] ++ ?ALL ++ ["-m", "statistic", "--mode", "random",
		"--probability", float_to_list(Probability, [{decimals, 2}])]).

%% Were packets really lost and held back? To be asked before mend/1.
-spec was_bad(lab:lab()) -> true | [pos_integer()].
was_bad(Host) ->
	Lines = string:lexemes(run_iptables(Host, ["--verbose", "--numeric", "--exact", "--list"]), "\n"),
	Packets = [list_to_integer(hd(string:lexemes(Line, " "))) || Line <- Lines,
		Target <- ["DROP", "NFQUEUE"], string:find(Line, Target) =/= nomatch],
	(length(Packets) =:= 2 andalso lists:min(Packets) > 0) orelse Packets.

%% Names are not found any more.
-spec hide_dns(lab:lab()) -> ok.
hide_dns(Host) ->
	drop(Host, ["OUTPUT", "-d", ?DNS]).

-spec mend(lab:lab()) -> ok.
mend(Host) ->
	iptables(Host, ["--flush"]).

%% Helpers.

drop(Host, Rule) ->
	iptables(Host, ["--append"] ++ Rule ++ ["--jump", "DROP"]).

%% slow_line holds them back; until it does, they would be lost.
delay(#{container := Container, directory := Directory} = Host, DelayMs) ->
	Output = filename:join(Directory, "slow_line"),
	{Program, Args} = container:in_its_network(Container, [slow_line(), integer_to_list(DelayMs)]),
	_ = lab:start(Host, {os_process, start_link, [#{program => Program, args => Args, directory => Directory,
		stdout => Output, stderr => Output}]}),
	_ = eventually:eventually(fun() -> says_that_it_holds(Output) end, ?SLOW_MS),
	iptables(Host, ["--append", "OUTPUT", "-o", "eth0", "--jump", "NFQUEUE", "--queue-num", "1"]).

says_that_it_holds(Output) ->
	{ok, Said} = file:read_file(Output),
	re:run(Said, "^holding") =/= nomatch orelse Said.

slow_line() ->
	case os:getenv("SLOW_LINE") of
		false -> error("SLOW_LINE is not set: it names the program slow_line of crates/testkit");
		Program -> Program
	end.

iptables(Host, Args) ->
	"" = run_iptables(Host, Args),
	ok.

run_iptables(#{container := Container}, Args) ->
	{Program, InNetwork} = container:in_its_network(Container, ["iptables-legacy" | Args]),
	docker:run_program(Program, InNetwork).
