# shellcheck shell=bash
# The static binary, where there is nothing else: no libraries, no users, no /dev, no
# certificates. Needs $SCRATCH, $STATIC, scratch.sh and scratch_postgres.sh.

static_needs_nothing() {
	! readelf --program-headers "$STATIC" | grep INTERP
}

# What a command begins with that runs there, as a user who has no name.
EMPTY_ROOT=(env -i)

static_root() {
	mkdir -p "$SCRATCH/empty"
	if ((EUID == 0)); then
		EMPTY_ROOT+=("$(command -v chroot)" --userspec=61234:61234 "$SCRATCH/empty")
	else
		EMPTY_ROOT+=("$(command -v unshare)" --map-root-user "$(command -v chroot)" "$SCRATCH/empty")
	fi
	cp "$STATIC" "$SCRATCH/empty/pgmesh"
}

static_runs_in_an_empty_root() {
	"${EMPTY_ROOT[@]}" /pgmesh --version
}

# With a certificate for a host that only our hosts file knows.
static_postgres() {
	scratch_postgres_init
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=db.test \
		-addext subjectAltName=DNS:db.test -keyout "$POSTGRES_DATA/server.key" -out "$SCRATCH/server.crt" \
		2>/dev/null
	cp "$SCRATCH/server.crt" "$POSTGRES_DATA/server.crt"
	chmod 0600 "$POSTGRES_DATA/server.key"
	((EUID != 0)) || chown postgres "$POSTGRES_DATA"/server.{key,crt}
	echo 'ssl = on' >>"$POSTGRES_DATA/postgresql.conf"
	scratch_postgres_start
}

static_listens_over_tls() {
	set -e
	local empty=$SCRATCH/empty
	mkdir "$empty/etc"
	mkdir -m 1777 "$empty/run"
	echo '127.0.0.1 db.test' >"$empty/etc/hosts"
	install -m 644 "$SCRATCH/server.crt" "$empty/server.crt"
	local settings=(PGMESH_COOKIE=x PGMESH_CHANNEL=c ERL_EPMD_PORT="$(free_port)"
		DATABASE_URL="postgres://postgres@db.test:$POSTGRES_PORT/postgres?sslmode=verify-full&sslrootcert=/server.crt")
	scratch_start static TERM env -i "${settings[@]}" "${EMPTY_ROOT[@]:2}" \
		/pgmesh run --name static@127.0.0.1 --epmd external --socket /run/pgmesh.sock
	await 20 static_listens || { cat "$SCRATCH/static.log"; return 1; }
	scratch_stop "$SCRATCH_PID"
}

static_listens() {
	"${EMPTY_ROOT[@]}" /pgmesh status --socket /run/pgmesh.sock 2>&1 | grep -q '^postgres  listening'
}
