#!/bin/sh
# Starts a server with a fresh key on a free port, compiles login.c and plays it.
# usage: demo.sh BUILD_DIR (what `make lib` laid out)
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=

# Nothing is left, however this ends.
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pthread -I "$build/include" \
    "$here/login.c" -o "$work/login" -L "$build/lib" -ltim -Wl,-rpath,"$build/lib"

# The first start makes an app and its key.
mkfifo "$work/ready"
"$build/bin/tim-server" serve --listen 127.0.0.1:0 --data-dir "$work/data" \
    >"$work/ready" 2>"$work/log" &
server=$!
read -r line <"$work/ready" || { cat "$work/log" >&2; exit 1; }
url=http://${line#tim-server ready http=}
app=$(cat "$work/data/sdk_app_id")

ticket() { "$build/bin/tim-server" usersig --user-id alice "$@"; }
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/other-key"

"$work/login" "$url" "$app" \
    "$(ticket --data-dir "$work/data")" \
    "$(ticket --sdk-app-id "$app" --secret-key-file "$work/other-key")" \
    "$(ticket --data-dir "$work/data" --expire -86400)"
