#!/usr/bin/env bash
# Makes the packages of two versions and has a clean Debian with systemd, in a
# container, install the first, upgrade to the second in the middle of traffic,
# remove and purge it. The rpm is looked into. Needs docker, mmdebstrap, rpm, Go.
#
#   scripts/packages.sh [DEBIAN.tar]   takes a Debian with systemd made before
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/await.sh
. scripts/debian.sh

RUN=agentctl-check-$$
tmp=$(mktemp -d)
clean() {
	docker rm -fv "$RUN" "$RUN-other" >/dev/null 2>&1 || true
	docker image rm -f "$RUN" >/dev/null 2>&1 || true
	rm -rf "$tmp"
}
trap clean EXIT
die() {
	echo "FAILED: $*"
	docker exec "$RUN" journalctl -u agentctl --no-pager 2>/dev/null | tail -20 || true
	exit 1
}
in_debian() { docker exec "$RUN" "$@"; }
other() { docker exec "$RUN-other" agentctl "$@"; }
gone() { ! in_debian test -e "$1"; }

systemd-analyze security --offline=yes --threshold=15 scripts/packaging/systemd/agentctl.service | tail -1
for version in 0.1.0 0.2.0; do
	VERSION=$version scripts/package.sh "$tmp/packages" "$(go env GOHOSTARCH)" >"$tmp/log" 2>&1 || die "packages: $(cat "$tmp/log")"
done
deb1=$(ls "$tmp"/packages/agentctl_0.1.0_*.deb) deb2=$(ls "$tmp"/packages/agentctl_0.2.0_*.deb)
[ -n "${1:-}" ] || debian_tar "$tmp/debian.tar"
docker import "${1:-$tmp/debian.tar}" "$RUN" >/dev/null

# The rpm has what the deb has, but where a distribution keeps it elsewhere.
rpm=$(ls "$tmp"/packages/agentctl-0.1.0-1.*.rpm)
rpm -qpl "$rpm" | sed 's,^/usr/lib/systemd,/lib/systemd,; s,site-functions,vendor-completions,' | sort >"$tmp/rpm"
dpkg-deb --fsys-tarfile "$deb1" | tar -t | grep -v '/$' | sed 's,^\.,,' | sort >"$tmp/deb"
diff "$tmp/deb" "$tmp/rpm" || die "the rpm has other files than the deb"
[ "$(rpm -qp --scripts "$rpm" | grep -c scriptlet)" = 4 ] || die "the rpm's scripts"
says '^/etc/agentctl/agent.json' rpm -qpc "$rpm" || die "the rpm's configuration files"
dpkg-deb --fsys-tarfile "$deb1" | tar -xO ./usr/share/doc/agentctl/copyright >"$tmp/deb-copyright"
rpm2archive - <"$rpm" | tar -xzO ./usr/share/doc/agentctl/copyright >"$tmp/rpm-copyright"
cmp "$tmp/deb-copyright" "$tmp/rpm-copyright" || die "the rpm has other licences than the deb"
says '^github.com/hashicorp/serf  *v[0-9.]*  *MPL-2.0$' cat "$tmp/deb-copyright" || die "the packages do not list serf's licence"
echo "the rpm holds what the deb holds, with the licences"

docker run -d --name "$RUN" --hostname debian --cap-add SYS_ADMIN --security-opt seccomp=unconfined --tmpfs /run --tmpfs /tmp \
	-v /sys/fs/cgroup:/sys/fs/cgroup:rw --stop-signal SIGRTMIN+3 "$RUN" /sbin/init >/dev/null
await "systemd runs" says '^\(running\|degraded\)$' in_debian systemctl is-system-running
for deb in "$deb1" "$deb2"; do docker cp "$deb" "$RUN:/root/" >/dev/null; done
deb1=/root/$(basename "$deb1") deb2=/root/$(basename "$deb2")

