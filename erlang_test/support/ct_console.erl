%% Tells a person who reads a terminal or a CI log how the suites go.
%%
%% Common Test explains itself in HTML. Here each case is one line with its
%% duration, a failed one is followed by its reason and the ends of its logs,
%% and measured times (note/2) stand below the case that took them. All of it
%% goes to standard error; Common Test's own chatter is on standard output.
-module(ct_console).
-behaviour(gen_event).

-export([main/1, note/2, show_logs/1]).
-export([init/1, handle_event/2, handle_call/2]).

-include_lib("common_test/include/ct_event.hrl").

-define(LOG_TAIL_BYTES, 1500).

%% Runs the compiled suites of a directory and ends the VM; the exit code is 0
%% only if some cases ran and all of them passed.
-spec main([string()]) -> no_return().
main([Directory, LogDirectory | Suites]) ->
	Result = ct:run_test([{dir, Directory}, {suite, [list_to_atom(S) || S <- Suites]},
		{logdir, LogDirectory}, {auto_compile, false}, {create_priv_dir, auto_per_tc},
		{event_handler, ?MODULE}]),
	{Passed, Failed} = counts(Result),
	say("erlang_test: ~b passed, ~b failed~n", [Passed, Failed]),
	halt(exit_code(Passed, Failed)).

%% A measured figure, in the case's own log too.
-spec note(io:format(), [term()]) -> ok.
note(Format, Args) ->
	ct:log(Format, Args),
	say("        " ++ Format ++ "~n", Args).

%% The ends of all logs that a case left.
-spec show_logs(file:filename()) -> ok.
show_logs(Directory) ->
	lists:foreach(fun show_log/1, lists:sort(filelib:wildcard(filename:join(Directory, "*.log")))).

%% gen_event.

init(_) ->
	{ok, #{}}.

handle_event(#event{name = tc_start, data = {_, Case}}, Started) ->
	{ok, Started#{Case => erlang:monotonic_time(millisecond)}};
handle_event(#event{name = tc_done, data = {Suite, Case, Result}}, Started) ->
	report(Suite, Case, Result, milliseconds_since(Case, Started)),
	{ok, Started};
handle_event(#event{name = Skip, data = {Suite, Case, Reason}}, Started)
		when Skip =:= tc_auto_skip; Skip =:= tc_user_skip ->
	say("SKIP  ~s: ~s~n~s~n", [Suite, case_name(Case), indented(Reason)]),
	{ok, Started};
handle_event(_, Started) ->
	{ok, Started}.

handle_call(_Request, Started) ->
	{ok, ok, Started}.

%% Helpers.

milliseconds_since(Case, Started) ->
	Now = erlang:monotonic_time(millisecond),
	Now - maps:get(Case, Started, Now).

report(_, Config, ok, _) when Config =:= init_per_suite; Config =:= end_per_suite ->
	ok;
report(_, {Config, _Group, _}, ok, _) when Config =:= init_per_group; Config =:= end_per_group ->
	ok;
report(Suite, Case, ok, Ms) ->
	say("ok    ~s: ~s (~.1f s)~n", [Suite, case_name(Case), Ms / 1000]);
report(Suite, Case, Result, Ms) ->
	say("FAIL  ~s: ~s (~.1f s)~n~s~n", [Suite, case_name(Case), Ms / 1000, indented(Result)]).

case_name(Case) when is_atom(Case) -> atom_to_list(Case);
case_name(Case) -> io_lib:format("~0p", [Case]).

indented(Term) ->
	Text = unicode:characters_to_list(io_lib:format("~tP", [Term, 60])),
	lists:join("\n", ["      " ++ Line || Line <- string:split(Text, "\n", all)]).

show_log(File) ->
	{ok, Content} = file:read_file(File),
	show_tail(filename:basename(File), Content).

show_tail(_, <<>>) ->
	ok;
show_tail(Name, Content) ->
	Size = min(byte_size(Content), ?LOG_TAIL_BYTES),
	Tail = binary:part(Content, byte_size(Content), -Size),
	say("----- end of ~ts~n~s~n", [Name, Tail]).

say(Format, Args) ->
	io:format(standard_error, Format, Args).

%% A skipped case was not run, whatever the reason: that is no success.
counts({Passed, Failed, {UserSkipped, AutoSkipped}}) ->
	{Passed, Failed + UserSkipped + AutoSkipped};
counts(Error) ->
	say("common test: ~tp~n", [Error]),
	{0, 1}.

exit_code(Passed, 0) when Passed > 0 -> 0;
exit_code(_, _) -> 1.
