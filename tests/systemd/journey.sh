#!/usr/bin/env bash
# What the units promise, proved against a real systemd: one line for each sentence. Runs inside the
# lab (see run), where shoutd, its units and its configuration were installed before the boot.
set -eEuo pipefail
# shellcheck source=tests/systemd/sentences.sh
. "${0%/*}/sentences.sh"

# a time and not a cursor: with a filter, 252 loses the first entry after one
mark() { journalctl --sync && since=@$EPOCHREALTIME; }
journal() { # [FILTER...]: the texts since the last mark
    journalctl --sync
    journalctl -q --no-pager -o cat --since="$since" "$@"
}
shoutd_said() { # TEXT [FILTER...]
    has "$(journal SYSLOG_IDENTIFIER=shoutd "${@:2}")" "$1"
}
systemd_said() { has "$(journal UNIT=shoutd.service _PID=1)" "$1"; }

configure() { printf '%s\n' "$@" > $FILE; }
drop_in() { # UNIT [LINE...]: replaces the one of before; without lines there is none
    local folder=/run/systemd/system/$1.d
    shift
    mkdir -p "$folder"
    printf '%s\n' "$@" > "$folder/journey.conf"
    systemctl daemon-reload
}
# each sentence starts afresh: nothing before it counts as a failed start
afresh() {
    systemctl stop shoutd.socket shoutd.service 2> /dev/null
    systemctl reset-failed shoutd.socket shoutd.service 2> /dev/null || :
    mark
}
start() { afresh; systemctl start shoutd.service; }
fails_with() { # STATUS
    not systemctl start shoutd.service 2> /dev/null && prop_is ExecMainStatus "$1"
}
start_fails_with() { afresh && fails_with "$1"; }
restarted() { # ADDRESS...: once, by systemd
    prop_is NRestarts 1 && answers "$@"
}

# the running process, as the kernel sees it
status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(prop MainPID)/status"; }
capabilities() { for set in Inh Prm Eff Bnd Amb; do status "Cap$set"; done | sort -u; }
NONE=0000000000000000
is_nobody() { # in the range that systemd takes dynamic users from
    local user
    user=$(status Uid)
    [ "$user" -ge 61184 ] && [ "$user" -le 65519 ]
}

# ---- the units -----------------------------------------------------------------------------------
check 'systemd finds nothing to complain of in the units' \
    is "$(systemd-analyze verify --recursive-errors=yes shoutd.service shoutd.socket 2>&1 || echo failed)" ''
check 'the exposure of the service is 1.1 at most' \
    has "$(systemd-analyze security --threshold=11 shoutd.service && echo passed)" passed

# ---- boot, start, restart, stop ------------------------------------------------------------------
check 'the service that is enabled runs after the boot, and answers' answers localhost 5000
check 'it needs no socket unit' is "$(prop ActiveState shoutd.socket)" inactive
start
check 'a start returns when it answers' answers localhost 5000
check 'the status names the addresses' status_says 'listening on 127.0.0.1:5000'
check 'what it logs has its priority in the journal' shoutd_said 'listening on 127.0.0.1:5000' -p info..info
check 'and neither a priority nor a time once more in its text' \
    not grep -E '^<[0-9]>|[0-9]{4}-[0-9]{2}-[0-9]{2}' <<< "$(journal SYSLOG_IDENTIFIER=shoutd)"
systemctl restart shoutd.service
check 'a restart returns when it answers again' answers localhost 5000

exec {client}<> /dev/tcp/localhost/5000
exchange 'before the stop'
systemctl stop --no-block shoutd.service
until status_says stopping; do exchange 'while it begins to stop'; done
for n in {1..50}; do exchange "message $n after the stop began"; done
check 'a client that is talking when the service is stopped is answered to its end' exchange 'the last one'
exec {client}>&-
check 'the stop ends with it' within 5 prop_is ActiveState inactive
check 'and is a success' is "$(prop Result) $(prop ExecMainStatus)" 'success 0'

start
exec {client}<> /dev/tcp/localhost/5000
head -c 300000 /dev/zero | tr '\0' a >&"$client"
systemctl stop --no-block shoutd.service
within 5 status_says stopping
check 'a client that has not read its answer yet when the service is stopped gets all of it' \
    is "$(timeout 10 cat <&"$client" | tr -d '\n' | tr -s A | wc -c) $(prop Result)" '1 success'
exec {client}>&-

start
exec {client}<> /dev/tcp/localhost/5000
exchange 'and silent from here on'
before=${EPOCHREALTIME/[.,]/}
systemctl stop shoutd.service
took=$(((${EPOCHREALTIME/[.,]/} - before) / 1000))
check "a stop with one silent client is done in about a second ($took ms)" [ $took -lt 2500 ]
exec {client}>&-

