%% The CPU time of other programs, to the nanosecond: see tools/cpu_clock.c, which
%% lies compiled beside the compiled modules.
-module(cpu_clock).

-export([start/0, us/2]).

-export_type([clock/0]).

-opaque clock() :: port().

-define(ANSWER_MS, 5000).

%% It ends with the process that has started it.
-spec start() -> clock().
start() ->
	Program = filename:join(filename:dirname(code:which(?MODULE)), "cpu_clock"),
	open_port({spawn_executable, Program}, [{line, 64}]).

%% What the program with this process id has used until now, all its threads together.
-spec us(clock(), pos_integer()) -> float().
us(Clock, OsPid) ->
	true = port_command(Clock, [integer_to_list(OsPid), $\n]),
	receive
		{Clock, {data, {eol, "-1"}}} -> error({no_such_program, OsPid});
		{Clock, {data, {eol, Ns}}} -> list_to_integer(Ns) / 1000
	after ?ANSWER_MS ->
		error(clock_is_silent)
	end.
