# shellcheck shell=bash
# What systemd thinks of the units. Needs $SCRATCH.

UNITS=packaging/systemd

# With a program that is there, in the place of one that need not be installed.
units_are_understood() {
	mkdir "$SCRATCH/units"
	cp "$UNITS"/*.service "$SCRATCH/units"
	sed -i 's|/usr/bin/pgmesh|/bin/true|' "$SCRATCH/units"/*.service
	systemd-analyze verify --man=no "$SCRATCH/units/pgmesh.service" "$SCRATCH/units/pgmesh@.service" 2>"$SCRATCH/verify"
	silent "$SCRATCH/verify"
}

# In tenths: what is left open is the network, and the user pgmesh.
units_are_not_exposed() {
	systemd-analyze security --offline=true --threshold=15 --no-pager "$UNITS/pgmesh.service"
	systemd-analyze security --offline=true --threshold=15 --no-pager "$UNITS/pgmesh@.service"
}

# Cookie and password are in the memory of a daemon that crashes.
units_dump_no_core() {
	[[ $(grep -c '^LimitCORE=0$' "$UNITS"/*.service) == *:1*:1 ]]
}

# Only the main process is given them by every systemd that there is.
reload_needs_no_credential() {
	[[ $(grep -c '^ExecReload=+/usr/bin/pgmesh validate /etc/' "$UNITS"/*.service) == *:1*:1 ]]
	! grep '^ExecReload=.*\(CREDENTIALS_DIRECTORY\|%d\)' "$UNITS"/*.service
}

# Without it process_start_time_seconds is 0.
boot_time_is_visible() {
	! grep '^ProcSubset=pid' "$UNITS"/*.service
}

# A daemon of 12 MB would have 30 after the first message of some megabytes.
large_messages_leave_no_memory() {
	[[ $(grep -c '^Environment=MALLOC_TRIM_THRESHOLD_=[0-9]*$' "$UNITS"/*.service) == *:1*:1 ]]
}

template_is_the_same_unit() {
	diff <(settings_of pgmesh.service) \
		<(settings_of pgmesh@.service | sed 's|/%i.toml|/pgmesh.toml|g; s|/%i.cookie|/cookie|g')
}

settings_of() {
	grep -v -e '^#' -e '^Description=' "$UNITS/$1"
}
