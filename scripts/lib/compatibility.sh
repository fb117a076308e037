# shellcheck shell=bash
# docs/COMPATIBILITY.md: which release of OTP was seen doing what, by the tests
# between hosts. Needs runners.sh.

COMPATIBILITY_PAGE=docs/COMPATIBILITY.md
COMPATIBILITY_ROWS=()
declare -A COMPATIBILITY_OUTCOMES=() # by release and row
COMPATIBILITY_MIXED=()
COMPATIBILITY_LIBRARY_ROWS=()
declare -A COMPATIBILITY_LIBRARY=() # by release and row: over what it failed

# compatible_epmd RELEASE, compatible_nodes RELEASE, compatible_library RELEASE WIRE,
# compatible_mixed RELEASE...: after the runner that looked at it.

compatible_epmd() {
	compatibility_add "$1" "our EPMD: answers byte for byte as this release's" "$(outcome_of_run)"
}

compatible_nodes() {
	local outcome suite case
	while read -r outcome suite case _; do
		compatibility_add "$1" "$(row_of "$suite" "$case")" "${outcome/FAIL/failed}"
	done < <(grep -E '^(ok|FAIL) +otp_' "$RUNNERS_LOG")
}

# test mailboxes::messages_go_both_ways_in_order ... ok
compatible_library() {
	local test outcome row
	while read -r _ test _ outcome; do
		row="${test%%::*}: ${test##*::}"
		row=${row//_/ }
		is_among "$row" "${COMPATIBILITY_LIBRARY_ROWS[@]}" || COMPATIBILITY_LIBRARY_ROWS+=("$row")
		COMPATIBILITY_LIBRARY[$1/$row]+=
		[[ $outcome == ok ]] || COMPATIBILITY_LIBRARY[$1/$row]+=" $2"
	done < <(grep -E '^test [a-z0-9_:]+ \.\.\. (ok|FAILED)$' "$RUNNERS_LOG")
}

compatible_mixed() {
	local release line=
	for release in "$@"; do
		line+="${line:+, }$(otp_of "$release")"
	done
	COMPATIBILITY_MIXED+=("- OTP $line: $(outcome_of_run)")
}

outcome_of_run() {
	if ((RUN_FAILED == 0)); then echo ok; else echo failed; fi
}

# row_of SUITE: CASE
row_of() {
	local subject=pgmesh
	[[ $1 != otp_epmd_SUITE: ]] || subject='our EPMD'
	echo "$subject: ${2//_/ }"
}

compatibility_add() {
	COMPATIBILITY_OUTCOMES[$1/$2]=$3
	is_among "$2" "${COMPATIBILITY_ROWS[@]}" || COMPATIBILITY_ROWS+=("$2")
}

# is_among WORD WORD...
is_among() {
	local word
	for word in "${@:2}"; do
		[[ $word != "$1" ]] || return 0
	done
	return 1
}

# compatibility_page RELEASE...
compatibility_page() {
	local release row
	cat <<-'END'
		# Compatibility

		Written by `scripts/test-hosts --write` after a run with all releases: nodes of each, on hosts (containers) of their
		own, did this. A dash: not looked at, since that release cannot do it. sid is Debian's development; it gates nothing.

	END
	compatibility_head "$@"
	for row in "${COMPATIBILITY_ROWS[@]}"; do
		printf '| %s |' "$row"
		for release in "$@"; do printf ' %s |' "${COMPATIBILITY_OUTCOMES[$release/$row]:-–}"; done
		printf '\n'
	done
	cat <<-'END'

		The library, `pgmesh-dist`, with nodes of each release on its own machine: by `inet_tcp`, `inet6_tcp`, `inet_tls` and
		`inet6_tls`, which is ok where it is over all four.

	END
	compatibility_head "$@"
	# Tests end in any order.
	while read -r row; do
		printf '| %s |' "$row"
		for release in "$@"; do printf ' %s |' "$(library_outcome "$release/$row")"; done
		printf '\n'
	done < <(printf '%s\n' "${COMPATIBILITY_LIBRARY_ROWS[@]}" | sort)
	cat <<-'END'

		In one mesh. Nodes before OTP 24 and those from OTP 26 on refuse each other, which pgmesh shows as `excluded`. Where both
		are, give nodes from OTP 25 on `-kernel prevent_overlapping_partitions false`: else they cut their edges to whoever
		another node cannot reach, and pgmesh heals those every few seconds.

	END
	printf '%s\n' "${COMPATIBILITY_MIXED[@]}"
}

compatibility_head() {
	local release
	printf '| |'
	for release in "$@"; do printf ' OTP %s (%s), %s |' "$(otp_of "$release")" "$release" "$(elixir_of "$release")"; done
	printf '\n|---|'
	for release in "$@"; do printf -- '---|'; done
	printf '\n'
}

# library_outcome RELEASE/ROW
library_outcome() {
	if [[ ! -v COMPATIBILITY_LIBRARY[$1] ]]; then
		echo –
	elif [[ -z ${COMPATIBILITY_LIBRARY[$1]} ]]; then
		echo ok
	else
		echo "failed over${COMPATIBILITY_LIBRARY[$1]}"
	fi
}

otp_of() {
	docker run --rm "pgmesh-test/beam:$1" \
		erl -noshell -eval 'io:put_chars(erlang:system_info(otp_release)), halt().'
}

elixir_of() {
	docker run --rm "pgmesh-test/beam:$1" elixir --version | sed -n 's/^\(Elixir [0-9.]*\).*/\1/p'
}

# compatibility_is_current FILE: fails if the page says something else of the releases
# that gate, in the same versions.
compatibility_is_current() {
	local page=$COMPATIBILITY_PAGE
	if [[ ! -f $page ]]; then
		echo "$page is not there (scripts/test-hosts --write makes it)" >&2
		return 1
	elif [[ $(seen_of_gating "$1" | grep '^| |') != "$(gating_part "$page" | grep '^| |')" ]]; then
		echo "$page is of other versions (scripts/test-hosts --write makes it anew)"
	elif ! diff -u <(gating_part "$page") <(seen_of_gating "$1"); then
		echo "$page is out of date (scripts/test-hosts --write makes it anew)" >&2
		return 1
	fi
}

# Of a run: without sid, if that could be had.
seen_of_gating() {
	if $SID_IS_THERE; then gating_part "$1"; else cat "$1"; fi
}

# Without sid, which has the last column and the last line.
gating_part() {
	sed -E 's/^(\|.*\|)[^|]*\|$/\1/; $d' "$1"
}
