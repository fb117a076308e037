%% A fault of Postgres, from before it to after it.
%%
%% Whatever the fault is, the same must be true: pgmesh is linked to real nodes
%% before it, loses no link, forgets nobody and says nothing untrue during it,
%% and after it hears again and is linked to a node that comes new.
-module(survival).

-export([linked/1, linked/2, launched/2, database_url/2, database_url/3]).
-export([is_away/1, is_listening/1, error_kind/1, has_failed/2]).
-export([cannot_hear/1, cannot_hear/2, can_hear/1]).
-export([hears_again/2, ends_well/1, ends_well/2, was_true/1]).

-import(eventually, [eventually/2]).

-export_type([world/0]).

-type world() :: #{lab := lab:lab(), daemon := pgmesh:daemon(),
	beams := [beam_node:beam()], watch := status_watch:watch()}.

-define(BOUND_MS, 20000).
%% Two seconds are what pgmesh promises; a busy machine is given more.
-define(HEARS_AGAIN_MS, 10000).
%% What a daemon may take to notice that its session is closed.
-define(NOTICES_MS, 250).
-define(SHOWN, 5).

%% Nodes of both kinds, meshed, with a pgmesh that is linked to all of them and
%% is watched from now on.
-spec linked(lab:lab()) -> world().
linked(Lab) ->
	linked(Lab, #{}).

-spec linked(lab:lab(), pgmesh:options()) -> world().
linked(Lab, Options) ->
	Beams = beam_node:start_all(Lab, [
		#{name => 'a@127.0.0.1', beacon => true},
		#{name => 'z@127.0.0.1', beacon => true},
		#{name => 'ex@127.0.0.1', beacon => true, kind => elixir}]),
	_ = eventually(fun() -> links:meshed(Beams) end, ?BOUND_MS),
	Daemon = pgmesh:start(Lab, Options),
	_ = eventually(fun() -> links:complete(Lab, Daemon, Beams) end, ?BOUND_MS),
	[ok = beam_node:clear_events(Beam) || Beam <- Beams],
	watched(Lab, Daemon, Beams).

%% A pgmesh alone that may not hear anything, watched from its first answer on.
-spec launched(lab:lab(), pgmesh:options()) -> world().
launched(Lab, Options) ->
	Daemon = pgmesh:launch(Lab, Options),
	_ = eventually(fun() -> is_map(status_now(#{daemon => Daemon})) end, ?BOUND_MS),
	watched(Lab, Daemon, []).

watched(Lab, Daemon, Beams) ->
	Watch = status_watch:start(Lab, Daemon, [Name || #{name := Name} <- Beams]),
	#{lab => Lab, daemon => Daemon, beams => Beams, watch => Watch}.

%% With a host for each of the ports, in this order; the query begins with "?".
-spec database_url([inet:port_number()], string()) -> string().
database_url(Ports, Query) ->
	database_url("postgres", Ports, Query).

-spec database_url(string(), [inet:port_number()], string()) -> string().
database_url(User, Ports, Query) ->
	Hosts = lists:join($,, ["127.0.0.1:" ++ integer_to_list(Port) || Port <- Ports]),
	lists:flatten(["postgres://", User, "@", Hosts, "/postgres", Query]).

%% Conditions for eventually/2 and holds/2.

%% Between two attempts it is down (or deaf), during one it is connecting.
-spec is_away(world()) -> true | term().
is_away(World) ->
	case status_now(World) of
		#{<<"postgres">> := #{<<"state">> := <<"listening">>}} -> listening;
		#{<<"postgres">> := _} -> true;
		Other -> Other
	end.

-spec is_listening(world()) -> true | term().
is_listening(World) ->
	case status_now(World) of
		#{<<"postgres">> := #{<<"state">> := <<"listening">>}} -> true;
		Other -> Other
	end.

%% Whether its session has failed in this way by now, though it may hear again: the status
%% says so for a tenth of a second.
-spec has_failed(world(), binary()) -> boolean().
has_failed(#{daemon := Daemon}, Kind) ->
	Series = <<"pgmesh_postgres_failures_total{kind=\"", Kind/binary, "\"}">>,
	scrape:value(Daemon, Series) > 0.

%% The kind of what is wrong with Postgres now, or none.
-spec error_kind(world()) -> binary() | none | term().
error_kind(World) ->
	case status_now(World) of
		#{<<"postgres">> := #{<<"error">> := #{<<"kind">> := Kind}}} -> Kind;
		#{<<"postgres">> := #{<<"error">> := null}} -> none;
		Other -> Other
	end.

status_now(#{daemon := Daemon}) ->
	control_socket:get(Daemon, "/api/v1/status").

%% The watch: see there.

-spec cannot_hear(world()) -> ok.
cannot_hear(World) ->
	cannot_hear(World, ?NOTICES_MS).

-spec cannot_hear(world(), non_neg_integer()) -> ok.
cannot_hear(#{watch := Watch}, GraceMs) ->
	status_watch:cannot_hear(Watch, GraceMs).

-spec can_hear(world()) -> ok.
can_hear(#{watch := Watch}) ->
	status_watch:can_hear(Watch).

%% To be called when Postgres is able again: how many milliseconds it takes from
%% there. What is the event, for whoever reads the figure.
-spec hears_again(world(), io_lib:chars()) -> float().
hears_again(World, Event) ->
	Ms = eventually(fun() -> is_listening(World) end, ?HEARS_AGAIN_MS),
	ct_console:note("listening ~.1f ms after ~ts", [Ms, Event]),
	Ms.

%% The end of a case: a newcomer is linked, nobody lost a link, nothing that was
%% said was untrue.
-spec ends_well(world()) -> ok.
ends_well(#{lab := Lab} = World) ->
	ends_well(World, Lab).

%% The newcomer lives in another lab, one with another Postgres.
-spec ends_well(world(), lab:lab()) -> ok.
ends_well(#{lab := Lab, daemon := Daemon, beams := Beams} = World, NewcomersLab) ->
	Newcomer = beam_node:start(NewcomersLab, #{name => 'new@127.0.0.1', beacon => true}),
	_ = eventually(fun() -> links:complete(Lab, Daemon, [Newcomer | Beams]) end, ?BOUND_MS),
	[[] = links:lost(Beam) || Beam <- Beams],
	was_true(World).

%% The end of the watch.
-spec was_true(world()) -> ok.
was_true(#{watch := Watch}) ->
	#{untrue := Untrue, answers := Answers, slowest_ms := Slowest} = status_watch:stop(Watch),
	ct:log("asked ~b times, slowest answer ~.1f ms", [Answers, Slowest]),
	[] = lists:sublist(Untrue, ?SHOWN),
	ok.
