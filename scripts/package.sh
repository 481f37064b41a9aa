#!/usr/bin/env bash
# Makes the packages agentctl_VERSION_PROCESSOR.deb and .rpm in a folder.
#
#   scripts/package.sh FOLDER [PROCESSOR...]    amd64 and arm64 if none is named
#
#   VERSION   of the program and the packages (0.1.0-dev)
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 1; }
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."

# The newest whose modules can all be had: 2.46 and later need some for msix and rpm
# that the module proxy refuses.
NFPM=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
export VERSION=${VERSION:-0.1.0-dev} ARCH FILES UNITS ZSH
[ $# -gt 0 ] || set -- amd64 arm64

FILES=$(mktemp -d)
trap 'rm -rf "$FILES"' EXIT
mkdir -p "$out"
build() { # PROCESSOR FILE
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false -ldflags "-s -w -X agentctl/agent/version.Version=$VERSION" -o "$2" ./cmd/agentctl
}
build "$(go env GOHOSTARCH)" "$FILES/host"
"$FILES/host" man | gzip -9n >"$FILES/agentctl.1.gz"
"$FILES/host" completion bash >"$FILES/agentctl.bash"
"$FILES/host" completion zsh >"$FILES/_agentctl"
"$FILES/host" completion fish >"$FILES/agentctl.fish"
go run ./scripts/packaging/licenses >"$FILES/copyright"
for ARCH; do
	build "$ARCH" "$FILES/agentctl"
	for packager in deb rpm; do
		case $packager in
		deb) UNITS=/lib/systemd/system ZSH=/usr/share/zsh/vendor-completions ;;
		rpm) UNITS=/usr/lib/systemd/system ZSH=/usr/share/zsh/site-functions ;;
		esac
		go run "$NFPM" package -f scripts/packaging/package/nfpm.yaml -p $packager -t "$out"
	done
done