start
kill -KILL "$(prop MainPID)"
check 'killed, it is started again' within 10 restarted localhost 5000

# ---- who it is, and what it may ------------------------------------------------------------------
start
check 'it runs as a user that exists only while it does' is_nobody
check 'it has no capability, and no way to one' is "$(capabilities) $(status NoNewPrivs)" "$NONE 1"
check 'its system calls are filtered' is "$(status Seccomp)" 2
hard=$(awk '/^Max open files/ { print $5 }' /proc/1/limits)
files=$(prop LimitNOFILE)
files=$((files < hard ? files : hard))
check "it may open as many files as LimitNOFILE= and the machine allow ($files)" \
    is "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$(prop MainPID)/limits")" "$files $files"
check 'and serves as many clients, less a reserve' shoutd_said "at most $((files - 64)) connections"

# ---- the configuration ---------------------------------------------------------------------------
sed -i 's/5000/5001/' $FILE
start
check 'another port in the configuration, and a restart, moves the service' answers localhost 5001
check 'away from the old one' not answers localhost 5000

ip address add 192.0.2.1/32 dev lo
check 'by itself it is open to this machine alone' not answers 192.0.2.1 5001
configure 'listen = "0.0.0.0:5000"'
start
check 'until listen says otherwise, and then nothing in the unit is in the way' answers 192.0.2.1 5000
configure 'listen = "lab:5000"'
start
check 'a name is resolved' answers lab 5000

drain=$(shoutd config | sed -n 's/^drain_timeout = "\([0-9]*\)s".*/\1/p')
patience=$(prop TimeoutStopUSec)
check "systemd waits longer for a stop ($patience) than the daemon for its clients (${drain}s)" \
    [ "${patience%s}" -gt "$drain" ]
configure 'listen = "localhost:5000"' '[shutdown]' 'drain_timeout = "1s"'
start
exec {client}<> /dev/tcp/localhost/5000
exchange 'the first of many'
systemctl stop --no-block shoutd.service
while exchange 'and another one' 2> /dev/null; do :; done
check 'a client that never falls silent is cut off then' within 5 shoutd_said 'drain_deadline'
check 'and the stop ends' within 5 prop_is ActiveState inactive
check 'as a success, still' is "$(prop Result) $(prop ExecMainStatus)" 'success 0'
exec {client}>&-

configure 'listen = "unix:/run/shoutd/shoutd.sock"'
start
check 'a unix: listener works in the folder that the unit gives it' answers -U /run/shoutd/shoutd.sock
kill -KILL "$(prop MainPID)"
check 'also after it was killed' within 10 restarted -U /run/shoutd/shoutd.sock
systemctl stop shoutd.service
check 'and is gone after a stop' not test -e /run/shoutd

configure 'listen = "localhost:5000"' 'lisen = "localhost:5001"'
check 'a typo in the configuration fails the start with 78' start_fails_with 78
check 'systemd does not try it again' is "$(prop ActiveState) $(prop SubState) $(prop NRestarts)" 'failed failed 0'
check 'the journal has file, line and column, as an error' shoutd_said "$FILE:2:1" -p err..err
rm $FILE
check 'a configuration that is missing fails it, too' start_fails_with 78
check 'and is named' shoutd_said $FILE -p err..err
configure 'listen = "localhost:5000"'
chmod 600 $FILE
check 'so does one that the service may not read' start_fails_with 78
check 'which is named' shoutd_said $FILE -p err..err
chmod 644 $FILE

nc -lk 127.0.0.1 5000 &
blocker=$!
within 5 nc -z 127.0.0.1 5000
check 'a port that is taken fails the start with 71' start_fails_with 71
said=$(journal SYSLOG_IDENTIFIER=shoutd -p err..err _PID="$(prop ExecMainPID)")
check 'with one line' is "$(wc -l <<< "$said")" 1
check 'that says why' has "$said" '127.0.0.1:5000: another process listens there'
kill $blocker
check 'and it serves as soon as the port is free' within 10 answers localhost 5000

# ---- reload --------------------------------------------------------------------------------------
configure 'listen = "localhost:5000"'
start
exec {client}<> /dev/tcp/localhost/5000
exchange 'before the reload'
configure 'listen = "localhost:5001"'
check 'a reload of an edited port succeeds' systemctl reload shoutd.service
check 'and the new port answers when it returns' answers localhost 5001
check 'and the old one does not any more' not answers localhost 5000
check 'and who was connected talks on' exchange 'after the reload'
check 'and the status names the new port' status_says 'listening on 127.0.0.1:5001'
check 'and the journal what changed' \
    shoutd_said 'listen: "localhost:5000" becomes "localhost:5001" (new connections)'
