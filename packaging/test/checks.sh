# shellcheck shell=bash
# Runs checks in a scratch folder, and counts them. Needs steps.sh and scratch.sh.

passed=0 failed=0

# check WHAT COMMAND...: a test. It runs in a subshell that ends at the first failure, which
# it would not where `||` or `if` looks at how it ends.
check() {
	local what=$1 status
	shift
	set +e
	(set -e; "$@") >"$SCRATCH/check.log" 2>&1
	status=$?
	set -e
	if ((status == 0)); then
		echo "ok    $what"
		((passed += 1))
	else
		echo "FAIL  $what"
		sed 's/^/      /' "$SCRATCH/check.log"
		((failed += 1))
	fi
}

# check_summary NAME: the last line; fails if a check did.
check_summary() {
	echo "$1: $passed passed, $failed failed"
	((failed == 0))
}
