# shellcheck shell=bash
# The pgmesh that a script tries out. Needs steps.sh.

# Builds it and sets PGMESH_BIN, unless the caller's PGMESH_BIN names one.
pgmesh_binary_need() {
	if [[ -n ${PGMESH_BIN:-} ]]; then
		[[ -x $PGMESH_BIN ]] || die "PGMESH_BIN: no such program: $PGMESH_BIN"
		PGMESH_BIN=$(realpath "$PGMESH_BIN")
	else
		run_step "build pgmesh (release)" cargo build --release --quiet -p pgmesh
		PGMESH_BIN=$(target_directory)/release/pgmesh
	fi
	export PGMESH_BIN
}

# CARGO_TARGET_DIR or a user's cargo configuration may have moved it.
target_directory() {
	cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}
