%% The Docker engine, by its own command, and others like it.
-module(docker).

-export([run/1, run_program/2]).

%% What `docker ARGS` prints, without the end of the last line; fails if it fails.
-spec run([string()]) -> string().
run(Args) ->
	run_program("docker", Args).

-spec run_program(string(), [string()]) -> string().
run_program(Program, Args) ->
	Port = open_port({spawn_executable, os:find_executable(Program)},
		[{args, Args}, exit_status, stderr_to_stdout, binary]),
	string:trim(binary_to_list(await(Port, [Program | Args], <<>>)), trailing, "\n").

await(Port, Args, Output) ->
	receive
		{Port, {data, Data}} -> await(Port, Args, <<Output/binary, Data/binary>>);
		{Port, {exit_status, 0}} -> Output;
		{Port, {exit_status, Status}} -> error({failed, Status, Args, Output})
	end.
