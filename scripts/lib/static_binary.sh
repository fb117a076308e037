# shellcheck shell=bash
# The pgmesh that needs nothing of the system that it runs on. Needs steps.sh.
#
# With musl, since what glibc loads at run time to look up hosts and users must be of
# its own release: a static binary of it crashes where /etc/nsswitch.conf names more
# than files and DNS. OpenSSL is built and linked in.

STATIC_TARGET=$(uname -m)-unknown-linux-musl

# Rust's own libraries for it.
static_target_need() {
	[[ -d $(rustc --print target-libdir --target "$STATIC_TARGET") ]] ||
		run_step "install Rust's $STATIC_TARGET" rustup target add "$STATIC_TARGET" ||
		die "Rust has no libraries for $STATIC_TARGET (install it by rustup from https://rustup.rs)"
}

# Prints nothing; the binary is then at `static_binary`.
static_build() {
	cargo build --release --quiet -p pgmesh --features vendored-openssl --target "$STATIC_TARGET"
}

# Needs pgmesh_binary.sh.
static_binary() {
	echo "$(target_directory)/$STATIC_TARGET/release/pgmesh"
}