in_debian sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d'
in_debian dpkg -i "$deb1" >"$tmp/log" 2>&1 || die "install: $(cat "$tmp/log")"
! in_debian systemctl -q is-active agentctl || die "it was started, though policy-rc.d forbids it"
in_debian rm /usr/sbin/policy-rc.d
in_debian dpkg --purge agentctl >/dev/null 2>&1 || die "purge of what never ran"
in_debian dpkg -i "$deb1" >"$tmp/log" 2>&1 || die "install: $(cat "$tmp/log")"
await "the service is active" in_debian systemctl -q is-active agentctl
in_debian systemctl -q is-enabled agentctl || die "the service is not enabled"
await "the agent is ready" in_debian agentctl health
in_debian systemd-analyze verify --man=no agentctl.service || die "systemd-analyze verify"
pid=$(in_debian systemctl show -p MainPID --value agentctl)
[ "$(in_debian stat -c %U "/proc/$pid")" = agentctl ] || die "the agent does not run as agentctl"
[ "$(in_debian stat -c '%a %U' /var/lib/agentctl /etc/agentctl/agent.json | tr '\n' ' ')" = "700 agentctl 640 root " ] || die "modes of files"
echo "install: active, ready, as user agentctl"

# Another node, which publishes, and a gateway that notes what it gets.
address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$RUN")
docker exec -d "$RUN" sh -c 'exec agentctl dev-gateway >/root/gateway.log'
in_debian cat /usr/bin/agentctl >"$tmp/agentctl" && chmod +x "$tmp/agentctl"
docker run -d --name "$RUN-other" -v "$tmp/agentctl:/usr/bin/agentctl:ro" "$RUN" \
	agentctl agent -node=other -retry-join="$address" -http-addr=off -event-handler=user:none=true >/dev/null
await "both see each other" says '^debian .*alive' other members
in_debian sh -c 'sed -i "s/\"retry_join\": .*,/\"retry_join\": [\"$0\"], \"tags\": {\"kept\": \"yes\"},/" /etc/agentctl/agent.json' \
	"$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$RUN-other")"
in_debian systemctl reload agentctl
await "it has reloaded" says 'kept=yes' other members

# Published from here on until $tmp/enough is there; their number is in $tmp/events.
(for ((i = 1; i <= 5000; i++)); do
	[ ! -e "$tmp/enough" ] || break
	other event -coalesce=false kong "{\"type\":\"ENTITY_UPDATED\",\"n\":$i}" >/dev/null || exit 1
	echo "$i" >"$tmp/events"
done) &
traffic=$!
posts() { in_debian sh -c "grep -o 'kong [0-9]*-[0-9a-f]*' /root/gateway.log | sort -u | wc -l"; }
posted() { [ "$(posts)" -ge "$1" ]; }
await "traffic" posted 20
since=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
in_debian dpkg -i "$deb2" >"$tmp/log" 2>&1 || die "upgrade: $(cat "$tmp/log")"
await "the new version runs" says 'version 0.2.0' in_debian agentctl status
before=$(posts)
await "traffic after the upgrade" posted $((before + 20))
touch "$tmp/enough"
wait $traffic || die "an event could not be published"
EVENTS=$(cat "$tmp/events")
await "all $EVENTS events of before, during and after the upgrade" posted "$EVENTS"
in_debian grep -q '"kept": "yes"' /etc/agentctl/agent.json || die "the upgrade changed the configuration"
! says 'EventMemberFailed: debian' docker logs --since "$since" "$RUN-other" || die "the upgrade looked like a failure"
echo "upgrade: all $EVENTS events of its time at the gateway, the configuration kept, no failure seen"

in_debian dpkg -r agentctl >"$tmp/log" 2>&1 || die "remove: $(cat "$tmp/log")"
await "the other sees a leave" says '^debian .* left' other members
in_debian test -e /etc/agentctl/agent.json -a -e /var/lib/agentctl/journal.db || die "remove took more than the program"
in_debian dpkg --purge agentctl >"$tmp/log" 2>&1 || die "purge: $(cat "$tmp/log")"
for path in /etc/agentctl /etc/default/agentctl /var/lib/agentctl /usr/bin/agentctl /lib/systemd/system/agentctl.service; do
	gone "$path" || die "purge left $path"
done
! in_debian getent passwd agentctl >/dev/null || die "purge left the user"
! says agentctl in_debian systemctl --failed || die "failed units: $(in_debian systemctl --failed)"
echo "remove and purge: a leave, and nothing left"
echo "passed after ${SECONDS}s"
