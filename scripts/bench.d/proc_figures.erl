%% What the kernel says of a program: its memory, and the CPU that it has used.
-module(proc_figures).

-export([resident_mb/1, peak_mb/1, own_mb/1, cpu_us/1]).

-spec resident_mb(pos_integer()) -> float().
resident_mb(OsPid) ->
	status_mb("VmRSS", OsPid).

-spec peak_mb(pos_integer()) -> float().
peak_mb(OsPid) ->
	status_mb("VmHWM", OsPid).

%% What of that is no page of a file: what the program has made itself, and shares with
%% nobody.
-spec own_mb(pos_integer()) -> float().
own_mb(OsPid) ->
	status_mb("RssAnon", OsPid).

%% Of all its threads that still live. To the nanosecond, where the counters that
%% top shows have steps of ten milliseconds.
-spec cpu_us(pos_integer()) -> float().
cpu_us(OsPid) ->
	Files = filelib:wildcard(lists:concat(["/proc/", OsPid, "/task/*/schedstat"])),
	lists:sum([run_ns(File) || File <- Files]) / 1000.

%% A thread may have ended since it was listed.
run_ns(File) ->
	case file:read_file(File) of
		{ok, Content} ->
			[OnCpu | _] = binary:split(Content, <<" ">>),
			binary_to_integer(OnCpu);
		{error, _} ->
			0
	end.

status_mb(Field, OsPid) ->
	{ok, Status} = file:read_file(lists:concat(["/proc/", OsPid, "/status"])),
	{match, [Kilobytes]} = re:run(Status, Field ++ ":\\s+(\\d+) kB", [{capture, all_but_first, binary}]),
	binary_to_integer(Kilobytes) * 1024 / 1.0e6.
