#!/usr/bin/env bash
# One scenario of `run`, in network, mount and process namespaces of its own.
# Usage (by run):  scenarios.sh SHOUTD SCENARIO
set -Eeuo pipefail
# shellcheck source=tests/systemd/sentences.sh
. tests/systemd/sentences.sh

SHOUTD=$1 SCENARIO=$2
WORK=/run/work
fail() {
    trap - ERR
    echo "FAIL $*"
    tail -n 30 "$WORK"/*.log
    exit 1
}

# ---- machines and their wires --------------------------------------------------------------------
mount -t tmpfs -o mode=755 tmpfs /run
mkdir $WORK
machine() { # NAME
    ip netns add "$1"
    # what these have to say would be heard where silence is measured
    on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$1" link set lo up
}
on() { # MACHINE COMMAND...
    nsenter --net=/run/netns/"$1" -- "${@:2}"
}
# the same for what runs in the background, so that its process is that of the command
from() { # MACHINE COMMAND...
    exec nsenter --net=/run/netns/"$1" -- "${@:2}"
}
wire() { # MACHINE ADDRESS MACHINE ADDRESS: each has the other's name for it
    ip -n "$1" link add name "$3" type veth peer name "$1" netns "$3"
    ip -n "$1" address add "$2" dev "$3"
    ip -n "$3" address add "$4" dev "$1"
    ip -n "$1" link set dev "$3" up
    ip -n "$3" link set dev "$1" up
}
two_machines() {
    machine a
    machine b
    wire a 10.0.0.1/24 b 10.0.0.2/24
}
rule() { on "$1" iptables -w "${@:2}"; }
cut() { # MACHINE: nothing comes in, nothing goes out
    rule "$1" -I INPUT -p tcp -j DROP
    rule "$1" -I OUTPUT -p tcp -j DROP
}
heal() { rule "$1" -F; }

# ---- daemons -------------------------------------------------------------------------------------
declare -A DAEMON
configure() { # NAME: what it is told comes by stdin
    cat > $WORK/"$1".toml
}
declare -A LISTENED # how often it did
begins() { # NAME [MACHINE]
    mkdir -p "$WORK/$1"
    touch "$WORK/$1.log"
    LISTENED[$1]=$(grep -c 'listening on' "$WORK/$1.log" || :)
    RUNTIME_DIRECTORY=$WORK/$1 nsenter --net=/run/netns/"${2:-$1}" -- "$SHOUTD" -c "$WORK/$1.toml" 2>> "$WORK/$1.log" &
    DAEMON[$1]=$!
}
listens() { # NAME
    within 10 said_more "$1" "${LISTENED[$1]}" 'listening on' || fail "$1 does not start"
}
starts() { # NAME [MACHINE]
    begins "$@"
    listens "$1"
}
dies() { # NAME
    kill -KILL "${DAEMON[$1]}"
    wait "${DAEMON[$1]}" 2> /dev/null || :
}
stops() { # NAME...: at once
    local name
    for name in "$@"; do kill -TERM "${DAEMON[$name]}"; done
    for name in "$@"; do wait "${DAEMON[$name]}"; done
}
said() { # NAME TEXT
    grep -q -- "$2" "$WORK/$1.log"
}
said_more() { # NAME COUNT TEXT
    [ "$(grep -c -- "$3" "$WORK/$1.log")" -gt "$2" ]
}
verb() { # NAME WORD...
    RUNTIME_DIRECTORY=$WORK/$1 "$SHOUTD" "${@:2}" -c "$WORK/$1.toml"
}
peer() { # NAME PEER KEY[.KEY]
    verb "$1" peers --json | python3 -c '
import json, sys
value = next(peer for peer in json.load(sys.stdin) if peer["name"] == sys.argv[1])
for key in sys.argv[2].split("."):
    value = value.get(key, 0)
print(value)' "$2" "$3"
}
linked() { # NAME PEER
    [ "$(peer "$1" "$2" state)" = linked ]
}
count() { # NAME PEER KEY LEAST
    [ "$(peer "$1" "$2" "$3")" -ge "$4" ]
}
sends() { # NAME PEER TEXT
    [ "$(verb "$1" send "$2" "$3")" = "${3^^}" ]
}
connections() { # MACHINE PORT: how many are established of which it is the one end or the other
    on "$1" ss -Htn state established "( sport = :$2 or dport = :$2 )" | wc -l
}
connected_by() { # MACHINE PORT COUNT
    [ "$(connections "$1" "$2")" = "$3" ]
}
one_link() { # of a and b, as both the daemons and the machines have it
    linked a b && linked b a && connected_by a 5000 1 && connected_by b 5000 1
}
# two daemons that list each other, tried again so quickly that a scenario does not last
each_other() { # [LINE]...
    local own other nth=1
    for own in a b; do
        other=$([ $own = a ] && echo b || echo a)
        {
            printf 'listen = "10.0.0.%d:5000"\n' $nth
            printf '%s\n' "$@"
            printf '[peers]\ngreeting = "Hello from %s"\nretry = { min = "200ms", max = "1s" }\n' $own
            printf '[[peer]]\nname = "%s"\naddress = "10.0.0.%d:5000"\n' "$other" $((3 - nth))
        } | configure $own
        nth=2
    done
}
SOON='[socket]
keepalive = { idle = "1s", interval = "1s", probes = 2 }'

# ---- scenarios -----------------------------------------------------------------------------------
partition() {
    two_machines
    each_other "$SOON"
    starts a
    starts b
    check 'two daemons have one link' within 10 one_link
    local before
    before=$(peer a b connection)
    cut b
    verb a send b hello > $WORK/answer &
    sleep 0.5 # less than a link takes to be given up
    heal b
    check 'a short partition delays an answer' wait $!
    check 'and the answer is there' is "$(cat $WORK/answer)" HELLO
    check 'and it was one link all the while' is "$(peer a b connection)" "$before"
    cut b
    check 'a longer one is noticed' within 8 not linked a b
    check 'at both ends' within 8 not linked b a
    check 'whose end has its reason' said a 'link ended.*reason=client_vanished'
    check 'dials then time out' within 10 count a b dials.timed_out 1
    check 'which is told once' within 2 said a 'no link.*nothing came back in 5 s'
    heal b
    check 'when it heals there is one link again' within 10 one_link
    check 'and what is said is answered' sends a b 'hello again'
    check 'from both ends' sends b a 'and back'
    stops a b
}

killed_behind_a_partition() {
    two_machines
    each_other
    starts a
    starts b
    check 'two daemons have one link' within 10 one_link
    cut b
    dies b
    starts b
    check 'who lives knows nothing of it yet' linked a b
    heal b
    check 'the new one comes in place of the old one' within 15 one_link
    check 'and what is said is answered' within 5 sends a b hello
    check 'from both ends' within 5 sends b a hello
    stops a b
}

# a, which has b for its peer, and b, which knows of none
a_has_b_at() { # ADDRESS [LINE]...: what else a says of its peers
    printf '%s\n' 'listen = "10.0.0.1:5000"' '[peers]' 'retry = { min = "200ms", max = "1s" }' "${@:2}" \
        '[[peer]]' 'name = "b"' "address = \"$1\"" | configure a
    configure b <<< 'listen = "10.0.0.2:5000"'
}

rejected() {
    two_machines
    rule b -A INPUT -p tcp --dport 5000 -j REJECT
    a_has_b_at 10.0.0.2:5000
    starts b
    starts a
    check 'who is rejected is told why' within 5 said a 'no link.*connection refused'
    check 'it is counted' within 5 count a b dials.refused 2
    heal b
    check 'and tried again' within 5 linked a b
    check 'what is said is answered' sends a b hello
    rule b -A INPUT -p tcp --dport 5000 -j REJECT --reject-with tcp-reset
    check 'a link that is reset is told of' not verb a send b 'into the void'
    check 'as what it was' within 5 said a 'link ended.*reason=client_reset'
    check 'and it is dialled anew, in vain' within 5 count a b dials.refused 3
    heal b
    check 'until it may' within 5 linked a b
    check 'and is answered' sends a b hello
    stops a b
}

hears_at_once() { # TEXT: who says something to what is not there
    local said
    said=$(! RUNTIME_DIRECTORY=$WORK/a timeout 2 "$SHOUTD" send b hello -c $WORK/a.toml 2>&1)
    has "$said" "$1"
}
black_hole() {
    two_machines
    rule b -A INPUT -p tcp --dport 5000 -j DROP
    a_has_b_at 10.0.0.2:5000
    starts b
    local begun=${EPOCHREALTIME/./} took
    starts a
    check 'it waits for an answer' is "$(peer a b state)" dialling
    check 'a black hole is given up' within 8 said a 'no link.*nothing came back in 5 s'
    took=$(((${EPOCHREALTIME/./} - begun) / 1000))
    check "after five seconds ($took ms)" test $took -ge 4900 -a $took -le 6500
    check 'and dialled again, which is told once' within 8 count a b dials.timed_out 2
    check 'once' is "$(grep -c 'no link' $WORK/a.log)" 1
    check 'who asks meanwhile hears why at once' hears_at_once 'b: no link: nothing came back'
    heal b
    check 'until it answers' within 8 linked a b
    check 'and it does' sends a b hello
    stops a b
}

nameless() {
    two_machines
    printf '127.0.0.1 localhost\n' > $WORK/hosts
    printf 'nameserver 127.0.0.1\n' > $WORK/resolv.conf
    printf 'hosts: files dns\n' > $WORK/nsswitch.conf
    mount --bind $WORK/hosts /etc/hosts
    mount --bind $WORK/resolv.conf /etc/resolv.conf
    mount --bind $WORK/nsswitch.conf /etc/nsswitch.conf
    a_has_b_at b.example:5000
    starts b
    starts a
    check 'a name without an address is no reason not to start' within 5 said a 'no link'
    check 'it is counted as such' within 5 count a b dials.unknown_name 2
    check 'clients are served meanwhile' is "$(printf hello | on a nc -N -w 5 10.0.0.1 5000)" HELLO
    echo '10.0.0.2 b.example' >> $WORK/hosts
    check 'when the name has an address there is a link' within 5 linked a b
    check 'and what is said is answered' sends a b hello
    sed -e 's/10.0.0.2/10.0.0.3/' $WORK/hosts > $WORK/moved
    cat $WORK/moved > $WORK/hosts
    stops b
    check 'the link ends' within 5 not linked a b
    ip -n b address add 10.0.0.3/24 dev a
    sed -i 's/10.0.0.2/10.0.0.3/' $WORK/b.toml
    starts b
    check 'a name that has moved is found where it is now' within 10 linked a b
    check 'there' has "$(peer a b remote)" 10.0.0.3
    echo '10.0.0.1 a.example' >> $WORK/hosts
    printf '[[peer]]\nname = "me"\naddress = "a.example:5000"\n' >> $WORK/a.toml
    verb a reload > $WORK/reload
    check 'a name that turns out to be of oneself is not dialled' within 5 said a 'no link.*peer=me.*is this daemon itself'
    check 'and counted' within 5 count a me dials.oneself 1
    check 'and there is no connection to oneself' is "$(on a ss -Htn src 10.0.0.1 dst 10.0.0.1 | wc -l)" 0
    stops a b
}

no_port() {
    two_machines
    on a sysctl -qw net.ipv4.ip_local_port_range='40000 40009'
    a_has_b_at 10.0.0.2:5000 'source_port = "any"'
    starts b
    from a python3 -c '
import socket, struct, time
taken = []
try:
    while True:
        one = socket.create_connection(("10.0.0.2", 5000))
        # its end is a reset, which leaves nothing that takes the port for a while
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.append(one)
except OSError:
    print(len(taken), flush=True)
time.sleep(1000)' > $WORK/taken &
    local holder=$!
    disown
    check 'all ports are taken' within 5 test -s $WORK/taken
    starts a
    check 'who finds no free port is told' within 5 said a 'no link'
    check 'it is counted as such' within 5 count a b dials.no_port 2
    check 'clients are served meanwhile' is "$(printf hello | on b nc -N -w 5 10.0.0.1 5000)" HELLO
    kill -KILL $holder
    check 'with a port there is a link' within 10 linked a b
    check 'and what is said is answered' sends a b hello
    stops a b
}

# bytes of TCP that went through the router
through() { rule r -L FORWARD -v -x -n | awk '$3 == "ACCEPT" { print $2 }'; }
silent_for() { # SECONDS
    local before
    before=$(through)
    sleep "$1"
    [ "$(through)" = "$before" ]
}
# A is behind a router, which lets what comes to its own port 5000 through to A.
nat() {
    local ports
    machine a
    machine b
    machine r
    wire a 10.1.0.2/24 r 10.1.0.1/24
    wire b 10.2.0.2/24 r 10.2.0.1/24
    ip -n a route add default via 10.1.0.1
    on r sysctl -qw net.ipv4.ip_forward=1
    rule r -A FORWARD -p tcp -j ACCEPT
    rule r -t nat -A PREROUTING -i b -p tcp --dport 5000 -j DNAT --to-destination 10.1.0.2:5000
    printf 'listen = "%s:5000"\n[peers]\ngreeting = "Hello from %s"\nretry = { min = "200ms", max = "1s" }\n[[peer]]\nname = "%s"\naddress = "%s:5000"\n' \
        10.1.0.2 a b 10.2.0.2 | configure a
    printf 'listen = "%s:5000"\n[peers]\ngreeting = "Hello from %s"\nretry = { min = "200ms", max = "1s" }\n[[peer]]\nname = "%s"\naddress = "%s:5000"\n' \
        10.2.0.2 b a 10.2.0.1 | configure b
    for ports in kept changed; do
        rule r -t nat -F POSTROUTING
        case $ports in
        kept) rule r -t nat -A POSTROUTING -o b -p tcp -j MASQUERADE ;;
        changed) rule r -t nat -A POSTROUTING -o b -p tcp -j MASQUERADE --to-ports 20000-29999 ;;
        esac
        starts a
        starts b
        check "through NAT by which ports are $ports each has a link" within 10 linked a b
        check 'both of them' within 10 linked b a
        check 'there are at most two' test "$(connections a 5000)" -le 2 -a "$(connections b 5000)" -le 2
        check 'what is said is answered' sends a b hello
        check 'from both ends' sends b a hello
        check 'and then all is quiet' within 10 silent_for 1
        check 'for as long as it is looked at' silent_for 3
        check 'and there are at most two still' test "$(connections a 5000)" -le 2 -a "$(connections b 5000)" -le 2
        stops a b
    done
}

slow_wire() { # SECONDS for one way
    machine a
    machine b
    modprobe -q sch_netem 2> /dev/null || :
    python3 tests/network/wire.py "$1" a b > $WORK/wire &
    within 5 test -s $WORK/wire
    ip -n a address add 10.0.0.1/24 dev wire
    ip -n b address add 10.0.0.2/24 dev wire
    ip -n a link set dev wire up
    ip -n b link set dev wire up
}
delay() {
    slow_wire 0.2
    each_other
    begins a
    begins b
    listens a
    listens b
    check 'two daemons far from each other have one link' within 10 one_link
    check 'what is said is answered' sends a b hello
    check 'from both ends' sends b a hello
    local took
    took=$(peer a b round_trip_seconds)
    check "which takes as long as the way is ($took s)" has "$took" 0.4
    check 'and there is one link still' one_link
    stops a b
}

messages_grow_by() { # at most COUNT in SECONDS
    local before
    before=$(peer a b messages)
    sleep "$2"
    [ $(($(peer a b messages) - before)) -le "$1" ]
}
# B greets who comes, A answers that, and so on: nobody asked for any of it.
loop() {
    slow_wire 0.01
    configure a << 'TOML'
listen = "10.0.0.1:5000"
[[peer]]
name = "b"
address = "10.0.0.2:5000"
TOML
    configure b << 'TOML'
listen = "10.0.0.2:5000"
greeting = "welcome"
TOML
    starts b
    starts a
    check 'a loop goes round and round' within 10 count a b messages 32
    check 'it is told of' within 10 said a 'loop'
    check 'and it decays' within 20 messages_grow_by 1 3
    check 'more and more' within 20 messages_grow_by 1 6
    check 'once' is "$(grep -c 'WARN.*loop' $WORK/a.log)" 1
    check 'the link is kept' linked a b
    stops a b
}

# Without TCP's timestamps, what is left of a connection is in the way of the next one from the same port.
old_stamps() {
    two_machines
    on a sysctl -qw net.ipv4.tcp_timestamps=0
    a_has_b_at 10.0.0.2:5000
    starts b
    starts a
    check 'there is a link' within 5 linked a b
    stops a
    starts a
    check 'what is left of it is in the way' is "$(on a ss -Htan state time-wait | wc -l)" 1
    check 'and then gone round' within 20 linked a b
    check 'what is said is answered' sends a b hello
    stops a b
}

# The blog's peer does not listen: it is met while it dials itself, and what it sends does not arrive.
blog() {
    machine a
    rule a -A OUTPUT -p tcp --sport 5000 --tcp-flags SYN,ACK SYN -j DROP
    configure a << 'TOML'
listen = "127.0.0.1:6000"
[peers]
retry = { min = "50ms", max = "150ms" }
[[peer]]
name = "blog"
address = "127.0.0.1:5000"
TOML
    starts a
    from a timeout 20 python3 tests/clients/blog_peer.py 5000 6000 > $WORK/blog &
    check "the blog's own peer is dialled while it dials" wait $!
    check 'and answered' is "$(cat $WORK/blog)" 'HELLO FROM PEER 1'
    check 'on the link' within 5 said a 'linked.*peer=blog'
    stops a
}

dials='' most='' # how many dials there were, and in the 100 ms in which they were the most
# B is killed and comes back, and so do the links; the dials of that are counted.
restarted() { # SECONDS it is away
    local watching
    rm -f $WORK/dials
    from b python3 tests/network/dials.py a 5000 > $WORK/dials &
    watching=$!
    within 5 test -s $WORK/dials
    dies b
    sleep "$1"
    starts b
    within 60 connected_by b 5000 1000 || return
    kill -TERM $watching
    wait $watching
    read -r dials most < <(tail -n 1 $WORK/dials)
}
spread_out() { # at most 5 % of the dials in any 100 ms
    restarted 2 && [ $((most * 20)) -le "$dials" ]
}
peers_of_b() { # FIRST LAST: fifty addresses each
    local nth other
    for ((nth = $1; nth <= $2; nth++)); do
        for other in {1..50}; do printf '[[peer]]\naddress = "10.1.%d.%d:5000"\n' $nth "$other"; done
    done
}
# Twenty daemons with fifty links each, all to one, which is away for two seconds; then one daemon with all of
# the links, which dials at most a hundred times a second.
herd() {
    local nth
    two_machines
    # each address of the net is B's
    ip -n a route add 10.1.0.0/16 via 10.0.0.2
    ip -n b route add local 10.1.0.0/16 dev lo
    configure b <<< 'listen = "0.0.0.0:5000"'
    starts b
    for nth in {1..20}; do
        { printf 'listen = "10.0.0.1:%d"\n' $((5000 + nth)) && peers_of_b "$nth" "$nth"; } | configure "a$nth"
        starts "a$nth" a
    done
    check 'a thousand links are there' within 20 connected_by b 5000 1000
    # a machine that stands still for a moment makes several moments one
    check 'and come back after a restart, at most 5 % of the dials in any 100 ms' eval 'spread_out || spread_out'
    echo "     ($dials dials, $most of them in the same 100 ms)"
    check 'each of them is a link for both' within 5 connected_by a 5000 1000
    stops a{1..20} b

    { printf 'listen = "10.0.0.1:5000"\n' && peers_of_b 1 20; } | configure a
    starts b
    starts a
    check 'one daemon has a thousand links' within 20 connected_by b 5000 1000
    check 'and has them again' restarted 0
    check "of its dials there are never more than 15 in 100 ms ($dials dials, $most)" test "$most" -le 15
    stops a b
}

"$SCENARIO"
