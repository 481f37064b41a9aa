#!/usr/bin/env bash
# The whole check: installs what it needs, says what, and runs every test.
# Works on a fresh Debian machine with Go, git and root. CI runs this and
# nothing else. Every step runs, also after one has failed.
#
#   scripts/check.sh            all of it
#   FUZZTIME=1m scripts/check.sh   fuzz each target for longer (5s by default)
set -u
cd "$(dirname "$0")/.." || exit 1

STATICCHECK=v0.8.2
FUZZTIME=${FUZZTIME:-5s}
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

# debian COMMAND PACKAGE... installs packages where a command is missing.
debian() {
	local command=$1
	shift
	command -v "$command" >/dev/null && return 0
	echo "installing from Debian: $*"
	if [ -z "${APT_UPDATED:-}" ]; then
		apt-get update -q >"$TMP/apt.log" 2>&1 || { cat "$TMP/apt.log"; return 1; }
		APT_UPDATED=1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" >"$TMP/apt.log" 2>&1 ||
		{ cat "$TMP/apt.log"; return 1; }
}

prepare() {
	debian gcc gcc libc6-dev || return 1 # the race detector needs cgo
	debian curl curl || return 1
	echo "installing into a temporary folder: staticcheck $STATICCHECK"
	GOBIN="$TMP" go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK" || return 1
	# Tests take stock serf from this folder; see scripts/stock.
	export AGENTCTL_STOCK_SERF_DIR="$TMP/serf"
	for version in v0.11.0 v0.8.5; do
		echo "installing into a temporary folder: stock serf $version"
		mkdir -p "$TMP/install" "$AGENTCTL_STOCK_SERF_DIR"
		(cd "$TMP/install" && GOBIN="$TMP/install" go install "github.com/hashicorp/serf/cmd/serf@$version") || return 1
		mv "$TMP/install/serf" "$AGENTCTL_STOCK_SERF_DIR/serf-$version" || return 1
	done
}

formatted() {
	local out
	out=$(gofmt -l .)
	[ -z "$out" ] || { echo "not formatted by gofmt:"; echo "$out"; return 1; }
}

# fuzz_one runs one fuzz target. Go's fuzzer at times reports its own end of time
# as a failure, with no input that failed: then it is run again, once.
fuzz_one() {
	local try
	for try in 1 2; do
		go test -run='^$' -fuzz="^$2\$" -fuzztime="$FUZZTIME" "$1" >"$TMP/fuzz.log" 2>&1 && return 0
		if grep -q 'Failing input' "$TMP/fuzz.log" || ! grep -q 'context deadline exceeded' "$TMP/fuzz.log"; then
			break
		fi
	done
	cat "$TMP/fuzz.log"
	return 1
}

# fuzz runs each fuzz target of each package for a few seconds.
fuzz() {
	local package target bad=0
	for package in $(go list ./...); do
		for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
			echo "$package $target"
			fuzz_one "$package" "$target" || bad=1
		done
	done
	return $bad
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

go version || exit 1
step "install what the check needs" prepare
step "gofmt" formatted
step "go vet" go vet ./...
step "go mod tidy" go mod tidy -diff
# Not ST1005: serf's error texts begin with capitals, and are kept to the letter.
step "staticcheck" "$TMP/staticcheck" -checks=inherit,-ST1005 ./...
step "go vet for other systems" crossbuild
step "go test -race -shuffle=on" go test -race -shuffle=on -timeout=20m ./...
step "Kong's start command, 50 times" env AGENTCTL_TEST_KONG_LIVES=50 go test -count=1 -run '^TestKongStartsIt$' ./cmd/agentctl
step "fuzz targets, $FUZZTIME each" fuzz
step "benchmarks, once each" benchmarks

say "done after $((SECONDS - START))s"
[ ${#SKIPPED[@]} -eq 0 ] || printf 'could not run here: %s\n' "${SKIPPED[@]}"
if [ ${#FAILED[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${FAILED[@]}"
	exit 1
fi
echo "all passed"
