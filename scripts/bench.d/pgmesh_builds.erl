%% What of pgmesh is measured: the static binary and, where the two differ, beside it that
%% of the Debian package, which shares libraries with other programs.
-module(pgmesh_builds).

-export([all/0]).

%% Without the second where the caller of scripts/bench has named the first.
-spec all() -> [{pgmesh | pgmesh_shared, file:filename()}].
all() ->
	[{pgmesh, os:getenv("PGMESH_BIN")} | [{pgmesh_shared, Shared} || Shared <- [os:getenv("BENCH_SHARED")], Shared =/= false]].
