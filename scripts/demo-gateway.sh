#!/usr/bin/env bash
# A gateway with several workers, end to end: three nodes on loopback, each an
# nginx of four workers (testdata/gateway) with an agent beside it. It changes an
# entity on one node and shows what each worker of each node serves. About half a
# minute; nothing is left behind. Needs Go, curl, and nginx with its Lua module.
#
#   scripts/demo-gateway.sh                  gateways publish as Kong does: a
#                                            program is started for each event
#   scripts/demo-gateway.sh -publish=http    they ask the agent by HTTP instead
#   scripts/demo-gateway.sh -install         install what is missing from Debian
#   scripts/demo-gateway.sh -port=20000      use the ports from there (18000)
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/await.sh
. scripts/debian.sh

PUBLISH=fork PORT=18000 INSTALL=
PACKAGES="curl nginx libnginx-mod-http-lua lua-cjson"
WORKERS=4
DIR=
declare -A PID=() SERVED=() # of each process by its name; what the workers served last

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; }
say() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; }
die() {
	echo "demo-gateway.sh: $*" >&2
	exit 1
}

for arg in "$@"; do
	case $arg in
	-publish=fork | -publish=http) PUBLISH=${arg#*=} ;;
	-port=*[!0-9]* | -port=) die "$arg is not a port, such as -port=20000" ;;
	-port=*) PORT=${arg#*=} ;;
	-install) INSTALL=1 ;;
	-h | -help | --help) usage && exit 0 ;;
	*) die "$arg is not known; -help lists what is" ;;
	esac
done
[ "$PORT" -ge 1024 ] && [ "$PORT" -le 65000 ] || die "-port=$PORT is not between 1024 and 65000"

# Each node has ten ports: of the proxy, the admin API, and the agent's gossip, RPC
# and HTTP.
proxy() { echo "127.0.0.1:$((PORT + 10 * $1))"; }
admin() { echo "127.0.0.1:$((PORT + 10 * $1 + 1))"; }
agent_at() { echo "127.0.0.1:$((PORT + 10 * $1 + 2 + $2))"; }
DATABASE=127.0.0.1:$((PORT + 1)) ORIGIN=127.0.0.1:$((PORT + 2))

