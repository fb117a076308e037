# shellcheck shell=bash
# pgmesh's image, made as people make it, but with a compiler that is from no registry:
# that of `scripts/images rust`.

# The name that docker-compose.yml gives it.
PGMESH_IMAGE=pgmesh-compose/pgmesh

# The stage that compiles has a name too: without one scripts/images takes it for what
# was replaced, and everything is compiled anew.
pgmesh_image_build() {
	pgmesh_image_stage --target build --tag pgmesh-test/build &&
		pgmesh_image_stage --tag "$PGMESH_IMAGE"
}

pgmesh_image_stage() {
	docker build --force-rm --build-arg RUST_IMAGE=pgmesh-test/rust:bookworm \
		--file packaging/container/Dockerfile "$@" .
}

# pgmesh_image_binary FILE: the static binary that is in it.
pgmesh_image_binary() {
	local container
	container=$(docker create "$PGMESH_IMAGE") &&
		mkdir -p "$(dirname "$1")" &&
		docker cp --quiet "$container:/usr/local/bin/pgmesh" "$1" &&
		docker rm "$container" >/dev/null
}
