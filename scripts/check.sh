#!/usr/bin/env bash
# The whole check: installs what it needs, says what, and runs every test.
# Works on a fresh Debian machine with Go, git and root. CI runs this and
# nothing else. Every step runs, also after one has failed.
#
#   scripts/check.sh            all of it
#   FUZZTIME=1m scripts/check.sh   fuzz each target for longer (3s by default)
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/debian.sh

STATICCHECK=v0.8.2
FUZZTIME=${FUZZTIME:-3s}
START=$SECONDS
FAILED=()
SKIPPED=()
TMP=$(mktemp -d)
trap 'chmod -R u+w "$TMP" 2>/dev/null; rm -rf "$TMP"' EXIT

say() { printf '\n== %s\n' "$*"; }

# step NAME COMMAND... runs a command and notes whether it failed.
step() {
	local name=$1 begin=$SECONDS
	shift
	say "$name"
	if "$@"; then
		printf -- '-- ok: %s (%ds)\n' "$name" $((SECONDS - begin))
	else
		printf -- '-- FAILED: %s (%ds)\n' "$name" $((SECONDS - begin))
		FAILED+=("$name")
	fi
}

# debian COMMAND PACKAGE... installs packages where a command, or a file, is
# missing.
debian() {
	local command=$1
	shift
	{ command -v "$command" >/dev/null || [ -e "$command" ]; } && return 0
	echo "installing from Debian: $*"
	if [ -z "${APT_UPDATED:-}" ]; then
		apt-get update -q >"$TMP/apt.log" 2>&1 || { cat "$TMP/apt.log"; return 1; }
		APT_UPDATED=1
	fi
	debian_install "$@" >"$TMP/apt.log" 2>&1 || { cat "$TMP/apt.log"; return 1; }
}

prepare() {
	debian gcc gcc libc6-dev || return 1 # the race detector needs cgo
	debian curl curl || return 1
	# The gateway of testdata/gateway, which is tested on a real nginx.
	debian /usr/lib/nginx/modules/ngx_http_lua_module.so nginx libnginx-mod-http-lua || return 1
	debian /usr/share/lua/5.1/cjson lua-cjson || return 1
	export AGENTCTL_TEST_NGINX=1 # without it the tests would be skipped, not fail
	# The servers that presets are tested on.
	debian varnishd varnish || return 1
	debian /usr/lib/nginx/modules/ngx_http_cache_purge_module.so nginx libnginx-mod-http-cache-purge || return 1
	debian squid squid || return 1
	debian caddy caddy || return 1
	export AGENTCTL_TEST_CACHES=1 # likewise
	# What completions and the man page are tried with.
	debian zsh zsh || return 1
	debian fish fish || return 1
	debian mandoc mandoc || return 1
	echo "installing into a temporary folder: staticcheck $STATICCHECK"
	GOBIN="$TMP" go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK" || return 1
	# Tests take stock serf from this folder; see scripts/stock.
	export AGENTCTL_STOCK_SERF_DIR="$TMP/serf"
	for version in v0.11.0 v0.8.5; do
		echo "installing into a temporary folder: stock serf $version"
		mkdir -p "$TMP/install" "$AGENTCTL_STOCK_SERF_DIR"
		(cd "$TMP/install" && CGO_ENABLED=0 GOBIN="$TMP/install" go install "github.com/hashicorp/serf/cmd/serf@$version") || return 1
		mv "$TMP/install/serf" "$AGENTCTL_STOCK_SERF_DIR/serf-$version" || return 1
	done
}

formatted() {
	local out
	out=$(gofmt -l .)
	[ -z "$out" ] || { echo "not formatted by gofmt:"; echo "$out"; return 1; }
}

# fuzz_one runs one fuzz target. Go's fuzzer at times reports its own end of time
# as a failure, with no input that failed: then it is run again.
fuzz_one() {
	local try log
	log=$(mktemp "$TMP/fuzz.XXXXXX") || return 1
	for try in 1 2 3 4; do
		go test -run='^$' -fuzz="^$2\$" -fuzztime="$FUZZTIME" -parallel=1 "$1" </dev/null >"$log" 2>&1 && return 0
		if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
			break
		fi
	done
	cat "$log"
	return 1
}

# fuzz_half runs the odd lines of the list of targets for 1, the even ones for 0.
fuzz_half() {
	local package target bad=0
	while read -r package target; do
		echo "$package $target"
		fuzz_one "$package" "$target" || bad=1
	done < <(awk "NR % 2 == $1" "$TMP/fuzz.list")
	return $bad
}

# fuzz runs each fuzz target of each package for a few seconds, two at a time.
fuzz() {
	local package bad=0
	for package in $(go list ./...); do
		go test -list '^Fuzz' "$package" | sed -n "s#^Fuzz#$package &#p"
	done >"$TMP/fuzz.list"
	[ -s "$TMP/fuzz.list" ] || { echo "there are no fuzz targets"; return 1; }
	fuzz_half 1 &
	fuzz_half 0 || bad=1
	wait $! || bad=1
	return $bad
}

