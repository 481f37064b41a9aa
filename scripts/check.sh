#!/usr/bin/env bash
# The whole check: installs what it needs, says what, and runs the tests of all
# three rings. Works on a fresh Debian machine with Go, git and root. CI runs this
# and nothing else. Every step runs, also after one has failed.
#
#   scripts/check.sh            all tests; the long ones in a short form
#   scripts/check.sh -all       all of it at length, for some hours
#   FUZZTIME=1m scripts/check.sh   fuzz each target for longer (2s by default)
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/debian.sh

ALL=
case "${1-}" in
'') ;;
-all) ALL=1 ;;
*)
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

STATICCHECK=v0.8.2
FUZZTIME=${FUZZTIME:-${ALL:+1m}}
FUZZTIME=${FUZZTIME:-2s}
START=$SECONDS
FAILED=()
SKIPPED=()
TIMES=()
TMP=$(mktemp -d)
trap 'chmod -R u+w "$TMP" 2>/dev/null; rm -rf "$TMP"' EXIT

# All that is built without the race detector is built as the packages are. Any other
# way would compile every dependency once more.
export CGO_ENABLED=0 GOFLAGS=-trimpath

# Tests take these from the environment.
export AGENTCTL_TEST_NOT_RUN=$TMP/not-run     # they tell what cannot run here
export AGENTCTL_TEST_PROGRAM_DIR=$TMP/program # see scripts/testkit/proc
export AGENTCTL_STOCK_SERF_DIR=$TMP/serf      # see scripts/testkit/stock
export AGENTCTL_TEST_LONG=$ALL                # see scripts/testkit

say() { printf '\n== %s\n' "$*"; }

# step NAME COMMAND... runs a command and notes whether it failed, or, if its status is
# 77, that it could not run here; then the command sets WHY.
step() {
	local name=$1 begin=$SECONDS result=ok
	shift
	say "$name"
	"$@"
	case $? in
	0) ;;
	77)
		result="could not run here"
		SKIPPED+=("$name: $WHY")
		;;
	*)
		result=FAILED
		FAILED+=("$name")
		;;
	esac
	printf -- '-- %s: %s (%ds)\n' "$result" "$name" $((SECONDS - begin))
	TIMES+=("$(printf '%5ds  %s' $((SECONDS - begin)) "$name")")
}

# beside FUNCTION... begins to run functions that compile, one after the other and at
# a lower priority, beside the steps that follow. outcome FUNCTION, to be run as a
# step, waits for their end and prints what the function has printed. Only one call of
# beside runs at a time.
beside() {
	local function
	(
		renice -n 5 "$BASHPID" >/dev/null
		for function; do
			"$function" >"$TMP/$function.log" 2>&1 </dev/null
			echo $? >"$TMP/$function.status"
		done
	) &
	BESIDE=$!
}

outcome() {
	wait "$BESIDE"
	cat "$TMP/$1.log"
	return "$(cat "$TMP/$1.status")"
}

# debian COMMAND PACKAGE... installs packages if a command, or a file, is missing.
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
	# The servers that presets are tested on.
	debian varnishd varnish || return 1
	debian /usr/lib/nginx/modules/ngx_http_cache_purge_module.so nginx libnginx-mod-http-cache-purge || return 1
	debian squid squid || return 1
	debian caddy caddy || return 1
	# Networks that tests cut, and packets that they drop.
	debian ip iproute2 || return 1
	debian nft nftables || return 1
	# What completions and the man page are tried with.
	debian zsh zsh || return 1
	debian fish fish || return 1
	debian mandoc mandoc || return 1
	debian tmux tmux || return 1 # the terminal of "agentctl top"
	echo "installing into a temporary folder: staticcheck $STATICCHECK"
	GOBIN="$TMP" go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK" || return 1
}

# stockserf builds the releases of serf that system tests run against, into a
# temporary folder.
stockserf() { go test -count=1 -v ./scripts/testkit/stock; }

formatted() {
	local out
	out=$(gofmt -l .)
	[ -z "$out" ] || { echo "not formatted by gofmt:"; echo "$out"; return 1; }
}

# with LINE prints the packages whose tests have a line that begins so.
with() {
	git grep -lE "^$1" -- '*_test.go' ':!scripts/packaging' | xargs -n1 dirname | sort -u | sed 's#^#./#'
}

