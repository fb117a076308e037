# shellcheck shell=bash
# A scratch folder, and the programs that run in it. Neither outlives the script.
#
# Each program gets a session of its own, so that Ctrl-C reaches the script
# alone, which then ends the programs in order. Should the script itself be
# killed, the kernel ends them (pdeathsig). Needs steps.sh.

SCRATCH=
SCRATCH_PIDS=()
SCRATCH_SIGNALS=() # by pid
SCRATCH_AT_END=()

# scratch_open: makes $SCRATCH and sees to its end. Its path is short, because
# unix sockets live in it; Postgres, another user, must be able to enter it.
scratch_open() {
	SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/pgmesh.XXXXXX")
	chmod 0711 "$SCRATCH"
	trap scratch_close EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# scratch_at_end FUNCTION: for what is no program in $SCRATCH, and has to be ended, too.
scratch_at_end() {
	SCRATCH_AT_END+=("$1")
}

# scratch_start NAME SIGNAL COMMAND...: runs COMMAND in the background with its
# output in $SCRATCH/NAME.log, and sets SCRATCH_PID. SIGNAL is how it is ended.
# Not to be called from a subshell: the program would end with that.
scratch_start() {
	local log=$SCRATCH/$1.log
	shift
	scratch_launch "$@" >>"$log" 2>&1
	disown "$SCRATCH_PID" # else bash tells that it was killed
}

# scratch_run SIGNAL COMMAND...: the same, but shows the output, waits for the
# end and returns the exit code.
scratch_run() {
	scratch_launch "$@"
	wait "$SCRATCH_PID"
}

scratch_launch() {
	local signal=$1
	shift
	(cd "$SCRATCH" && exec setsid setpriv --pdeathsig "$signal" -- "$@") </dev/null &
	SCRATCH_PID=$!
	SCRATCH_PIDS+=("$SCRATCH_PID")
	SCRATCH_SIGNALS[SCRATCH_PID]=$signal
}

# scratch_stop PID [SIGNAL]: returns when the program is gone, and whatever is
# left of its process group with it.
scratch_stop() {
	if is_inside "$1"; then
		disown "$1" 2>/dev/null || true # for what scratch_run has started
		kill -s "${2:-${SCRATCH_SIGNALS[$1]}}" "$1" 2>/dev/null || true
		await 5 has_ended "$1" || true
		kill -s KILL -- "-$1" 2>/dev/null || true
	fi
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# Everything that is ours works inside $SCRATCH. A number alone proves nothing:
# the kernel gives it to somebody else once its program has ended.
is_inside() {
	local directory
	directory=$(readlink "/proc/$1/cwd" 2>/dev/null) || return 1
	[[ $directory == "$SCRATCH" || $directory == "$SCRATCH"/* ]]
}

# The newest first: clients before servers.
scratch_close() {
	local status=$? function index pid
	trap - EXIT
	trap '' INT TERM HUP # a second Ctrl-C must not leave half of it behind
	for function in "${SCRATCH_AT_END[@]}"; do "$function" || true; done
	for ((index = ${#SCRATCH_PIDS[@]} - 1; index >= 0; index--)); do
		scratch_stop "${SCRATCH_PIDS[index]}"
	done
	for pid in $(scratch_left_behind); do
		echo "left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
		kill -s KILL "$pid" 2>/dev/null || true
		((status != 0)) || status=1
	done
	rm -rf "$SCRATCH"
	exit "$status"
}

# What is just ending gets a moment.
scratch_left_behind() {
	await 5 nothing_inside || pids_inside
}

nothing_inside() {
	[[ -z $(pids_inside) ]]
}

pids_inside() {
	local directory
	for directory in /proc/[0-9]*; do
		if is_inside "${directory#/proc/}"; then echo "${directory#/proc/}"; fi
	done
}

# Below the ephemeral range: from inside it, a client that retries a closed
# port can be given that very port as its own and connect to itself.
free_port() {
	local first port tries
	read -r first _ </proc/sys/net/ipv4/ip_local_port_range
	((first > 11000)) || first=32768
	for ((tries = 0; tries < 100; tries++)); do
		port=$((10000 + (RANDOM * 32768 + RANDOM) % (first - 10000)))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

# await SECONDS COMMAND...: polls until COMMAND succeeds; fails when time is up.
await() {
	local deadline=$(($(now_us) + $1 * 1000000))
	shift
	until "$@"; do
		(($(now_us) < deadline)) || return 1
		sleep 0.02
	done
}
