# shellcheck shell=bash
# Elixir nodes of our own, on 127.0.0.1. Needs scratch.sh, erlang_code.sh, and
# $COOKIE, $CHANNEL and $POSTGRES_PORT to be set.

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

# start_plain NODE: a node that neither says anything nor knows anybody.
start_plain() {
	start_elixir "$1" "${ELIXIR[@]}"
}

ELIXIR=(elixir --no-halt --erl
	"-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +sbwt none")

# HOME: a node reads, and may write, the cookie there.
start_elixir() {
	local node=$1
	shift
	scratch_start "$node" KILL env HOME="$SCRATCH" "$@" --name "$node" --cookie "$COOKIE"
}