# mountable tells whether file systems can be mounted, which tests fill on purpose.
mountable() {
	mkdir -p "$TMP/mount" && mount -t tmpfs -o size=1m tmpfs "$TMP/mount" 2>/dev/null && umount "$TMP/mount"
}

# networkable tells whether networks can be made, which tests cut in two and
# measure, and filterable whether packets can be dropped in them.
networkable() {
	debian ip iproute2 >/dev/null 2>&1
	ip netns add "agentctl-$$" 2>/dev/null && ip netns del "agentctl-$$"
}

filterable() {
	debian nft nftables >/dev/null 2>&1
	ip netns add "agentctl-$$" 2>/dev/null || return 1
	ip netns exec "agentctl-$$" nft 'add table ip t; add chain ip t c; add rule ip t c numgen random mod 100 < 10 drop' 2>/dev/null
	local filtered=$?
	ip netns del "agentctl-$$"
	return $filtered
}

# addressable tells whether a test can listen at an address of this machine.
addressable() {
	printf 'package main\nimport "net"\nfunc main() { if _, err := net.Listen("tcp", "%s"); err != nil { panic(err) } }\n' "$1" >"$TMP/listen.go"
	go run "$TMP/listen.go" 2>/dev/null
}

# containers runs the image in containers. Scripts in there need a shell.
containers() {
	debian busybox busybox-static || return 1
	scripts/container.sh
}

# packages has a clean Debian install, upgrade and remove what is packaged.
packages() {
	debian mmdebstrap mmdebstrap || return 1
	debian rpm rpm || return 1
	scripts/packages.sh
}

# manifests checks what is for Kubernetes: a module of its own.
manifests() {
	(cd scripts/packaging/kubernetes && go mod tidy -diff && go vet ./... &&
		"$TMP/staticcheck" -checks=inherit,-ST1005 ./... && go test ./...)
}

benchmarks() { go test -run='^$' -bench=. -benchtime=1x ./...; }

# crossbuild builds and vets for the other systems that are supported.
crossbuild() {
	local target
	for target in linux/arm64 darwin/arm64 windows/amd64; do
		echo "$target"
		CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go vet ./... || return 1
	done
}

# monitoring checks the dashboard and the alert rules, in a module of its own:
# Prometheus' parser is large.
monitoring() {
	(cd scripts/packaging/monitoring && go mod tidy -diff && go vet ./... &&
		"$TMP/staticcheck" -checks=inherit,-ST1005 ./... && go test -race -shuffle=on -timeout=10m ./...)
}

go version || exit 1
mountable || SKIPPED+=("tests on a full disk: they need Linux, and root that may mount")
networkable || SKIPPED+=("the tests that cut a cluster in two, that measure its cost at rest, and of which address is advertised: they need Linux, and root that may make network namespaces")
unshare --pid --fork --mount-proc true 2>/dev/null || SKIPPED+=("the agent as process 1: it needs Linux, and root that may make namespaces of processes")
filterable || SKIPPED+=("the test that cuts links and drops packets at random: it needs nftables in network namespaces")
unshare -n -m true 2>/dev/null || SKIPPED+=("the commands of the pages: running them needs Linux, and root that may make networks and mounts")
addressable "[::1]:0" || SKIPPED+=("links over IPv6: this machine has no ::1")
addressable "127.64.0.1:0" || SKIPPED+=("links to an advertised address: there is no loopback address but 127.0.0.1")
step "install what the check needs" prepare
for server in varnishd nginx squid caddy; do
	command -v $server >/dev/null || SKIPPED+=("presets on a real $server: it is not installed")
done
step "gofmt" formatted
step "go vet" go vet ./...
step "go mod tidy" go mod tidy -diff
# Not ST1005: serf's error texts begin with capitals, and are kept to the letter.
step "staticcheck" "$TMP/staticcheck" -checks=inherit,-ST1005 ./...
step "go vet for other systems" crossbuild
step "go test -race -shuffle=on" go test -race -shuffle=on -timeout=20m ./...
step "the walk through a gateway with several workers" scripts/demo-gateway.sh
step "Kong's start command, 50 times" env AGENTCTL_TEST_KONG_LIVES=50 go test -count=1 -run '^TestKongStartsIt$' ./cmd/agentctl
step "dashboard and alert rules, against an agent" monitoring
step "fuzz targets, $FUZZTIME each" fuzz
step "benchmarks, once each" benchmarks
step "the manifests for Kubernetes" manifests
if docker info >/dev/null 2>&1 && command -v docker-compose >/dev/null; then
	step "the container image, and three containers in trouble" containers
	step "the packages, in a clean Debian" packages
else
	SKIPPED+=("the container image, the compose file and the packages in a clean Debian: they need docker and docker-compose")
fi

say "done after $((SECONDS - START))s"
[ ${#SKIPPED[@]} -eq 0 ] || printf 'could not run here: %s\n' "${SKIPPED[@]}"
if [ ${#FAILED[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${FAILED[@]}"
	exit 1
fi
echo "all passed"
