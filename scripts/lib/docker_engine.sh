# shellcheck shell=bash
# The Docker engine of this machine. Needs steps.sh and packages.sh.

docker_need() {
	local error
	packages_need docker
	error=$(docker version 2>&1 >/dev/null) ||
		die "the Docker engine does not answer: ${error##*$'\n'} (start it, or name it by DOCKER_HOST; you must be root or in the group docker)"
}
