# shellcheck shell=bash
# Says what a script is doing, and how long each step took.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	STYLE_STEP=$'\e[1;34m' STYLE_BAD=$'\e[1;31m' STYLE_GOOD=$'\e[32m' STYLE_OFF=$'\e[0m'
else
	STYLE_STEP='' STYLE_BAD='' STYLE_GOOD='' STYLE_OFF=''
fi

now_us() {
	# The separator is a comma in some locales.
	echo "${EPOCHREALTIME//[.,]/}"
}

# ms_since START_US: in whole milliseconds.
ms_since() {
	echo $((($(now_us) - $1) / 1000))
}

# seconds MS: 43123 becomes 43.1 s.
seconds() {
	printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# step_begin WHAT, then step_end: for steps that are more than one command.
step_begin() {
	STEP_NAME=$1
	STEP_STARTED_US=$(now_us)
	printf '%s==> %s%s\n' "$STYLE_STEP" "$STEP_NAME" "$STYLE_OFF"
}

step_end() {
	printf '%s==> %s … %s%s\n' "$STYLE_GOOD" "$STEP_NAME" \
		"$(seconds "$(ms_since "$STEP_STARTED_US")")" "$STYLE_OFF"
}

step_failed() {
	printf '%s==> %s … failed after %s%s\n' "$STYLE_BAD" "$STEP_NAME" \
		"$(seconds "$(ms_since "$STEP_STARTED_US")")" "$STYLE_OFF"
}

# run_step WHAT COMMAND...: returns what the command returns.
run_step() {
	local status=0
	step_begin "$1"
	shift
	# In a condition bash ignores `set -e` inside functions, so COMMAND must be
	# a program or a function that returns its own failure.
	"$@" || status=$?
	if ((status == 0)); then step_end; else step_failed; fi
	return "$status"
}

# logged COMMAND...: shows what it said only if it failed.
logged() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	((status == 0)) || cat "$log" >&2
	rm -f "$log"
	return "$status"
}

# die MESSAGE: the message names the thing first, then what to do.
die() {
	printf '%s%s: %s%s\n' "$STYLE_BAD" "$(basename "$0")" "$1" "$STYLE_OFF" >&2
	exit 1
}
