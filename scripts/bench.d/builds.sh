# shellcheck shell=bash
# What scripts/bench runs, built to $SCRATCH/ebin. Needs steps.sh, pgmesh_binary.sh,
# static_binary.sh, erlang_code.sh and scratch.sh, and is_chosen and is_any_chosen of the script.

# What of scripts/bench runs pgmesh; the rest are nodes and benches of the crates.
OF_PGMESH=(cli start join memory idle crowd epmd pages)
JINTERFACE_JAR=/usr/share/java/OtpErlang.jar

build_erlang() {
	compile_erlang "$SCRATCH/ebin" erlang_test/peer/*.erl erlang_test/support/*.erl \
		scripts/bench.d/*.erl scripts/bench.d/peers/*.erl
	cp erlang_test/support/leash "$SCRATCH/ebin/leash"
}

build_all() {
	if is_any_chosen "${OF_PGMESH[@]}"; then build_pgmesh; fi
	build_tools || die "cc cannot compile the tools"
	if is_chosen links; then build_targets || die "what speaks to the BEAM cannot be built"; fi
	if is_chosen epmd; then run_step "build the askers (release)" build_epmd_bench; fi
}

build_pgmesh() {
	if [[ -n ${PGMESH_BIN:-} ]]; then pgmesh_binary_need; else build_both; fi
	# Copied, so that a build in the meantime changes nothing.
	cp "$PGMESH_BIN" "$SCRATCH/pgmesh"
	export PGMESH_BIN=$SCRATCH/pgmesh
}

# As they are released: the static binary is measured, and beside it, where they differ, the
# one that shares libraries with other programs.
build_both() {
	static_target_need
	pgmesh_binary_need
	strip -o "$SCRATCH/pgmesh-shared" "$PGMESH_BIN"
	export BENCH_SHARED=$SCRATCH/pgmesh-shared
	run_step "build the static binary" static_build
	strip -o "$SCRATCH/pgmesh-static" "$(static_binary)"
	PGMESH_BIN=$SCRATCH/pgmesh-static
}

build_tools() {
	local tool
	for tool in cpu_clock call_cost; do
		cc -O2 -o "$SCRATCH/ebin/$tool" "scripts/bench.d/tools/$tool.c" || return
	done
}

build_targets() {
	cc -O2 -o "$SCRATCH/ebin/ei_target" scripts/bench.d/peers/ei_target.c -lei -lpthread &&
		javac -cp "$JINTERFACE_JAR" -d "$SCRATCH/ebin" scripts/bench.d/peers/JinterfaceTarget.java || return
	export BENCH_JINTERFACE=$JINTERFACE_JAR
	if [[ -z ${BENCH_PEER:-} ]]; then
		run_step "build the library's node (release)" \
			cargo build --release --quiet -p pgmesh-dist --example bench-peer || return
		BENCH_PEER=$(target_directory)/release/examples/bench-peer
	fi
	cp "$BENCH_PEER" "$SCRATCH/bench-peer" && export BENCH_PEER=$SCRATCH/bench-peer
}

# Cargo names the program that it has built after its contents.
build_epmd_bench() {
	EPMD_BENCH=$(cargo bench --quiet -p pgmesh-epmd --bench beside_otp --no-run --message-format json |
		sed -n 's/.*"executable":"\([^"]*beside_otp[^"]*\)".*/\1/p')
	[[ -x $EPMD_BENCH ]]
}

# The benches of criterion in the crates. Half of its usual time is enough for medians.
build_and_run_parts() {
	local file crate bench features status=0
	for file in crates/*/benches/*.rs crates/*/benches/*/main.rs; do
		grep -qs criterion_main "$file" || continue
		crate=${file#crates/}
		bench=${file#*/benches/}
		bench=${bench%/main.rs}
		features=()
		# Opens what a crate keeps to itself.
		if grep -q '^fuzzing = ' "crates/${crate%%/*}/Cargo.toml"; then features=(--features fuzzing); fi
		cargo bench --quiet -p "pgmesh-${crate%%/*}" "${features[@]}" --bench "${bench%.rs}" -- \
			--noplot --warm-up-time 1 --measurement-time 3 || status=1
	done
	return "$status"
}
