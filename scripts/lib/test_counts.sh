# shellcheck shell=bash
# Reads from the logs of the test runners how many tests passed and failed.
#
# Each count_* function reads a log on standard input and prints `PASSED FAILED`.

# Summary [ 1.2s] 9 tests run: 6 passed (1 slow), 1 failed, 1 timed out, 1 exec failed, 2 skipped
count_nextest() {
	without_colours | awk '
		$1 == "Summary" {
			passed = failed = 0
			sub(/.*tests? run:/, "")
			gsub(/\([^)]*\)/, "")
			n = split($0, parts, ",")
			for (i = 1; i <= n; i++) {
				if (parts[i] ~ /passed/) passed += parts[i]
				else if (parts[i] ~ /failed|timed out/) failed += parts[i]
			}
		}
		END { print passed + 0, failed + 0 }'
}

# test result: ok. 3 passed; 0 failed; 0 ignored; ... one line for each crate or program
count_rust() {
	without_colours | awk '
		/^test result:/ {
			for (i = 2; i <= NF; i++) {
				if ($i == "passed;") passed += $(i - 1)
				if ($i == "failed;") failed += $(i - 1)
			}
		}
		END { print passed + 0, failed + 0 }'
}

# erlang_test: 40 passed, 0 failed
count_summary() {
	without_colours | awk '
		/^[a-z_]+: [0-9]+ passed, [0-9]+ failed$/ { passed = $2; failed = $4 }
		END { print passed + 0, failed + 0 }'
}

# 40 passed, 0 failed, as runners_end says it
count_total() {
	awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed = $1; failed = $3 } END { print passed + 0, failed + 0 }'
}

without_colours() {
	sed 's/\x1b\[[0-9;]*m//g'
}
