# shellcheck shell=bash
# What systemd thinks of the units. Needs $SCRATCH.

UNITS=packaging/systemd

# With a program that is there, in the place of one that need not be installed.
units_are_understood() {
	set -e
	mkdir "$SCRATCH/units"
	cp "$UNITS"/*.service "$SCRATCH/units"
	sed -i 's|/usr/bin/pgmesh|/bin/true|' "$SCRATCH/units"/*.service
	systemd-analyze verify --man=no "$SCRATCH/units/pgmesh.service" "$SCRATCH/units/pgmesh@.service" 2>"$SCRATCH/verify"
	silent "$SCRATCH/verify"
}

# In tenths: what is left open is the network, and the user pgmesh.
units_are_not_exposed() {
	set -e
	systemd-analyze security --offline=true --threshold=15 --no-pager "$UNITS/pgmesh.service"
	systemd-analyze security --offline=true --threshold=15 --no-pager "$UNITS/pgmesh@.service"
}

template_is_the_same_unit() {
	diff <(settings_of pgmesh.service) \
		<(settings_of pgmesh@.service | sed 's|/%i.toml|/pgmesh.toml|; s|/%i.cookie|/cookie|')
}

settings_of() {
	grep -v -e '^#' -e '^Description=' "$UNITS/$1"
}
