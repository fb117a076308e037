%% Runs servers that refuse to run as root.
%%
%% Root runs them as the user postgres; anybody else runs them as himself.
-module(unprivileged).

-export([command/1, other_user/1, give/1]).

%% A program with its arguments, as it has to be started. A change of user undoes
%% the leash's pdeathsig, hence it is said once more.
-spec command([string()]) -> {string(), [string()]}.
command([Program | Args]) ->
	case is_root() of
		true -> {"setpriv", ["--reuid", "postgres", "--regid", "postgres", "--init-groups",
			"--pdeathsig", "QUIT", "--", Program | Args]};
		false -> {Program, Args}
	end.

%% The same as somebody who is not us, whoever we are.
-spec other_user([string()]) -> {string(), [string()]}.
other_user(Command) ->
	case is_root() of
		true -> command(Command);
		false -> {"sudo", ["-n", "-u", "nobody", "--" | Command]}
	end.

%% Makes a file or directory theirs.
-spec give(file:filename()) -> ok | {error, term()}.
give(Path) ->
	case is_root() of
		true -> file:change_owner(Path, id_of_postgres("-u"), id_of_postgres("-g"));
		false -> ok
	end.

is_root() ->
	string:trim(os:cmd("id -u")) =:= "0".

id_of_postgres(Which) ->
	list_to_integer(string:trim(os:cmd("id " ++ Which ++ " postgres"))).
