%% The releases that the suites between hosts run on, each a group of its own.
%%
%% They are named as the Debian releases that carry them; HOST_RELEASES says which.
-module(otp_releases).

-export([releases/0, all/0, groups/1, enter/2, from/1]).
-export([host/1, host/2, name/2, address/1]).

-type release() :: string().

-spec releases() -> [release()].
releases() ->
	string:lexemes(os:getenv("HOST_RELEASES"), " ").

%% For all/0 of a suite.
-spec all() -> [{group, atom()}].
all() ->
	[{group, list_to_atom(Release)} || Release <- releases()].

%% For groups/0: which cases a release has.
-spec groups(fun((release()) -> [atom()])) -> [tuple()].
groups(Cases) ->
	[{list_to_atom(Release), [], Cases(Release)} || Release <- releases()].

%% For init_per_group.
-spec enter(atom(), [{atom(), term()}]) -> [{atom(), term()}].
enter(Group, Config) ->
	[{release, atom_to_list(Group)} | Config].

%% For a test case: the release of its group.
-spec from([{atom(), term()}]) -> release().
from(Config) ->
	proplists:get_value(release, Config).

%% A host of the case's release, with OTP's own EPMD.
-spec host([{atom(), term()}]) -> lab:lab().
host(Config) ->
	host(lab:from(Config), from(Config)).

-spec host(map(), release()) -> lab:lab().
host(Lab, Release) ->
	Host = container_host:open(Lab, Release),
	_ = container_host:start_epmd(Host),
	Host.

%% The full name of a node on this host.
-spec name(string(), lab:lab()) -> node().
name(Alive, Host) ->
	list_to_atom(Alive ++ "@" ++ address(Host)).

-spec address(lab:lab()) -> string().
address(#{container := Container}) ->
	container:address(Container).
