#!/bin/sh
# Starts an nginx of the gateway in the foreground.
#
#   run.sh TEMPLATE DIR NAME=VALUE...
#   run.sh -check                    only tells whether nginx is there
#
# TEMPLATE is node.conf, database.conf or tests.conf beside this script. It is
# copied to DIR/nginx.conf with each @NAME@ in it replaced; DIR also gets the log,
# error.log, and the process number of the master, nginx.pid.
set -eu
PATH=$PATH:/usr/sbin
here=$(cd "$(dirname "$0")" && pwd)

fail() {
	echo "run.sh: $*" >&2
	exit 1
}

install="apt-get install --no-install-recommends nginx libnginx-mod-http-lua lua-cjson"
command -v nginx >/dev/null || fail "nginx is missing; on Debian: $install"
modules=$(nginx -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
[ -f "$modules/ngx_http_lua_module.so" ] || fail "nginx's Lua module is missing; on Debian: $install"
[ -d /usr/share/lua/5.1/cjson ] || fail "Lua's cjson is missing; on Debian: $install"

[ "${1-}" != -check ] || exit 0

[ $# -ge 2 ] || fail "usage: run.sh TEMPLATE DIR NAME=VALUE..."
template=$here/$1 dir=$2
shift 2
[ -f "$template" ] || fail "there is no $template"
mkdir -p "$dir/temp"
dir=$(cd "$dir" && pwd)
cp "$template" "$dir/nginx.conf"
for pair in "HERE=$here" "MODULES=$modules" "$@"; do
	sed "s|@${pair%%=*}@|${pair#*=}|g" "$dir/nginx.conf" >"$dir/nginx.conf.new"
	mv "$dir/nginx.conf.new" "$dir/nginx.conf"
done
left=$(grep -o '@[A-Z_]*@' "$dir/nginx.conf" | sort -u | tr '\n' ' ')
[ -z "$left" ] || fail "these have no value: $left"
exec nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" -g 'daemon off;'
