# shellcheck shell=bash
# docs/RELIABILITY.md: what broke between hosts, and how long it took to be whole again,
# as the tests measured it. Needs runners.sh.

RELIABILITY_PAGE=docs/RELIABILITY.md
RELIABILITY_FAULTS=() # fault | felt | repair | whole | bound | links
RELIABILITY_CROWD=""  # nodes | linked | noticed | whole | megabytes | CPU

# After the runner that looked at it.
reliability_add() {
	mapfile -t RELIABILITY_FAULTS < <(sed -n 's/^ *fault | //p' "$RUNNERS_LOG")
	RELIABILITY_CROWD=$(sed -n 's/^ *crowd | //p' "$RUNNERS_LOG")
}

# For a person, as soon as it is known.
reliability_table() {
	cat <<-'END'
		| what | felt after (s) | repair (s) | whole after the repair (s) | bound (s) | links lost among nodes |
		|---|---|---|---|---|---|
	END
	((${#RELIABILITY_FAULTS[@]} == 0)) || printf '| %s |\n' "${RELIABILITY_FAULTS[@]}"
	if [[ -n $RELIABILITY_CROWD ]]; then
		local nodes linked noticed whole megabytes cpu
		IFS='|' read -r nodes linked noticed whole megabytes cpu <<<"${RELIABILITY_CROWD// /}"
		cat <<-END

			$nodes nodes on five hosts and one pgmesh on a sixth, with \`--introduce all\`: full mesh $linked s after they were named.
			A host of ten cut off: noticed by all after $noticed s, full mesh $whole s after its return. pgmesh then: $megabytes MB, and
			$cpu s of CPU since its start.
		END
	fi
}

# reliability_write: the page, with what was measured between its marks.
reliability_write() {
	local page
	page=$(mktemp)
	{
		sed '/^<!-- measured -->$/q' "$RELIABILITY_PAGE"
		reliability_table
		sed -n '/^<!-- end -->$/,$p' "$RELIABILITY_PAGE"
	} >"$page"
	cat "$page" >"$RELIABILITY_PAGE"
	rm -f "$page"
}

# Fails if the page tells of other faults; times are another every time.
reliability_is_current() {
	diff -u <(sed -n '/^<!-- measured -->$/,/^<!-- end -->$/p' "$RELIABILITY_PAGE" | reliability_faults) \
		<(reliability_table | reliability_faults) || {
		echo "$RELIABILITY_PAGE tells of other faults (scripts/test-hosts --write makes its table anew)" >&2
		return 1
	}
}

reliability_faults() {
	sed -n 's/^| \([^|]*\) | [0-9].*/\1/p'
}
