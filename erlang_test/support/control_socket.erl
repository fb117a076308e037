%% Asks a daemon over its control socket, as the pgmesh commands do.
%%
%% A command is a process of its own each time: fine for a test that looks now
%% and then, too heavy for one that looks twenty times a second for minutes.
-module(control_socket).

-export([get/2, ask/2, post/3]).

%% The JSON of a path, such as "/api/v1/status".
-spec get(pgmesh:daemon(), string()) -> json_text:json() | {no_answer, http_client:answer()}.
get(Daemon, Path) ->
	case ask(Daemon, Path) of
		{200, Json} -> Json;
		Other -> {no_answer, Other}
	end.

%% Whatever it answers, such as `{503, <<"not ready: ...">>}` for "/readyz".
-spec ask(pgmesh:daemon(), string()) -> http_client:answer().
ask(#{socket := Socket}, Path) ->
	http_client:request({{local, Socket}, 0}, "GET", Path, #{}).

%% What changes the mesh.
-spec post(pgmesh:daemon(), string(), #{atom() => binary() | number()}) -> http_client:answer().
post(#{socket := Socket}, Path, Object) ->
	http_client:request({{local, Socket}, 0}, "POST", Path, Object).
