%% A release, built as people build theirs, and the commands of its script.
%%
%% It is built on first use, once in a run, from a copy of release_app; the
%% modules that steer a node are compiled into it, since a release in embedded
%% mode loads nothing later.
-module(mix_release).

-export([build/0, program/0, environment/3]).
-export([launch/3, command/3]).

-define(COMMAND_MS, 30000).
-define(MODULES, [link_recorder, node_agent, node_view, own_epmd]).

%% For init_per_suite; prints what `mix` said if it fails.
-spec build() -> ok.
build() ->
	Directory = directory(),
	ok = filelib:ensure_dir(filename:join([Directory, "src", "any"])),
	[{ok, _} = file:copy(source(Module), filename:join([Directory, "src", filename:basename(source(Module))]))
		|| Module <- ?MODULES],
	Port = open_port({spawn_executable, os:find_executable("mix")}, [{args, ["release", "--overwrite"]},
		{cd, Directory}, {env, [{"MIX_ENV", "prod"}, {"HOME", Directory}]}, exit_status, stderr_to_stdout, binary]),
	await_build(Port, <<>>).

%% The release's script.
-spec program() -> string().
program() ->
	filename:join([directory(), "_build", "prod", "rel", "served", "bin", "served"]).

%% What the script wants to know about this node; the flags are for the emulator.
-spec environment(lab:lab(), node(), [string()]) -> [{string(), string()}].
environment(#{cookie := Cookie, directory := Directory}, Name, Flags) ->
	[{"RELEASE_DISTRIBUTION", "name"}, {"RELEASE_NODE", atom_to_list(Name)}, {"RELEASE_COOKIE", Cookie},
		{"RELEASE_TMP", Directory}, {"ELIXIR_ERL_OPTIONS", lists:flatten(lists:join(" ", Flags))}].

%% Starts a command of the script for a node that runs, such as ["rpc", Expression].
-spec launch(lab:lab(), beam_node:beam(), [string()]) -> pid().
launch(#{directory := Directory} = Lab, #{name := Name} = Beam, Args) ->
	Log = lab:log_file(Lab, "command-" ++ atom_to_list(Name)),
	lab:start(Lab, {os_process, start_link, [#{program => program(), args => Args, directory => Directory,
		stdout => Log, stderr => Log, env => beam_node:environment(Lab, Beam)}]}).

%% The same, until it ends: its exit code.
-spec command(lab:lab(), beam_node:beam(), [string()]) -> running | non_neg_integer().
command(Lab, Beam, Args) ->
	os_process:await_exit(launch(Lab, Beam, Args), ?COMMAND_MS).

%% Helpers.

%% The copy that `run` made.
directory() ->
	filename:join(os:getenv("ERLANG_TEST_SCRATCH"), "release_app").

source(Module) ->
	proplists:get_value(source, Module:module_info(compile)).

await_build(Port, Output) ->
	receive
		{Port, {data, Data}} -> await_build(Port, <<Output/binary, Data/binary>>);
		{Port, {exit_status, 0}} -> ok;
		{Port, {exit_status, Status}} -> error({mix_release_failed, Status, Output})
	end.