configure 'lisen = "localhost:5002"'
check 'a reload of a wrong configuration fails, for whoever ordered it to see' \
    not systemctl reload shoutd.service 2> /dev/null
check 'the journal has the mistake with its place and its cure, as an error' \
    shoutd_said 'did you mean' -p err..err
check 'the service is active still' is "$(prop ActiveState) $(prop SubState)" 'active running'
check 'and says that its configuration is stale' has "$(shoutd status)" STALE
check 'and the old configuration runs on' answers localhost 5001
check 'also for who was connected' exchange 'after a refused reload'
configure 'listen = "localhost:5001"' 'transform = "lowercase"'
chmod 600 $FILE
check 'so does one of a file that the service may not read' not systemctl reload shoutd.service 2> /dev/null
check 'which is named' shoutd_said "no permission to read $FILE" -p err..err
chmod 644 $FILE
kill -HUP "$(prop MainPID)"
lowers() { [ "$(printf 'HELLO' | nc -N -w 5 localhost 5001)" = hello ]; }
check 'SIGHUP does the same as a reload' within 5 lowers
check 'and after it nothing is stale' not has "$(shoutd status)" STALE
exec {client}>&-
check 'the control socket is for the user of the service and for root alone' \
    is "$(stat -c '%a %F' /run/shoutd/control.sock)" '600 socket'
check 'and can be asked with curl' has "$(curl -s --unix-socket /run/shoutd/control.sock http://shoutd/healthz)" ok

# ---- sockets that are kept -----------------------------------------------------------------------
stored() { prop NFileDescriptorStore; }
sockets() { # the listening sockets of the process, by the kernel's numbers
    find "/proc/$(prop MainPID)/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' | sort |
        join - <(awk '$4 == "0A" { print $10 }' /proc/net/tcp /proc/net/tcp6 | sort)
}
configure 'listen = ["localhost:5000", "unix:/run/shoutd/shoutd.sock"]'
# so that the service is down for a while between stop and start
drop_in shoutd.service '[Service]' 'ExecStartPre=/bin/sleep 1'
start
before=$(sockets)
check 'systemd keeps each listening socket' is "$(stored)" 3
systemctl restart --no-block shoutd.service
down() { prop_is SubState start-pre; }
within 5 down
check 'a client that connects while the service is down is served by the next process' answers localhost 5000
systemctl restart --no-block shoutd.service
within 5 down
check 'over a UNIX socket as well' answers -U /run/shoutd/shoutd.sock
check 'it listens on the same sockets as before' is "$(sockets)" "$before"
drop_in shoutd.service
kill -KILL "$(prop MainPID)"
check 'a client that connects while it is killed and started again is served, too' answers localhost 5000
check 'by the same sockets' is "$(sockets)" "$before"
configure 'listen = "localhost:5000"'
systemctl reload shoutd.service
check 'a socket that leaves the configuration leaves the store' is "$(stored)" 2
check 'and its path is gone' not test -e /run/shoutd/shoutd.sock
configure 'listen = "localhost:5001"'
systemctl restart shoutd.service
check 'also over a restart' is "$(stored) $(answers localhost 5000 || echo refused)" '2 refused'
check 'which opens what is new' answers localhost 5001
systemctl stop shoutd.service
check 'after a stop nothing is kept' is "$(stored) $(answers localhost 5001 || echo refused)" '0 refused'
configure 'listen = "localhost:5000"'

# ---- peers ---------------------------------------------------------------------------------------
nc -lk 127.0.0.1 6000 > /dev/null < /dev/null &
peer=$!
linked_from() { # PORT
    has "$(ss -Htn state established 'sport = :6000')" "127.0.0.1:$1" && has "$(shoutd peers)" ' linked '
}
PEER='[peers]
retry = { min = "50ms", max = "200ms" }
[[peer]]
name = "two"
address = "127.0.0.1:6000"'
configure "listen = \"localhost:5000\"
$PEER"
start
check 'a peer is dialled from the port that the service listens on' within 10 linked_from 5000
systemctl restart shoutd.service
check 'also from a socket that was kept over a restart' within 10 linked_from 5000
check 'and clients are served there as ever' answers localhost 5000
check 'a second daemon is refused the port all the same' \
    has "$(SHOUTD_LOG=error RUNTIME_DIRECTORY=/run/two shoutd -c <(echo 'listen = "localhost:5000"') 2>&1)" 'another process listens'
