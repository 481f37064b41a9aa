#!/usr/bin/env bash
# Builds the container image, with the Go of this machine and no registry, for
# each processor that is named, amd64 and arm64 if none is. They are tagged
# agentctl:VERSION-PROCESSOR; that of this machine's processor agentctl:latest too.
#
#   scripts/image.sh [PROCESSOR...]
#
#   VERSION   of the program and the image (0.1.0-dev)
#   IMAGE     name of the image (agentctl)
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=${VERSION:-0.1.0-dev}
IMAGE=${IMAGE:-agentctl}
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
export VERSION
[ $# -gt 0 ] || set -- amd64 arm64

command -v docker >/dev/null || { echo "scripts/image.sh: there is no docker command here" >&2; exit 1; }
HOST=$(docker version -f '{{.Server.Arch}}')
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build ARCH FLAG... builds an image of the files in $tmp/ARCH and prints its ID.
build() {
	local arch=$1
	shift
	docker build -q --target prebuilt --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" "$@" \
		-f scripts/packaging/container/Dockerfile "$tmp/$arch" 2>"$tmp/log" || { cat "$tmp/log" >&2; return 1; }
}

# relabel ID ARCH makes an image that says it is for ARCH and prints its ID: the
# old builder takes all that it builds from scratch for the engine's processor.
relabel() {
	local dir=$tmp/saved config
	rm -rf "$dir" && mkdir "$dir"
	docker save "$1" | tar -x -C "$dir"
	config=$(sed -n 's/.*"Config":"\([^"]*\)".*/\1/p' "$dir/manifest.json")
	sed -i "s/\"architecture\":\"$HOST\"/\"architecture\":\"$2\"/" "$dir/$config"
	tar -c -C "$dir" . | docker load -q | sed 's/.*: //'
	docker image rm "$1" >/dev/null
}

for arch; do
	GOARCH=$arch GOOS=linux scripts/packaging/container/rootfs.sh "$tmp/$arch"
	if docker buildx version >/dev/null 2>&1; then
		id=$(build "$arch" --platform "linux/$arch")
	else
		id=$(build "$arch")
		[ "$arch" = "$HOST" ] || id=$(relabel "$id" "$arch")
	fi
	docker tag "$id" "$IMAGE:$VERSION-$arch"
	[ "$arch" != "$HOST" ] || docker tag "$id" "$IMAGE:latest"
	docker image inspect -f "$IMAGE:$VERSION-$arch  {{.Os}}/{{.Architecture}}  {{.Size}} bytes" "$id"
done
