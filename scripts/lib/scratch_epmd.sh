# shellcheck shell=bash
# An EPMD of our own. Needs scratch.sh.
#
# Bound to 127.0.0.1, or what other loopback addresses it is to serve, on a free port, in the foreground: nodes that start
# without an EPMD would start a daemon that stays. ERL_EPMD_PORT, which is
# exported, leads nodes and pgmesh here instead of to the machine's own.

# scratch_epmd_start ADDRESSES: loopback addresses, with commas between them.
scratch_epmd_start() {
	ERL_EPMD_PORT=$(free_port)
	export ERL_EPMD_PORT
	scratch_start epmd TERM epmd -address "$1" -port "$ERL_EPMD_PORT"
	await 10 scratch_epmd_answers || die "our EPMD does not answer: $(cat "$SCRATCH/epmd.log")"
}

scratch_epmd_answers() {
	epmd -names >/dev/null 2>&1
}
