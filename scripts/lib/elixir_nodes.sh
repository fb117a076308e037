# shellcheck shell=bash
# Elixir nodes of our own, each on the address in its name. Needs scratch.sh and
# $COOKIE; those that say their names also erlang_code.sh, $CHANNEL and $POSTGRES_PORT.

# Sets BEACON_EBIN: what makes a node say its name.
elixir_nodes_init() {
	BEACON_EBIN=$SCRATCH/ebin
	compile_erlang "$BEACON_EBIN" erlang_test/peer/*.erl
}

# start_beacon NODE: a node that says its name on the channel and connects to
# whomever it hears, as libcluster_postgres does. Sets SCRATCH_PID.
start_beacon() {
	start_elixir "$1" PGPORT="$POSTGRES_PORT" BEACON_CHANNEL="$CHANNEL" \
		"${ELIXIR[@]}" -pa "$BEACON_EBIN" -e ':pg_beacon.start_from_env()'
}

# start_plain NODE [OPTION...]: a node that neither says anything nor knows anybody;
# options are those of elixir.
start_plain() {
	start_elixir "$1" "${ELIXIR[@]}" "${@:2}"
}

ELIXIR=(elixir --no-halt --erl "-start_epmd false +sbwt none")

# HOME: a node reads, and may write, the cookie there.
start_elixir() {
	local node=$1 address=${1#*@}
	shift
	scratch_start "$node" KILL env HOME="$SCRATCH" "$@" --name "$node" --cookie "$COOKIE" \
		--erl "-kernel inet_dist_use_interface {${address//./,}}"
}