# raced runs go with the race detector, which needs cgo. Without -trimpath, since a test
# looks for the source of serf.
raced() {
	local command=$1
	shift
	CGO_ENABLED=1 GOFLAGS='' go "$command" -race "$@"
}

# unit runs the tests beside the code, systems those of the whole program. Packages are
# tested side by side, each on one core: on more, bubbles of synctest crash the race
# detector now and then (go.dev/issue/78156). A test program does not wait for a second
# before it ends, as the race detector has it do. Models are checked on as many random
# histories as RAPID_CHECKS says.
unit() {
	RAPID_CHECKS=${ALL:+500}
	GORACE=atexit_sleep_ms=0 RAPID_CHECKS=${RAPID_CHECKS:-50} raced test -vet=off -shuffle=on -cpu=1 -timeout=20m $(go list ./... | grep -v '/scripts/systest')
}

systems() {
	mkdir -p "$AGENTCTL_TEST_PROGRAM_DIR"
	go build -o "$AGENTCTL_TEST_PROGRAM_DIR/plain/agentctl" ./cmd/agentctl || return 1
	raced build -o "$AGENTCTL_TEST_PROGRAM_DIR/agentctl" ./cmd/agentctl || return 1
	local limit=20m # for a folder of them
	[ -z "$ALL" ] || limit=3h
	raced test -vet=off -shuffle=on -count=1 -p 1 -timeout=$limit ./scripts/systest/...
}

