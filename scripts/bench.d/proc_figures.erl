%% What the kernel says of a program: its memory, and the CPU that it has used.
-module(proc_figures).

-export([resident_mb/1, peak_mb/1, own_mb/1, of_files_mb/1, cpu_us/1, cpu_ticks/1, core_ticks/0]).

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

%% How much of each file is resident in it.
-spec of_files_mb(pos_integer()) -> #{string() => float()}.
of_files_mb(OsPid) ->
	{ok, Maps} = file:read_file(lists:concat(["/proc/", OsPid, "/smaps"])),
	{_, Files} = lists:foldl(fun mapping/2, {none, #{}}, binary:split(Maps, <<"\n">>, [global])),
	Files.

%% A mapping begins with its addresses, and ends with its file if it is of one. What is
%% resident and what of that is no page of the file come behind, each on a line of its own.
mapping(Line, {File, Files}) ->
	case string:lexemes(binary_to_list(Line), " ") of
		[_, _, _, _, _, Path | _] when hd(Path) =:= $/ -> {Path, Files};
		["Rss:", Kilobytes, "kB"] -> {File, add(File, list_to_integer(Kilobytes), Files)};
		["Anonymous:", Kilobytes, "kB"] -> {File, add(File, -list_to_integer(Kilobytes), Files)};
		[Addresses | _] -> {stays(File, Addresses), Files};
		[] -> {File, Files}
	end.

stays(File, Word) ->
	case lists:last(Word) of
		$: -> File;
		_ -> none
	end.

add(none, _, Files) ->
	Files;
add(File, Kilobytes, Files) ->
	Megabytes = Kilobytes * 1024 / 1.0e6,
	maps:update_with(File, fun(Others) -> Others + Megabytes end, Megabytes, Files).

%% In the program and in the kernel, threads that have ended included. Steps of ten
%% milliseconds: good for the ratio of both.
-spec cpu_ticks(pos_integer()) -> {User :: non_neg_integer(), System :: non_neg_integer()}.
cpu_ticks(OsPid) ->
	{ok, Stat} = file:read_file(lists:concat(["/proc/", OsPid, "/stat"])),
	[_, Behind] = string:split(Stat, ") ", trailing),
	Fields = string:lexemes(binary_to_list(Behind), " "),
	{list_to_integer(lists:nth(12, Fields)), list_to_integer(lists:nth(13, Fields))}.

%% Of all the machine's cores: at work, and in all.
-spec core_ticks() -> {Active :: non_neg_integer(), Total :: non_neg_integer()}.
core_ticks() ->
	{ok, Stat} = file:read_file("/proc/stat"),
	[Line | _] = string:lexemes(binary_to_list(Stat), "\n"),
	["cpu" | Fields] = string:lexemes(Line, " "),
	%% User, nice, system, idle, waiting for disks, interrupts of two kinds, taken by other
	%% guests; what virtual machines took is in the first two already.
	Ticks = [list_to_integer(Field) || Field <- lists:sublist(Fields, 8)],
	Total = lists:sum(Ticks),
	{Total - lists:nth(4, Ticks) - lists:nth(5, Ticks), Total}.

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
