#!/bin/sh
# Makes the files of the container image: rootfs.sh FOLDER makes FOLDER/root and
# FOLDER/data. Needs Go, and a bundle of certificates of this system.
#
#   VERSION   version of the program (0.1.0-dev)
#   GOARCH    processor that it is for (this one)
set -eu
out=$1
bundle=/etc/ssl/certs/ca-certificates.crt
[ -r "$bundle" ] || { echo "rootfs.sh: there is no $bundle: install ca-certificates" >&2; exit 1; }
mkdir -p "$out/root/bin" "$out/root/etc/ssl/certs" "$out/root/usr/share/doc/agentctl" "$out/data"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X agentctl/agent/version.Version=${VERSION:-0.1.0-dev}" \
	-o "$out/root/bin/agentctl" ./cmd/agentctl
# Called by these names it is serf, and Kong's event script.
ln -sf agentctl "$out/root/bin/serf"
ln -sf agentctl "$out/root/bin/serf_event.sh"
GOOS='' GOARCH='' go run ./scripts/packaging/licenses >"$out/root/usr/share/doc/agentctl/copyright"
cp "$bundle" "$out/root/etc/ssl/certs/"
echo "agentctl:x:65532:65532:agentctl:/data:/bin/false" >"$out/root/etc/passwd"
echo "agentctl:x:65532:" >"$out/root/etc/group"
