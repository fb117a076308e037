%% What the figures are of: the machine, and what runs on it. Noted before anything
%% is measured.
-module(bench_machine).

-export([main/0, facts/0]).

-spec main() -> no_return().
main() ->
	Noted = [{Key, find(Key)} || {Key, _} <- facts()],
	[ok = bench_results:fact(Key, Text) || {Key, Text} <- Noted],
	[io:format("~-10s ~ts~n", [Key, Text]) || {Key, Text} <- Noted],
	halt(0).

%% And their titles, in the order of the table.
-spec facts() -> [{atom(), string()}].
facts() ->
	[{processor, "processor"}, {memory, "memory"}, {system, "system"}, {otp, "Erlang/OTP"}, {elixir, "Elixir"},
		{java, "Java"}, {postgres, "Postgres"}, {rust, "Rust"}, {pgmesh, "pgmesh"}, {date, "measured"},
		{load, "load before (1, 5 and 15 minutes)"}].

find(processor) ->
	said("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1") ++ ", "
		++ said("nproc") ++ " cores";
find(memory) ->
	said("awk '/^MemTotal/ {printf \"%.1f GB\", $2 * 1024 / 1e9}' /proc/meminfo");
find(system) ->
	said(". /etc/os-release && echo \"$PRETTY_NAME\"") ++ ", Linux " ++ said("uname -r");
find(otp) ->
	otp_release() ++ ", erts " ++ erlang:system_info(version);
find(elixir) ->
	said("elixir --short-version 2>/dev/null");
find(java) ->
	said("java -version 2>&1 | sed -n '1s/.*\"\\(.*\\)\".*/\\1/p'");
find(postgres) ->
	said("$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV | head -n 1)/postgres --version | sed 's/.*PostgreSQL) //'");
find(rust) ->
	said("rustc --version");
find(pgmesh) ->
	said("cargo pkgid -p pgmesh | sed 's/.*[#@]//'");
find(date) ->
	said("date -u +%Y-%m-%d");
find(load) ->
	said("cut -d ' ' -f 1-3 /proc/loadavg").

otp_release() ->
	File = filename:join([code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"]),
	case file:read_file(File) of
		{ok, Version} -> string:trim(binary_to_list(Version));
		{error, _} -> erlang:system_info(otp_release)
	end.

said(Command) ->
	string:trim(os:cmd(Command)).
