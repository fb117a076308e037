# shellcheck shell=bash
# Compiles the Erlang modules that a script runs on nodes. Needs steps.sh.

# compile_erlang DIRECTORY FILE...
# In a session of its own: to Ctrl-C an Erlang VM answers with a menu and waits.
compile_erlang() {
	mkdir -p "$1"
	setsid --wait erlc -Werror -o "$@" </dev/null || die "erlc cannot compile what the nodes run"
}
