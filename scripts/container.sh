#!/usr/bin/env bash
# Builds the container image, runs the compose file with it, and does to its
# containers what happens to containers: one is killed, one paused, one cut from
# the network, one stopped. Each event has to reach each gateway. Needs docker,
# docker-compose, Go, and a static busybox for what only a shell can show; what it
# makes, it removes again. Names begin with agentctl-check.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/await.sh

RUN=agentctl-check-$$
export AGENTCTL_IMAGE=$RUN AGENTCTL_SUBNET=10.217.$(($$ % 250)).0/24
tmp=$(mktemp -d)
export AGENTCTL_KEYS=$tmp/keys.json
compose=(docker-compose -p "$RUN" -f scripts/packaging/compose/compose.yaml)
tags() { docker image ls --format "{{.Repository}}:{{.Tag}}" "$RUN"; } # by name: an equal image of another name stays
clean() {
	"${compose[@]}" down -v -t 1 >/dev/null 2>&1 || true
	docker rm -fv "$RUN-one" >/dev/null 2>&1 || true
	# shellcheck disable=SC2046
	docker image rm $(tags) >/dev/null 2>&1 || true
	rm -rf "$tmp"
}
trap clean EXIT

die() {
	echo "FAILED: $*"
	for c in $("${compose[@]}" ps -q 2>/dev/null); do
		docker inspect -f '--- {{.Name}} {{.State.Status}} {{.State.ExitCode}}' "$c"
		docker logs --tail 15 "$c" 2>&1
	done
	exit 1
}
in_agent() { docker exec "${RUN}_agent$1_1" agentctl "${@:2}"; }
gateway_log() { docker logs "${RUN}_gateway$1_1" 2>&1; }
# members N STATUS COUNT: agent N sees so many members of that status.
members() { [ "$(in_agent "$1" members -status "$2" | wc -l)" -eq "$3" ]; }
events_at() { gateway_log "$1" | grep -o 'kong [0-9]*-[0-9a-f]*' | sort -u; }
arrived() { [ "$(events_at "$1" | wc -l)" -ge "$published" ]; }

published=0
# publish N COUNT PHASE publishes distinct events at agent N.
publish() {
	local i
	for i in $(seq "$2"); do
		in_agent "$1" event -coalesce=false kong \
			"{\"type\":\"ENTITY_UPDATED\",\"collection\":\"apis\",\"primary_key\":[\"id\"],\"entity\":{\"id\":\"$3-$1-$i\"}}" >/dev/null
		published=$((published + 1))
	done
}
# everywhere PHASE waits until each gateway has all that was published.
everywhere() {
	local n
	for n in 1 2 3; do
		await "gateway $n has all $published events ($1)" arrived "$n"
	done
	echo "$1: all $published events at all three gateways"
}

processors=() # both
[ -n "${AGENTCTL_TEST_LONG:-}" ] || processors=("$(docker version -f '{{.Server.Arch}}')")
IMAGE=$RUN scripts/image.sh "${processors[@]}"

docker run --rm --read-only --user 65532:65532 --cap-drop ALL --network none "$RUN" version >/dev/null || die "read-only, as 65532"
[ "$(docker run --rm --read-only --network none --entrypoint /bin/serf "$RUN" version | head -1)" = "Serf v0.7.0" ] || die "the link serf"
! docker run --rm --network none --entrypoint /bin/serf_event.sh "$RUN" >"$tmp/shim" 2>&1 || die "serf_event.sh without an event"
grep -q '^agentctl handler: ' "$tmp/shim" || die "the link serf_event.sh: $(cat "$tmp/shim")"
! docker run --rm --network none --entrypoint /bin/sh "$RUN" -c true 2>/dev/null || die "there is a shell"

docker create --name "$RUN-one" "$RUN" >/dev/null
docker cp "$RUN-one:/usr/share/doc/agentctl/copyright" - | tar -xO >"$tmp/copyright" || die "the image has no licences"
says '^github.com/hashicorp/serf  *v[0-9.]*  *MPL-2.0$' cat "$tmp/copyright" || die "the image does not list serf's licence"
docker rm "$RUN-one" >/dev/null

