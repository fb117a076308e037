# shellcheck shell=bash
# Installs what a script needs and the machine lacks, by apt.
#
# What counts is whether the tool is there, not whether its package is: an OTP
# or a Postgres that came another way is as good. Needs steps.sh and
# postgres_bin.sh.

# packages_need GROUP...: each has a missing_for_GROUP below.
packages_need() {
	local group missing=()
	command -v cargo >/dev/null ||
		die "cargo is not on PATH (install Rust from https://rustup.rs, then open a new shell)"
	for group in "$@"; do
		mapfile -t -O "${#missing[@]}" missing < <("missing_for_$group")
	done
	if ((${#missing[@]} > 0)); then
		run_step "install packages: ${missing[*]}" install_packages "${missing[@]}"
	fi
}

# Each of these prints the packages whose tools are missing, one a line.

missing_for_rust() {
	command -v cc >/dev/null || echo build-essential
	command -v pkg-config >/dev/null || echo pkg-config
	pkg-config --exists openssl 2>/dev/null || echo libssl-dev
}

missing_for_beam() {
	if ! command -v erl >/dev/null || ! command -v epmd >/dev/null; then
		echo erlang-base
	fi
	command -v elixir >/dev/null || echo elixir
}

# Debian keeps the header files of all applications in erlang-dev.
missing_for_common_test() {
	has_erlang_file common_test ebin/ct.beam || echo erlang-common-test
	has_erlang_file common_test include/ct_event.hrl || echo erlang-dev
}

# In a session of its own: to Ctrl-C an Erlang VM answers with a menu and waits.
has_erlang_file() {
	command -v erl >/dev/null && setsid --wait erl -noshell -eval "
		Dir = code:lib_dir($1),
		halt(case is_list(Dir) andalso filelib:is_file(filename:join(Dir, \"$2\")) of
			true -> 0;
			false -> 1
		end)." </dev/null >/dev/null 2>&1
}

# ei, erl_call and Jinterface: other libraries than ours for the same.
missing_for_peers() {
	[[ -f /usr/include/ei.h ]] || has_erlang_file erl_interface include/ei.h || echo erlang-dev
	command -v erl_call >/dev/null || echo erlang-base
	[[ -f /usr/share/java/OtpErlang.jar ]] || echo erlang-jinterface
	command -v javac >/dev/null || echo default-jdk-headless
}

missing_for_postgres() {
	[[ -n $(postgres_bin) ]] || echo postgresql
}

# Debian's place is on root's PATH only.
missing_for_pgbouncer() {
	command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]] || echo pgbouncer
}

# For promtool, which comes with the server.
missing_for_prometheus() {
	command -v promtool >/dev/null || echo prometheus
}

missing_for_chromium() {
	command -v chromium >/dev/null || echo chromium
	command -v chromedriver >/dev/null || echo chromium-driver
}

missing_for_shellcheck() {
	command -v shellcheck >/dev/null || echo shellcheck
}

missing_for_curl() {
	command -v curl >/dev/null || echo curl
}

# dpkg-shlibdeps says which libraries the package depends on.
missing_for_deb() {
	command -v dpkg-shlibdeps >/dev/null || echo dpkg-dev
	command -v strip >/dev/null || echo binutils
}

missing_for_lintian() {
	command -v lintian >/dev/null || echo lintian
}

missing_for_systemd() {
	command -v systemd-analyze >/dev/null || echo systemd
}

missing_for_man() {
	command -v man >/dev/null || echo man-db
}

# OpenSSL is built from source, which takes perl and make.
missing_for_static() {
	command -v musl-gcc >/dev/null || echo musl-tools
	command -v perl >/dev/null || echo perl
	command -v make >/dev/null || echo make
}

missing_for_docker() {
	command -v docker >/dev/null || echo docker.io
}

missing_for_compose() {
	command -v docker-compose >/dev/null || echo docker-compose
}

# Debian's place is on root's PATH only.
missing_for_debootstrap() {
	command -v debootstrap >/dev/null || [[ -x /usr/sbin/debootstrap ]] || echo debootstrap
}

# Debian's places are on root's PATH only.
missing_for_iptables() {
	command -v iptables-legacy >/dev/null || [[ -x /usr/sbin/iptables-legacy ]] || echo iptables
}

missing_for_yaml() {
	python3 -c 'import yaml' 2>/dev/null || echo python3-yaml
}

missing_for_jq() {
	command -v jq >/dev/null || echo jq
}

install_packages() {
	command -v apt-get >/dev/null ||
		die "apt-get is not there (install what corresponds to these Debian packages: $*)"
	local log
	log=$(mktemp)
	if ! without_new_services apt_install "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "apt-get could not install: $*"
	fi
	rm -f "$log"
}

apt_install() {
	as_root apt-get update -q &&
		as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
			apt-get install -q -y --no-install-recommends "$@"
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "packages are missing and there is no sudo (run as root, or install them yourself)"
	fi
}

POLICY=/usr/sbin/policy-rc.d
CREATE_CLUSTER=/etc/postgresql-common/createcluster.d

# Debian's packages start a Postgres on port 5432, a pgbouncer on port 6432, a
# Prometheus on port 9090 and an EPMD on port 4369. The tests need the programs
# only, so while COMMAND runs all are told not to.
without_new_services() (
	trap allow_new_services EXIT
	if [[ ! -e $POLICY ]]; then
		printf '#!/bin/sh\n# from pgmesh/scripts\nexit 101\n' | as_root tee "$POLICY" >/dev/null
		as_root chmod 755 "$POLICY"
	fi
	as_root mkdir -p "$CREATE_CLUSTER"
	echo 'create_main_cluster = false' | as_root tee "$CREATE_CLUSTER/pgmesh-scripts.conf" >/dev/null
	"$@"
)

# Not if the policy is somebody else's.
allow_new_services() {
	if grep -qs 'from pgmesh/scripts' "$POLICY"; then as_root rm -f "$POLICY"; fi
	as_root rm -f "$CREATE_CLUSTER/pgmesh-scripts.conf"
}

# Neither rustup nor apt has it on a fresh machine.
nextest_need() {
	cargo nextest --version >/dev/null 2>&1 ||
		run_step "install cargo-nextest (compiles for some minutes, once)" \
			cargo install cargo-nextest --locked
}

# What every run of it means the same by; a newer one that is there will do.
CARGO_FUZZ=0.13.2
CARGO_DENY=0.20.2

cargo_fuzz_need() {
	cargo fuzz --version >/dev/null 2>&1 ||
		run_step "install cargo-fuzz $CARGO_FUZZ (compiles for a minute, once)" \
			logged cargo install cargo-fuzz --version "$CARGO_FUZZ" --locked --debug ||
		die "cargo-fuzz cannot be installed (by hand: cargo install cargo-fuzz --version $CARGO_FUZZ --locked)"
}

# Unoptimised it is compiled in a third of the time, and takes a second all the same.
cargo_deny_need() {
	cargo deny --version >/dev/null 2>&1 ||
		run_step "install cargo-deny $CARGO_DENY (compiles for a minute or two, once)" \
			logged cargo install cargo-deny --version "$CARGO_DENY" --locked --no-default-features --debug ||
		die "cargo-deny cannot be installed (by hand: cargo install cargo-deny --version $CARGO_DENY --locked)"
}
