# shellcheck shell=bash
# Runs test runners one after another, and counts. Needs steps.sh and test_counts.sh.
#
# A runner that fails does not keep the later ones from running. What breaks without
# failing a test counts as one failure.

RUNNERS_PASSED=0 RUNNERS_FAILED=0
RUNNERS_REPORT=()

# runners_open: before the first. Takes the script's traps.
runners_open() {
	RUNNERS_LOG=$(mktemp)
	trap 'rm -f "$RUNNERS_LOG"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# must WHAT COMMAND...: for what is no test but has to succeed.
must() {
	run_step "$@" || {
		add_result "$1" 0 1
		return 1
	}
}

# runner WHAT COUNT COMMAND...: COUNT is the function that reads its output.
runner() {
	run_counted "$@"
	add_result "$1" "$RUN_PASSED" "$RUN_FAILED"
}

# The same for what may fail: its result is told only.
runner_told() {
	run_counted "$@"
	add_line "$1" "$RUN_PASSED" "$RUN_FAILED (told only)"
}

# Sets RUN_PASSED and RUN_FAILED.
run_counted() {
	local what=$1 count=$2 status=0
	shift 2
	run_step "$what" with_log "$@" || status=$?
	read -r RUN_PASSED RUN_FAILED < <("$count" <"$RUNNERS_LOG")
	if ((RUN_PASSED + RUN_FAILED == 0)); then
		echo "$what: ran no test" >&2
		RUN_FAILED=1
	elif ((status != 0 && RUN_FAILED == 0)); then
		echo "$what: ended with $status though no test failed" >&2
		RUN_FAILED=1
	fi
}

with_log() {
	"$@" 2>&1 | tee "$RUNNERS_LOG"
}

add_result() {
	((RUNNERS_PASSED += $2, RUNNERS_FAILED += $3)) || true
	add_line "$@"
}

add_line() {
	tell "$(printf '%-24s %4d passed, %s failed' "$1" "$2" "$3")"
}

# tell LINE: at the end.
tell() {
	RUNNERS_REPORT+=("$1")
}

# runners_end: `N passed, N failed` as the last line; fails if something did.
runners_end() {
	printf '\n'
	printf '%s\n' "${RUNNERS_REPORT[@]}"
	echo "$RUNNERS_PASSED passed, $RUNNERS_FAILED failed"
	((RUNNERS_FAILED == 0))
}
