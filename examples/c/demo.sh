#!/bin/sh
# Starts a server with a fresh key on a free port, compiles login.c and sessions.c and plays them.
# usage: demo.sh BUILD_DIR (what `make lib` laid out, or platforms/build for another system)
# Programs of another system are compiled by CC and run by RUN; TIM_SERVER is a server of this one.
set -eu
build=$(cd "$1" && pwd)
server_program=${TIM_SERVER:-$build/bin/tim-server}
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

exe=
if [ -e "$build/lib/libtim.dll.a" ]; then
    exe=.exe # for Windows; mingw's threads come along
    set -- -static "$build/lib/libtim.dll.a"
else
    set -- -L "$build/lib" -ltim -Wl,-rpath,"$build/lib"
fi
for source in login sessions; do
    "${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pthread -I "$build/include" \
        "$here/$source.c" -o "$work/$source$exe" "$@"
done

# Starts the server and waits until it is ready. The first start makes an app and its key.
mkfifo "$work/ready" "$work/requests"
start_server() {
    "$server_program" serve --listen "$1" --data-dir "$work/data" \
        >"$work/ready" 2>>"$work/log" &
    server=$!
    read -r ready <"$work/ready" || { cat "$work/log" >&2; exit 1; }
    address=${ready#tim-server ready http=}
}
start_server 127.0.0.1:0
app=$(cat "$work/data/sdk_app_id")

# What an app's backend does.
printf '#!/bin/sh\nexec "%s" usersig --data-dir "%s" "$@"\n' \
    "$server_program" "$work/data" >"$work/ticket"
chmod +x "$work/ticket"
ticket=$work/ticket
[ -z "$exe" ] || ticket=$("$here/../../platforms/wine-command" "$work/ticket")
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/other-key"

# shellcheck disable=SC2086 — RUN is a list of words
${RUN:-} "$work/login$exe" "http://$address" "$app" \
    "$("$work/ticket" --user-id alice)" \
    "$("$server_program" usersig --user-id alice --sdk-app-id "$app" --secret-key-file "$work/other-key")" \
    "$("$work/ticket" --user-id alice --expire -86400)"

# The program says when it is time to restart the server. Should it end before, the line is missing.
# shellcheck disable=SC2086 — the same
${RUN:-} "$work/sessions$exe" "http://$address" "$app" "$ticket" "$work/requests" 3>"$work/requests" &
program=$!
if read -r _ <"$work/requests"; then
    stop "$server"
    start_server "$address"
fi
wait "$program"
program=