configure 'listen = "localhost:5000"'
systemctl reload shoutd.service
check 'a reload takes a peer out' within 5 not has "$(ss -Htn state established 'sport = :6000')" 127.0.0.1

# ---- ports below 1024 ----------------------------------------------------------------------------
configure 'listen = "127.0.0.1:80"'
check 'a port below 1024 needs a permission: status 77' start_fails_with 77
check 'and the journal names the socket unit' shoutd_said shoutd.socket
drop_in shoutd.service '[Service]' 'CapabilityBoundingSet=CAP_NET_BIND_SERVICE' \
    'AmbientCapabilities=CAP_NET_BIND_SERVICE' 'PrivateUsers=no'
start
check 'with the capability, in three lines of a drop-in, it binds the port itself' answers 127.0.0.1 80
drop_in shoutd.service

configure 'listen = "localhost:5000"'
afresh
systemctl enable --now --quiet shoutd.socket
check 'the socket unit listens without the service' is "$(prop ActiveState)" inactive
exec {client}<> /dev/tcp/127.0.0.1/80
check 'the first client starts the service' exchange 'knock' 2> /dev/null
check 'which serves the port by its name' status_says 'listening on 127.0.0.1:80'
check 'as a user that is nobody still' is_nobody
check 'and has no capability' is "$(capabilities)" $NONE
check 'instead of what listen says' not answers localhost 5000
configure "listen = \"localhost:5000\"
$PEER"
systemctl reload shoutd.service
cure='write source_port = "any"'
told_why() { has "$(shoutd peers)" "$cure"; }
check 'from the port of a socket unit no peer can be dialled, and the cure is told' within 10 told_why
kill "$peer"
configure 'listen = "localhost:5000"'
systemctl reload shoutd.service
check 'and the first client has keepalive, too' has "$(ss -Htno 'sport = :80')" keepalive
exec {client}>&-
while [ ! -e /run/enough ]; do answers 127.0.0.1 80 || echo refused; done > /run/refused &
for _ in {1..3}; do systemctl restart shoutd.service; done
touch /run/enough
wait
check 'no client is refused while it restarts' is "$(cat /run/refused)" ''
systemctl stop shoutd.service 2> /dev/null
check 'after a stop, the next client starts it again' answers 127.0.0.1 80

drop_in shoutd.socket '[Socket]' 'FileDescriptorName=nobody'
afresh
systemctl start shoutd.socket
check 'a socket with a name that no listener has fails the start with 78' fails_with 78
check 'and the journal says which' shoutd_said 'a socket named' -p err..err
drop_in shoutd.socket

configure 'lisen = "localhost:5000"'
afresh
systemctl start shoutd.socket
exec {client}<> /dev/tcp/127.0.0.1/80
gave_up() { [ "$(prop ActiveState shoutd.socket)" = failed ]; }
check 'with a typo in the configuration, a client at the socket does not start it for ever' within 20 gave_up
exec {client}>&-
configure 'listen = "localhost:5000"'
afresh
systemctl start shoutd.socket
check 'and with the typo cured it is served' answers 127.0.0.1 80
afresh
systemctl disable --quiet shoutd.socket

# ---- the watchdog --------------------------------------------------------------------------------
drop_in shoutd.service '[Service]' 'WatchdogSec=2s'
start
worker=$(grep -lx worker-0 "/proc/$(prop MainPID)/task"/*/comm)
worker=${worker%/comm}
python3 - "${worker##*/}" <<'PYTHON' &
# stops one thread, as a debugger does, until its process is gone
import ctypes, os, sys
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
thread = int(sys.argv[1])
for request in PTRACE_SEIZE, PTRACE_INTERRUPT:
    if ptrace(request, thread, 0, 0) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
while not os.WIFSIGNALED(os.waitpid(thread, WALL)[1]):
    pass
PYTHON
check 'a thread that hangs is named, as a warning' \
    within 10 shoutd_said 'worker-0 does not answer' -p warning..warning
check 'its service is killed by the watchdog' within 10 systemd_said "Failed with result 'watchdog'"
check 'and started again' within 10 restarted localhost 5000
wait
fed() { # until the service has run so many seconds
    local from
    from=$(prop ExecMainStartTimestampMonotonic)
    [ $(($(prop WatchdogTimestampMonotonic) - from)) -gt $(($1 * 1000000)) ]
}
check 'and left alone from then on' within 10 fed 5
check 'as all its threads answer' restarted localhost 5000
drop_in shoutd.service