scripts/packaging/compose/keys.sh >/dev/null
"${compose[@]}" up -d >"$tmp/up" 2>&1 || die "compose: $(cat "$tmp/up")"
for n in 1 2 3; do
	await "agent $n sees three" members "$n" alive 3
	await "agent $n is ready" in_agent "$n" health
	says 'encrypted = true' in_agent "$n" info || die "agent $n does not encrypt"
	address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "${RUN}_gateway${n}_1")
	says "^gateway$n  *$address:7946 " in_agent 1 members || die "gateway$n is not known as $address: $(in_agent 1 members)"
done
echo "three containers form a cluster, encrypted, each known by its container's address"
publish 1 1 first
everywhere "one event"

docker kill "${RUN}_agent2_1" >/dev/null
publish 1 10 killed
docker start "${RUN}_agent2_1" >/dev/null
everywhere "an agent was killed, and started again"

docker pause "${RUN}_agent3_1" >/dev/null
publish 1 10 paused
docker unpause "${RUN}_agent3_1" >/dev/null
everywhere "an agent was paused"

address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "${RUN}_gateway3_1")
docker network disconnect "${RUN}_cluster" "${RUN}_gateway3_1"
await "the cut agent is missed" members 1 failed 1
publish 1 10 cut
publish 3 10 cut
docker network connect --ip "$address" --alias gateway3 "${RUN}_cluster" "${RUN}_gateway3_1"
everywhere "an agent was cut off, with events on both sides, and connected again"
for n in 1 2 3; do await "agent $n sees all again" members "$n" alive 3; done

begin=$(date +%s%N) since=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
docker stop -t 120 "${RUN}_agent2_1" >/dev/null
took=$((($(date +%s%N) - begin) / 1000000))
[ "$(docker inspect -f '{{.State.ExitCode}}' "${RUN}_agent2_1")" = 0 ] || die "docker stop: exit status $(docker inspect -f '{{.State.ExitCode}}' "${RUN}_agent2_1")"
for n in 1 3; do
	await "agent $n sees a leave" says '^gateway2 .* left' in_agent "$n" members
	! says 'EventMemberFailed: gateway2' docker logs --since "$since" "${RUN}_agent${n}_1" || die "agent $n saw a failure"
done
echo "docker stop: exit status 0 after $took ms, and the others see a leave"
publish 1 5 stopped
docker start "${RUN}_agent2_1" >/dev/null
everywhere "an agent was stopped, and started again"
for n in 2 3; do
	diff <(events_at 1) <(events_at "$n") >"$tmp/diff" || die "gateways 1 and $n had different events: $(cat "$tmp/diff")"
done

# As process 1 it reaps what a script leaves behind.
docker run -d --name "$RUN-one" --read-only -v /bin/busybox:/bin/sh:ro "$RUN" agent -node=one -log-level=debug \
	-event-handler='user:kong=for i in 1 2 3; do (sleep 0.3 >/dev/null 2>&1 &) & done' >/dev/null
ran() { [ "$(docker logs "$RUN-one" 2>&1 | grep -c 'event handler ran')" -eq 3 ]; }
reaped() { [ "$(docker logs "$RUN-one" 2>&1 | grep -c 'orphaned processes have ended')" -ge 1 ]; }
await "the agent with a script answers" docker exec "$RUN-one" agentctl info
for n in 1 2 3; do docker exec "$RUN-one" agentctl event -coalesce=false kong "$n" >/dev/null; done
await "the events are handled" ran
alone() { [ "$(docker top "$RUN-one" -o pid,stat | grep -c .)" -eq 2 ]; } # a title and the agent
await "some that were left behind have been reaped" reaped
await "process 1 is alone, with no dead child" alone
docker stop -t 120 "$RUN-one" >/dev/null
[ "$(docker inspect -f '{{.State.ExitCode}}' "$RUN-one")" = 0 ] || die "process 1: exit status"
! says 'event handler failed' docker logs "$RUN-one" || die "the script failed: $(docker logs "$RUN-one" 2>&1 | tail -5)"
echo "process 1 reaps what scripts leave behind"
echo "passed after ${SECONDS}s"
