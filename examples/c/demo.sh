#!/bin/sh
# Starts a server with a fresh key on a free port, compiles login.c and sessions.c and plays them.
# usage: demo.sh BUILD_DIR (what `make lib` laid out)
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=
program=

stop() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
# Nothing is left, however this ends.
finish() {
    trap '' INT TERM
    [ -z "$program" ] || stop "$program"
    [ -z "$server" ] || stop "$server"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

compile() {
    "${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pthread -I "$build/include" \
        "$here/$1.c" -o "$work/$1" -L "$build/lib" -ltim -Wl,-rpath,"$build/lib"
}
compile login
compile sessions

# Starts the server and waits until it is ready. The first start makes an app and its key.
mkfifo "$work/ready" "$work/requests"
start_server() {
    "$build/bin/tim-server" serve --listen "$1" --data-dir "$work/data" \
        >"$work/ready" 2>>"$work/log" &
    server=$!
    read -r ready <"$work/ready" || { cat "$work/log" >&2; exit 1; }
    address=${ready#tim-server ready http=}
}
start_server 127.0.0.1:0
app=$(cat "$work/data/sdk_app_id")

# What an app's backend does.
printf '#!/bin/sh\nexec "%s" usersig --data-dir "%s" "$@"\n' \
    "$build/bin/tim-server" "$work/data" >"$work/ticket"
chmod +x "$work/ticket"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/other-key"

"$work/login" "http://$address" "$app" \
    "$("$work/ticket" --user-id alice)" \
    "$("$build/bin/tim-server" usersig --user-id alice --sdk-app-id "$app" --secret-key-file "$work/other-key")" \
    "$("$work/ticket" --user-id alice --expire -86400)"

# The program says when it is time to restart the server. Should it end before, the line is missing.
"$work/sessions" "http://$address" "$app" "$work/ticket" /dev/fd/3 3>"$work/requests" &
program=$!
if read -r _ <"$work/requests"; then
    stop "$server"
    start_server "$address"
fi
wait "$program"
program=
