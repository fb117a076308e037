# shellcheck shell=bash
# Where Postgres keeps its server programs.

# Prints the directory that has initdb, or nothing. PG_BIN wins; then Debian's
# place with the newest release, which is not on PATH; then PATH.
postgres_bin() {
	local candidate candidates=()
	mapfile -t candidates < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
	for candidate in "${PG_BIN:-}" "${candidates[@]}" "$(initdb_on_path)"; do
		if [[ -n $candidate && -x $candidate/initdb ]]; then
			echo "$candidate"
			return
		fi
	done
}

# The link is followed, because the other programs lie beside the real file.
initdb_on_path() {
	local initdb
	initdb=$(command -v initdb) || return 0
	dirname "$(realpath "$initdb")"
}
