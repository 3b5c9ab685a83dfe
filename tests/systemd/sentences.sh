# shellcheck shell=bash
# The words that journey.sh and package.sh are written in.
#
# Nothing sleeps for something to have happened: `within` asks again until it has.

# shellcheck disable=SC2034 # those who source this use it
FILE=/etc/shoutd/config.toml

check() { # SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@"; then echo "ok   $sentence"; else fail "$sentence: $*"; fi
}
fail() {
    trap - ERR
    echo "FAIL $*"
    systemctl status --no-pager -n 0 shoutd.service shoutd.socket || :
    journalctl --sync # the lab prints it
    exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

within() { # SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}
not() { ! "$@"; }
is() { [ "$1" = "$2" ]; }
has() { [[ $1 == *"$2"* ]]; }

prop() { systemctl show --value -p "$1" "${2:-shoutd.service}"; }
prop_is() { [ "$(prop "$1")" = "$2" ]; }
status_says() { has "$(prop StatusText)" "$1"; }
answers() { [ "$(printf 'hello, Straße' 2> /dev/null | nc -N -w 5 "$@" 2> /dev/null)" = 'HELLO, STRASSE' ]; }
client='' # the descriptor of the open connection
exchange() { # TEXT: over it
    local answer
    printf '%s\n' "$1" >&"$client"
    IFS= read -r -t 5 answer <&"$client" && [ "$answer" = "${1^^}" ]
}
