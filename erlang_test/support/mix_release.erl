%% A release, built as people build theirs, and the commands of its script.
%%
%% It is built on first use, once in a run and with each OTP that is to run it, from a
%% copy of release_app; the modules that steer a node are compiled into it, since a
%% release in embedded mode loads nothing later.
-module(mix_release).

-export([build/0, build_in/1, program/1, environment/3]).
-export([launch/3, command/3]).

-define(COMMAND_MS, 30000).
-define(MODULES, [link_recorder, node_agent, node_view, own_epmd]).

%% For init_per_suite; prints what `mix` said if it fails.
-spec build() -> ok.
build() ->
	Directory = directory(#{}),
	ok = copy_modules(Directory),
	Port = open_port({spawn_executable, os:find_executable("mix")}, [{args, ["release", "--overwrite"]},
		{cd, Directory}, {env, [{"MIX_ENV", "prod"}, {"HOME", Directory}]}, exit_status, stderr_to_stdout, binary]),
	await_build(Port, <<>>).

%% The same with the OTP of a container's host.
-spec build_in(lab:lab()) -> ok.
build_in(#{container := Container, release_directory := Directory}) ->
	case filelib:is_file(script(Directory)) of
		true ->
			ok;
		false ->
			"" = os:cmd(lists:flatten(io_lib:format("cp -r '~s' '~s' 2>&1", [directory(#{}), Directory]))),
			ok = copy_modules(Directory),
			Build = "cd " ++ Directory ++ " && HOME=$PWD MIX_ENV=prod mix release --overwrite",
			ct:log("~ts", [container:exec(Container, ["sh", "-c", Build])])
	end.

%% The release's script.
-spec program(lab:lab()) -> string().
program(Lab) ->
	script(directory(Lab)).

%% What the script wants to know about this node; the flags are for the emulator.
-spec environment(lab:lab(), node(), [string()]) -> [{string(), string()}].
environment(#{cookie := Cookie, directory := Directory}, Name, Flags) ->
	[{"RELEASE_DISTRIBUTION", "name"}, {"RELEASE_NODE", atom_to_list(Name)}, {"RELEASE_COOKIE", Cookie},
		{"RELEASE_TMP", Directory}, {"ELIXIR_ERL_OPTIONS", lists:flatten(lists:join(" ", Flags))}].

%% Starts a command of the script for a node that runs, such as ["rpc", Expression].
-spec launch(lab:lab(), beam_node:beam(), [string()]) -> pid().
launch(#{directory := Directory} = Lab, #{name := Name} = Beam, Args) ->
	Log = lab:log_file(Lab, "command-" ++ atom_to_list(Name)),
	lab:start(Lab, {os_process, start_link, [lab:placed(Lab, #{program => program(Lab), args => Args,
		directory => Directory, stdout => Log, stderr => Log, env => beam_node:environment(Lab, Beam)})]}).

%% The same, until it ends: its exit code.
-spec command(lab:lab(), beam_node:beam(), [string()]) -> running | non_neg_integer().
command(Lab, Beam, Args) ->
	os_process:await_exit(launch(Lab, Beam, Args), ?COMMAND_MS).

%% Helpers.

%% The copy that `run` made, or a container's own.
directory(#{release_directory := Directory}) -> Directory;
directory(_) -> filename:join(os:getenv("ERLANG_TEST_SCRATCH"), "release_app").

script(Directory) ->
	filename:join([Directory, "_build", "prod", "rel", "served", "bin", "served"]).

copy_modules(Directory) ->
	ok = filelib:ensure_dir(filename:join([Directory, "src", "any"])),
	lists:foreach(fun(Module) ->
		Target = filename:join([Directory, "src", filename:basename(source(Module))]),
		{ok, _} = file:copy(source(Module), Target)
	end, ?MODULES).

source(Module) ->
	proplists:get_value(source, Module:module_info(compile)).

await_build(Port, Output) ->
	receive
		{Port, {data, Data}} -> await_build(Port, <<Output/binary, Data/binary>>);
		{Port, {exit_status, 0}} -> ok;
		{Port, {exit_status, Status}} -> error({mix_release_failed, Status, Output})
	end.
