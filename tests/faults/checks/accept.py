"""Accepting: no descriptors, no places, bursts, and workers that do not come to take what was accepted."""

import re
import select
import signal
import subprocess
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import connect, eventually, exchange, hear, reset

from . import alone, lasts, needs


@alone
def f01_out_of_descriptors_clients_wait_in_the_backlog_and_are_served_afterwards():
    with Daemon(workers=1) as daemon:
        early = daemon.connect()
        exchange(early, b"hello")
        free = system.descriptors(daemon.pid)
        system.limit_files(daemon.pid, free, 4096)
        crowd = [daemon.connect() for _ in range(100)]
        daemon.await_line("accepting paused: too many open files; 1 connections are open")
        before, begun = system.cpu(daemon.pid), time.monotonic()
        slowest = 0.0
        while time.monotonic() - begun < 3:
            asked = time.monotonic()
            exchange(early, b"still here")
            slowest = max(slowest, time.monotonic() - asked)
            system.pause(0.05)
        busy = (system.cpu(daemon.pid) - before) / (time.monotonic() - begun)
        assert busy < 0.03, f"it used {busy:.1%} of a processor while it waited"
        assert slowest < 0.1, f"one that is in waited {slowest:.3f} s"
        system.limit_files(daemon.pid, 4096, 4096)
        freed = time.monotonic()
        exchange(crowd[0], b"first")
        back = time.monotonic() - freed
        for client in crowd[1:]:
            exchange(client, b"hello")
        assert back <= 0.25, f"the first was served {back:.3f} s after descriptors were there"
        daemon.await_line(r"accepting again after \d")
        assert daemon.metric("shoutd_accept_pauses_total") == 1
        lines = len(daemon.log.splitlines())
        assert lines <= 12, f"{lines} lines of log"
        return f"{busy:.1%} of a processor, {lines} lines of log, back after {back * 1000:.0f} ms"


@lasts(8)
def f01_out_of_descriptors_for_long_those_who_wait_are_sent_away_and_counted():
    with Daemon(workers=1) as daemon:
        with daemon.connect() as early:
            exchange(early, b"hello")
            system.limit_files(daemon.pid, system.descriptors(daemon.pid), 4096)
            # a descriptor may become free that was in use a moment ago
            waiting, begun = [daemon.connect() for _ in range(5)], time.monotonic()
            daemon.await_line("accepting paused: too many open files")
            sent_away, _, _ = select.select(waiting, [], [], 20)
            assert sent_away and sent_away[0].recv(1) == b"", "one is closed"
            after = time.monotonic() - begun
            assert 4.9 <= after <= 6, f"after {after:.1f} s"
            exchange(early, b"still here")
            system.limit_files(daemon.pid, 4096, 4096)
            eventually("it accepts again", lambda: daemon.ask(b"again") == b"AGAIN")
        assert daemon.metric("shoutd_connections_refused_total", reason="shed") >= 1
        return f"closed after {after:.1f} s"


def f05_over_max_connections_clients_wait_until_a_place_is_given_back():
    with Daemon(limits={"max_connections": 10}) as daemon:
        inside = [daemon.connect() for _ in range(10)]
        for client in inside:
            exchange(client, b"in")
        waiting = [daemon.connect() for _ in range(30)]
        for nth, client in enumerate(waiting):
            client.sendall(b"waits %d" % nth)
        daemon.await_line("all 10 connections are taken; new clients wait in the backlog")
        for client in inside:
            exchange(client, b"still")
        assert daemon.open() == 10 == daemon.metric("shoutd_connections_max")
        # the backlog is a queue: each that goes lets one in
        for nth, client in enumerate(waiting):
            inside.pop(0).close()
            assert hear(client, len(b"waits %d" % nth)) == b"WAITS %d" % nth
            inside.append(client)
        assert daemon.count("connections are taken") <= 2, daemon.log
        return "30 waited, all of them were served, in their order"


@needs("root", "ip", "nstat")
def f26_a_burst_over_the_backlog_is_served_to_the_last():
    system.own_network()
    system.allow_files()
    with Daemon(socket={"backlog": 16}, workers=1) as daemon:
        burst = 300
        # while it is stopped, its backlog fills and runs over, as in a burst
        daemon.signal(signal.SIGSTOP)
        callers = [
            subprocess.Popen(
                ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{daemon.port}; printf hello >&3; head -c 5 <&3"],
                stdout=subprocess.PIPE,
            )
            for _ in range(burst // 10)
        ]

        def overflows():
            said = subprocess.run(["nstat", "-asz", "TcpExtListenOverflows"], capture_output=True, text=True)
            return int(re.search(r"TcpExtListenOverflows +(\d+)", said.stdout)[1])

        eventually("the backlog runs over", lambda: overflows() > 0)
        over = overflows()
        daemon.signal(signal.SIGCONT)
        answers = [caller.communicate(timeout=20)[0] for caller in callers]
        assert answers == [b"HELLO"] * len(callers), answers
        return f"{len(callers)} callers, {over} times over the backlog"


@needs("root")
def f39_workers_that_do_not_come_leave_clients_waiting_and_lose_none():
    system.allow_files()
    with Daemon(workers=1, socket={"backlog": 4096}) as daemon:
        worker = system.thread(daemon.pid, "worker-0")
        with system.stalled(worker):
            # more than a worker's mailbox holds
            crowd = [daemon.connect() for _ in range(1500)]
            for client in crowd:
                client.sendall(b"hello")
            before, begun = system.cpu(daemon.pid), time.monotonic()
            system.pause(1)
            busy = (system.cpu(daemon.pid) - before) / (time.monotonic() - begun)
            code, _ = daemon.get("/readyz")
            assert code == 200, "it is still looked at and told what to do"
        for client in crowd:
            assert hear(client, 5) == b"HELLO"
        assert busy < 0.25, f"it used {busy:.0%} of a processor while it waited"
        for client in crowd:
            client.close()
        daemon.await_open(0)
        return f"1500 waited, all of them were served; {busy:.0%} of a processor meanwhile"


@alone
def f41_a_client_wakes_one_worker_and_not_the_herd():
    with Daemon(workers=8) as daemon:
        for _ in range(8):
            daemon.ask(b"warm")

        def wakes():
            return sum(count for name, (_, count) in system.threads(daemon.pid).items() if name.startswith("worker"))

        before = wakes()
        for _ in range(200):
            assert daemon.ask(b"hello") == b"HELLO"
        each = (wakes() - before) / 200
        # the hand-over, the text, the end
        assert each <= 4, f"{each:.1f} wakes of workers for each client"
        return f"{each:.1f} wakes of 8 workers for each client"


def f14_a_storm_of_resets_leaves_nothing_behind():
    with Daemon() as daemon:
        with daemon.connect() as quiet:
            exchange(quiet, b"before")
            files = system.descriptors(daemon.pid)
            begun = time.monotonic()
            for nth in range(3000):
                client = connect(daemon.address)
                if nth % 3:
                    client.send(b"x" * (nth % 3000))
                reset(client)
            rate = 3000 / (time.monotonic() - begun)
            exchange(quiet, b"after")
            daemon.await_open(1)
            assert system.descriptors(daemon.pid) <= files + 2
            lines = daemon.log.splitlines()
            assert len(lines) < 12, lines
        return f"{rate:.0f} a second from one client"
