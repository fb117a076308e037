# shellcheck shell=bash
# Keeps the caller's settings away from what a script starts.

# A DATABASE_URL in somebody's shell must not lead a demo to their database.
forget_settings() {
	local variable
	for variable in $(compgen -e); do
		case $variable in
			PGMESH_BIN) ;;
			PGMESH_* | PG[A-Z]* | DATABASE_URL | ERL_* | ELIXIR_* | BEACON_*) unset "$variable" ;;
		esac
	done
}
