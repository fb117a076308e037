# shellcheck shell=bash
# What the Debian package brings. Needs $SCRATCH, where it is unpacked, and $DEB.

lintian_has_no_errors() {
	lintian --allow-root --fail-on error "$DEB"
}

# As for root beside the service, and not for a user with a cookie of his own.
settings_are_good() {
	local folder=$SCRATCH/installed/etc/pgmesh
	(umask 077 && echo a_cookie >"$folder/cookie")
	HOME=/nonexistent "$SCRATCH/installed/usr/bin/pgmesh" validate "$folder/pgmesh.toml" | tee "$SCRATCH/validated"
	grep -q '^cookie-file .*/etc/pgmesh/cookie .*file' "$SCRATCH/validated"
}

pages_are_there() {
	local command all
	[[ -s $SCRATCH/installed/usr/share/man/man1/pgmesh.1.gz ]]
	all=$(commands)
	[[ $all == *rpc* ]]
	for command in $all; do
		[[ -s $SCRATCH/installed/usr/share/man/man1/pgmesh-$command.1.gz ]] || { echo "$command"; return 1; }
	done
}

# The overview has two blanks before each.
commands() {
	"$SCRATCH/installed/usr/bin/pgmesh" --help | sed -n '/^Options:/q; s/^  \([a-z]*\) .*/\1/p'
}

pages_are_well_formed() {
	local page
	for page in "$SCRATCH"/installed/usr/share/man/man1/*; do
		man --warnings -l "$page" 2>>"$SCRATCH/man" >/dev/null
	done
	silent "$SCRATCH/man"
}

completions_are_a_script() {
	bash -n "$SCRATCH/installed/usr/share/bash-completion/completions/pgmesh"
}
