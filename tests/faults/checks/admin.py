"""The address where metrics are: clients there that are slow, many, or up to no good."""

import contextlib
import socket
import threading
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import connect, ending, eventually, exchange

from . import lasts


def raw(daemon, request, within=10):
    """How a request ends that is said as it is: `fin` or `reset`, and the answer."""
    with connect(daemon.admin) as client:
        with contextlib.suppress(OSError):
            client.sendall(request)
        return ending(client, within)


def f54_who_asks_for_what_is_not_there_is_told_so_and_changes_nothing():
    with Daemon() as daemon:
        cases = [
            ("GET", "/../../etc/passwd", 404),
            ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
            ("GET", "/metrics/..", 404),
            ("POST", "/metrics", 405),
            ("DELETE", "/", 405),
            ("POST", "/reload", 405),
            ("POST", "/stop?now", 405),
            ("POST", "/kill/1", 405),
            ("GET", "/connections", 404),
        ]
        for method, path, code in cases:
            assert daemon.get(path, method)[0] == code, f"{method} {path}: {daemon.get(path, method)}"
        for request in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
            how, answer = raw(daemon, request)
            assert answer == b"" or b" 400 " in answer or b" 505 " in answer, answer
        before = daemon.get("/metrics")[1].count("\n")
        for nth in range(50):
            daemon.get(f"/made/up/{nth}")
        assert daemon.get("/metrics")[1].count("\n") <= before + 2, "no client adds series"
        assert daemon.ask(b"hello") == b"HELLO"


def f54_heads_without_end_are_refused():
    with Daemon() as daemon:
        how, answer = raw(daemon, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20))
        assert b" 431 " in answer or answer == b"", answer[:200]
        many = b"".join(b"X%d: y\r\n" % nth for nth in range(10_000))
        how, answer = raw(daemon, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
        assert b" 431 " in answer or answer == b"", answer[:200]
        before = system.private_kib(daemon.pid)
        body = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n" + b"x" * (1 << 20)
        how, answer = raw(daemon, body)
        assert b" 405 " in answer or answer == b"", answer[:200]
        assert system.private_kib(daemon.pid) - before < 4096, "no body is kept"
        assert daemon.get("/readyz")[0] == 200


@lasts(8)
def f54_slow_scrapers_go_and_a_thousand_of_them_harm_nobody():
    system.allow_files()
    with Daemon() as daemon:
        slow = connect(daemon.admin)
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        begun = time.monotonic()
        with daemon.connect() as client:
            files = system.descriptors(daemon.pid)
            crowd = [connect(daemon.admin) for _ in range(1000)]
            for one in crowd:
                with contextlib.suppress(OSError):
                    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(100):
                asked = time.monotonic()
                exchange(client, b"not disturbed")
                assert time.monotonic() - asked < 0.5
            held = system.descriptors(daemon.pid) - files
            assert held < 200, f"it keeps {held} descriptors for them"
            ending(slow, 30)
            cut = time.monotonic() - begun
            assert cut < 15, f"a slow one was kept for {cut:.0f} s"
            for one in crowd:
                one.close()
            eventually("it answers", lambda: daemon.get("/readyz")[0] == 200)
        return f"a slow one was cut off after {cut:.1f} s, {held} of 1000 were in at once"


def f54_whoever_does_not_read_the_metrics_keeps_nobody_waiting():
    with Daemon() as daemon:
        stuck = []
        for _ in range(8):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(daemon.admin)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
            stuck.append(client)
        begun = time.monotonic()
        assert daemon.get("/readyz")[0] == 200
        assert daemon.ask(b"hello") == b"HELLO"
        took = time.monotonic() - begun
        assert took < 2, f"others waited for {took:.1f} s"
        for client in stuck:
            client.close()


def f54_counts_balance_at_every_scrape():
    with Daemon() as daemon:
        stop = threading.Event()

        def come_and_go():
            while not stop.is_set():
                with daemon.connect() as client:
                    exchange(client, b"hello")

        clients = [threading.Thread(target=come_and_go) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for _ in range(100):
                text = daemon.get("/metrics")[1]
                sums = dict.fromkeys(("accepted_total", "open", "closed_total"), 0.0)
                for line in text.splitlines():
                    series, _, value = line.rpartition(" ")
                    name = series.partition("{")[0].removeprefix("shoutd_connections_")
                    if name in sums:
                        sums[name] += float(value)
                assert sums["accepted_total"] == sums["open"] + sums["closed_total"], sums
        finally:
            stop.set()
            for client in clients:
                client.join()
        return f"{sums['accepted_total']:.0f} connections, 100 scrapes"