# fuzzbuild builds the fuzz targets of each package, for the coverage that guides
# the fuzzer, and lists them.
fuzzbuild() {
	local dir target
	mkdir "$TMP/fuzz" || return 1
	for dir in $(with 'func Fuzz'); do
		go test -c -fuzz=. -o "$TMP/fuzz/${dir//\//-}.test" "$dir" || return 1
		for target in $(cat "$dir"/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p'); do
			echo "$dir $target" >>"$TMP/fuzz/list"
		done
	done
}

# fuzz_one runs a fuzz target for a few seconds. Go's fuzzer at times reports its own
# end of time as a failure, with no input that failed: then it is run again. On a busy
# machine that time may not be enough for the known inputs: then it is run for as many
# new ones.
fuzz_one() {
	local dir=$1 target=$2 test=$TMP/fuzz/${1//\//-}.test log most=$FUZZTIME
	log=$test.$target.log
	for _ in 1 2 3 4; do
		(cd "$dir" && "$test" -test.run='^$' -test.fuzz="^$target\$" -test.fuzztime="$most" \
			-test.parallel=1 -test.fuzzcachedir="$TMP/fuzz/cache") </dev/null >"$log" 2>&1 &&
			grep -q 'execs:' "$log" && return 0 # it has run
		if grep -q '^PASS' "$log"; then
			most=1000x
		elif grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
			break
		fi
	done
	cat "$log"
	return 1
}

# fuzz_half runs the odd targets of the list for 1, the even ones for 0.
fuzz_half() {
	local dir target bad=0
	while read -r dir target; do
		echo "$dir $target"
		fuzz_one "$dir" "$target" || bad=1
	done < <(awk "NR % 2 == $1" "$TMP/fuzz/list")
	return $bad
}

# fuzz runs all fuzz targets, two at a time.
fuzz() {
	local bad=0 half
	outcome fuzzbuild || return 1
	[ -s "$TMP/fuzz/list" ] || { echo "there are no fuzz targets"; return 1; }
	fuzz_half 1 &
	half=$!
	fuzz_half 0 || bad=1
	wait $half || bad=1
	return $bad
}

# vulnerabilities asks a database on the internet about the code that is called.
vulnerabilities() {
	WHY="https://vuln.go.dev does not answer, or not in time"
	outcome vulncheck
}

vulncheck() { scripts/vulnerabilities.sh; }

# newer lists the modules of which there are newer versions. They are no fault of the
# code: whoever keeps it decides when to take them.
newer() (
	set -e -o pipefail
	for dir in . scripts/packaging/kubernetes scripts/packaging/monitoring scripts/bench/peers; do
		echo "$dir/go.mod:"
		cd "$dir"
		modules=$(go list -deps -test -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' ./... | sort -u)
		go list -m -u -f '{{with .Update}}  {{.Path}} {{$.Version}}, newest {{.Version}}{{end}}' $modules | sed '/^$/d'
		cd "$OLDPWD"
	done
)

benchmarks() { go test -vet=off -run='^$' -bench=. -benchtime=1x $(with 'func Benchmark'); }

# containers runs the image in containers. Scripts in there need a shell.
containers() {
	debian busybox busybox-static || return 1
	scripts/container.sh
}

# cleandebian makes the Debian for packages, which has it install, upgrade and remove
# what is packaged.
cleandebian() {
	[ -n "$DOCKER" ] || return 0
	debian mmdebstrap mmdebstrap && debian_tar "$TMP/debian.tar"
}

packages() {
	outcome cleandebian || return 1
	debian rpm rpm || return 1
	scripts/packages.sh "$TMP/debian.tar"
}

# manifests checks what is for Kubernetes: a module of its own.
manifests() {
	(cd scripts/packaging/kubernetes && go mod tidy -diff && go vet ./... &&
		"$TMP/staticcheck" -checks=inherit,-ST1005 ./... && go test ./...)
}

# peers checks what the measurements run beside brokers: a module of its own.
peers() {
	(cd scripts/bench/peers && go mod tidy -diff && go vet ./... &&
		"$TMP/staticcheck" -checks=inherit,-ST1005 ./... && go test -vet=off -shuffle=on ./...)
}

# crossbuild builds for the other systems that are supported, and vets for Windows,
# which differs most. At length it vets for all.
crossbuild() {
	local target verb
	for target in windows/amd64 darwin/arm64 ${ALL:+linux/arm64}; do
		verb=build
		[ -z "$ALL" ] && [ "$target" != windows/amd64 ] || verb=vet
		echo "go $verb for $target"
		GOOS=${target%/*} GOARCH=${target#*/} go $verb ./... || return 1
	done
}

# monitoring checks the dashboard and the alert rules, in a module of its own:
# Prometheus' parser is large. monitoringbuild compiles it, and checks its code.
monitoringbuild() {
	(cd scripts/packaging/monitoring && go mod tidy -diff && go vet ./... &&
		"$TMP/staticcheck" -checks=inherit,-ST1005 ./... && go test -vet=off -run='^$' ./...)
}

monitoring() {
	outcome monitoringbuild || return 1
	(cd scripts/packaging/monitoring && go test -vet=off -shuffle=on -timeout=10m ./...)
}

DOCKER=
! docker info >/dev/null 2>&1 || ! command -v docker-compose >/dev/null || DOCKER=1
go version || exit 1
beside stockserf # while other things are downloaded
step "install what the check needs" prepare
step "gofmt" formatted
step "go vet" go vet ./...
step "go mod tidy" go mod tidy -diff
# Not ST1005: serf's error texts begin with capitals, and are kept to the letter.
step "staticcheck" "$TMP/staticcheck" -checks=inherit,-ST1005 ./...
step "stock serf, in six releases" outcome stockserf
step "unit and model tests" unit
# System tests wait for processes most of the time.
beside crossbuild manifests monitoringbuild peers fuzzbuild cleandebian vulncheck
step "system tests" systems
step "other systems" outcome crossbuild
step "known vulnerabilities" vulnerabilities
step "the manifests for Kubernetes" outcome manifests
step "the subscribers of brokers, for measurements" outcome peers
step "the walk through a gateway with several workers" scripts/demo-gateway.sh
step "dashboard and alert rules, against an agent" monitoring
step "fuzz targets, $FUZZTIME each" fuzz
step "benchmarks, once each" benchmarks
if [ -n "$DOCKER" ]; then
	step "the container image, and three containers in trouble" containers
	step "the packages, in a clean Debian" packages
else
	SKIPPED+=("the container image, the compose file and the packages in a clean Debian: they need docker and docker-compose")
fi
if [ -n "$ALL" ]; then
	step "cuts and losses at length" scripts/partition.sh
	step "newer versions of modules" newer
fi
while read -r line; do SKIPPED+=("$line"); done < <(sort -u "$AGENTCTL_TEST_NOT_RUN" 2>/dev/null)

say "done after $((SECONDS - START))s"
printf '%s\n' "${TIMES[@]}"
[ ${#SKIPPED[@]} -eq 0 ] || printf 'could not run here: %s\n' "${SKIPPED[@]}"
if [ ${#FAILED[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${FAILED[@]}"
	exit 1
fi
echo "all passed"
