#!/bin/sh
# Makes keys.json, beside the compose file, with a new key for gossip, unless it
# is there. An agent takes the key from it when it begins its keyring; later
# "agentctl keys" changes the keys of the whole cluster.
#
#   AGENTCTL_IMAGE   the image whose "agentctl keygen" makes the key (agentctl)
#   AGENTCTL_KEYS    the file to make
set -eu
file=${AGENTCTL_KEYS:-$(dirname "$0")/keys.json}
[ ! -e "$file" ] || { echo "$file is there already"; exit 0; }
key=$(docker run --rm --network=none "${AGENTCTL_IMAGE:-agentctl}" keygen)
umask 077
printf '{"encrypt_key": "%s"}\n' "$key" >"$file.new"
# Compose lays the file into the containers as it is, and the agent is user 65532.
chown 65532 "$file.new" 2>/dev/null || chmod 644 "$file.new"
mv "$file.new" "$file"
echo "$file is made: keep it from others"
