%% Takes what `cargo bench` has measured of parts into the values: the medians that
%% criterion leaves in files.
-module(bench_parts).

-export([main/1]).

%% CRITERION STAMP: only files that are newer than the stamp.
-spec main([string()]) -> no_return().
main([Criterion, Stamp]) ->
	Since = filelib:last_modified(Stamp),
	_ = [note(Criterion, File) || File <- lists:sort(filelib:wildcard(Criterion ++ "/**/new/estimates.json")),
		filelib:last_modified(File) >= Since],
	halt(0).

note(Criterion, File) ->
	{ok, Text} = file:read_file(File),
	#{<<"median">> := #{<<"point_estimate">> := Ns}} = json_text:decode(Text),
	bench_results:note(parts, part(Criterion, File), pgmesh, Ns).

%% Criterion's folders are named after group, function and parameter.
part(Criterion, File) ->
	Folder = filename:dirname(filename:dirname(File)),
	list_to_atom(string:trim(string:prefix(Folder, Criterion), leading, "/")).
