# shellcheck shell=bash
# A Postgres of our own, to be stopped and started at will.
#
# On a free port of 127.0.0.1, with its data in $SCRATCH, trust authentication
# and no fsync. Needs scratch.sh and postgres_bin.sh.

# Makes the data directory and picks POSTGRES_PORT.
scratch_postgres_init() {
	PG_BIN=$(postgres_bin)
	POSTGRES_PORT=$(free_port)
	POSTGRES_DATA=$SCRATCH/pgdata
	mkdir -m 0700 "$POSTGRES_DATA"
	((EUID != 0)) || chown postgres "$POSTGRES_DATA"
	cd_and_initdb >"$SCRATCH/initdb.log" 2>&1 || die "initdb failed: $(cat "$SCRATCH/initdb.log")"
}

# It complains when it cannot read the directory that it is called in.
cd_and_initdb() (
	cd "$POSTGRES_DATA" && "${AS_POSTGRES[@]}" "$PG_BIN/initdb" -D "$POSTGRES_DATA" \
		-U postgres -A trust --no-sync --no-locale -E UTF8
)

# Postgres refuses to run as root, so root runs it as the user postgres. setpriv
# becomes the program, so that its pid is Postgres's; runuser would stay between.
# A change of user undoes pdeathsig, hence it is said once more.
AS_POSTGRES=(env)
if ((EUID == 0)); then
	AS_POSTGRES=(setpriv --reuid postgres --regid postgres --init-groups --pdeathsig INT --)
fi

# Returns when it answers. SIGINT is its fast shutdown; SIGKILL would leave
# shared memory behind.
scratch_postgres_start() {
	scratch_start postgres INT "${AS_POSTGRES[@]}" "$PG_BIN/postgres" -D "$POSTGRES_DATA" \
		-p "$POSTGRES_PORT" -k "$POSTGRES_DATA" -c listen_addresses=127.0.0.1 -c fsync=off
	POSTGRES_PID=$SCRATCH_PID
	await 20 scratch_postgres_answers || die "our Postgres does not answer: $(tail "$SCRATCH/postgres.log")"
}

scratch_postgres_stop() {
	scratch_stop "$POSTGRES_PID"
}

scratch_postgres_answers() {
	"$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "$POSTGRES_PORT"
}