# The end: whatever was started is ended, and waited for. Where something went
# wrong the logs stay.
finish() {
	local status=$?
	[ ${#PID[@]} = 0 ] || kill "${PID[@]}" 2>/dev/null
	wait
	if [ $status != 0 ] && [ -n "$DIR" ] && [ -d "$DIR/node1" ]; then
		echo "demo-gateway.sh: the logs are in $DIR" >&2
	else
		[ -z "$DIR" ] || rm -rf "$DIR"
		[ $status != 0 ] || say "Stopped: all processes have ended, and their files are gone"
	fi
}

listens() { (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null; }

prepare() {
	if ! { testdata/gateway/run.sh -check && command -v curl >/dev/null; } 2>/dev/null; then
		if [ -z "$INSTALL" ]; then
			die "this needs Debian's $PACKAGES. Run it with -install, as root, or install them"
		fi
		apt-get update -q && debian_install $PACKAGES || die "the packages could not be installed; see above"
	fi
	command -v go >/dev/null || die "this needs Go, to build agentctl: https://go.dev/dl"
	local addr
	for addr in $DATABASE $ORIGIN $(for i in 1 2 3; do proxy $i; admin $i; agent_at $i 0; agent_at $i 1; agent_at $i 2; done); do
		listens "$addr" && die "$addr is in use; choose other ports, such as -port=$((PORT + 2000))"
	done
	DIR=$(mktemp -d) && chmod 755 "$DIR" || die "no temporary folder could be made"
	CGO_ENABLED=0 go build -o "$DIR/agentctl" ./cmd/agentctl || die "agentctl could not be built; see above"
	ln -s agentctl "$DIR/serf"
}

# settled NAME ADDRESS says whether an nginx can be connected to, or has ended. That
# it has its ports shows in its nginx.pid.
settled() { ! running "$1" || { [ -s "$DIR/$1/nginx.pid" ] && listens "$2"; }; }
running() { kill -0 "${PID[$1]}" 2>/dev/null; }

# start_nginx TEMPLATE NAME ADDRESS NAME=VALUE... starts an nginx.
start_nginx() {
	local template=$1 name=$2 addr=$3
	shift 3
	testdata/gateway/run.sh "$template" "$DIR/$name" "$@" >"$DIR/$name.out" 2>&1 &
	PID[$name]=$!
	await "$name answers at $addr" settled "$name" "$addr"
	running "$name" || die "nginx of $name has ended: $(tail -n 20 "$DIR/$name.out" | sort -u | head -n 3)"
}

start_agent() {
	"$DIR/agentctl" agent -node="node$1" -profile=local -bind="$(agent_at "$1" 0)" \
		-rpc-addr="$(agent_at "$1" 1)" -http-addr="$(agent_at "$1" 2)" -data-dir="$DIR/journal$1" \
		-gateway="http://$(admin "$1")/cluster/events/" -retry-join="$(agent_at 1 0)" \
		-broadcast-timeout=1s -drain-timeout=2s >>"$DIR/agent$1.log" 2>&1 &
	PID[agent$1]=$!
}

start_node() {
	start_nginx node.conf "node$1" "$(proxy "$1")" NODE="node$1" PROXY="$(proxy "$1")" ADMIN="$(admin "$1")" \
		DATABASE="$DATABASE" PUBLISH="$PUBLISH" SERF_PATH="$DIR/serf" \
		RPC_ADDR="$(agent_at "$1" 1)" HTTP_ADDR="$(agent_at "$1" 2)"
}

# stop NAME [SIGNAL] ends a process, and waits for it.
stop() {
	kill "-${2:-TERM}" "${PID[$1]}"
	wait "${PID[$1]}" 2>/dev/null
	unset "PID[$1]"
}

# rows prints the names of the nodes that the database knows.
rows() { curl -s "http://$(admin 1)/cluster" | grep -o '"id":"[^"]*"' | cut -d'"' -f4 | sort | tr '\n' ' '; }
joined() { [ "$(rows)" = "node1 node2 node3 " ]; }
reachable() { "$DIR/agentctl" info -rpc-addr="$(agent_at "$1" 1)" >/dev/null 2>&1; }

start() {
	start_nginx database.conf database "$DATABASE" DATABASE="$DATABASE" ORIGIN="$ORIGIN"
	local i
	for i in 1 2 3; do
		start_node $i
		start_agent $i
		await "the agent of node$i is up" reachable $i
	done
	await "every node knows the others" joined
}

# serves prints what each worker of a node serves at /hello from its cache: the
# last word of the page, or the status. A new connection goes to one of the
# workers, whichever the system chooses.
serves() {
	local node=$1 tries answer worker status left=$WORKERS
	local -A have=()
	for ((tries = 0; tries < 200 && left > 0; tries++)); do
		# Twice on one connection: the first may have to ask the database.
		answer=$(curl -s -o /dev/null -o "$DIR/body" -D "$DIR/head" -w '%{http_code}\n' \
			"http://$(proxy "$node")/hello" "http://$(proxy "$node")/hello" | tail -1)
		worker=$(sed -n 's/^X-Worker: \([0-9]*\).*/\1/p' "$DIR/head" | tail -1)
		[ -n "$worker" ] && [ -z "${have[$worker]:-}" ] && tail -15 "$DIR/head" | grep -q '^X-Cache: hit' || continue
		status=$answer
		[ "$answer" != 200 ] || status=$(sed 's|.*/||' "$DIR/body")
		have[$worker]=$status
		left=$((left - 1))
	done
	[ $left = 0 ] || die "200 connections to node$node did not reach all its $WORKERS workers"
	for ((worker = 0; worker < WORKERS; worker++)); do echo "${have[$worker]}"; done
}

# table VALUE prints what each worker of each node serves now, after what it
# served in the last table if that was something else, and which of it is stale.
table() {
	local node worker now cell
	printf '  %-6s  %-14s  %-14s  %-14s  %s\n' node "worker 0" "worker 1" "worker 2" "worker 3"
	for node in 1 2 3; do
		mapfile -t now < <(serves $node)
		[ ${#now[@]} = $WORKERS ] || exit 1
		printf '  %-6s' "node$node"
		for ((worker = 0; worker < WORKERS; worker++)); do
			cell=${SERVED[$node.$worker]:-${now[$worker]}}
			[ "$cell" = "${now[$worker]}" ] || cell="$cell -> ${now[$worker]}"
			[ "${now[$worker]}" = "$1" ] || cell+=" (stale)"
			SERVED[$node.$worker]=${now[$worker]}
			[ $worker = $((WORKERS - 1)) ] && printf '  %s\n' "$cell" || printf '  %-14s' "$cell"
		done
	done
}

# call makes a request to a node's admin API, and shows it as one would type it.
call() {
	local method=$1 node=$2 path=$3 body=${4:-} status
	show "curl -X $method http://$(admin "$node")$path${body:+ -d '$body'}"
	status=$(curl -s -o "$DIR/body" -D "$DIR/head" -w '%{http_code}' -X "$method" ${body:+-d "$body"} "http://$(admin "$node")$path")
	printf '%s, event %s\n' "$status" "$(sed -n 's/^X-Cluster-Event: \(.*\)\r$/\1/p' "$DIR/head")"
	[ "${status:0:1}" = 2 ] || die "the admin API answered $status: $(cat "$DIR/body")"
}
# all VALUE NODE... says whether every worker of these nodes serves a value.
all() {
	local value=$1 node
	shift
	for node in "$@"; do
		serves "$node" | grep -qvx "$value" && return 1
	done
	return 0
}

walk() {
	say "Three nodes on loopback, each an nginx of $WORKERS workers with an agent beside it"
	local i
	printf '  %-6s  %-16s  %-16s  %s\n' node proxy "admin API" "agent, gossip"
	for i in 1 2 3; do printf '  %-6s  %-16s  %-16s  %s\n' "node$i" "$(proxy $i)" "$(admin $i)" "$(agent_at $i 0)"; done
	echo "  The agents have joined and told the gateways, whose database has these nodes: $(rows | sed 's/ $//')"

	say "An API is created on node1. Each worker reads it once, and then has it in its own cache"
	call POST 1 /apis "{\"id\":\"hello\",\"path\":\"/hello\",\"upstream_url\":\"http://$ORIGIN/blue\"}"
	await "all serve blue" all blue 1 2 3
	table blue

	say "It is changed on node1. Each worker of each node served blue, and serves green"
	call PATCH 1 /apis/hello "{\"upstream_url\":\"http://$ORIGIN/green\"}"
	await "all serve green" all green 1 2 3
	table green

	say "The agent of node3 is killed, and the API changed on node2. Nobody tells the workers of node3"
	show "kill -9 ${PID[agent3]}"
	stop agent3 KILL
	call PATCH 2 /apis/hello "{\"upstream_url\":\"http://$ORIGIN/red\"}"
	await "nodes 1 and 2 serve red" all red 1 2
	table red

	say "The agent of node3 is started again, fetches what it missed from the others, and delivers it"
	start_agent 3
	await "node3 serves red" all red 3
	table red

	say "The API is deleted on node3"
	call DELETE 3 /apis/hello
	await "no worker serves it any more" all 404 1 2 3
	table 404
}

trap finish EXIT
prepare
start
walk
