"""Peers: those that refuse, hang, reset, or do not read, and ports that are out."""

import json
import socket
import subprocess
import threading
import time

from outside import system
from outside.daemon import Daemon, taken_port
from outside.wire import connect, eventually, exchange, reset

from . import lasts, needs


def peer(daemon, name):
    return next(one for one in json.loads(daemon.get("/peers", control=True)[1]) if one["name"] == name)


@lasts(5)
def f47_a_peer_that_refuses_is_dialled_less_and_less_and_found_when_it_comes():
    held, address = taken_port()
    held.close()
    peers = {"retry": {"min": "100ms", "max": "400ms"}, "source_port": "any"}
    with Daemon(peers=peers, peer=[{"name": "away", "address": address}]) as daemon:
        eventually("it was dialled", lambda: daemon.metric("shoutd_peer_dials_total", peer="away") >= 5)
        assert daemon.metric("shoutd_peer_dials_total", peer="away", result="refused") >= 5
        assert daemon.metric("shoutd_peer_up", peer="away") == 0
        told = len([line for line in daemon.log.splitlines() if "away" in line])
        assert told <= 3, f"{told} lines of log for one that is away"
        host, _, port = address.rpartition(":")
        with socket.create_server((host, int(port))) as back:
            back.settimeout(10)
            link, _ = back.accept()
            link.settimeout(10)
            with link:
                exchange(link, b"hello")
                eventually("it is linked", lambda: daemon.metric("shoutd_peer_up", peer="away") == 1)
            daemon.await_line("link ended")
        assert daemon.ask(b"client") == b"CLIENT"


@lasts(8)
@needs("root", "ip", "iptables")
def f47_a_peer_that_does_not_answer_at_all_is_given_up_in_time():
    system.own_network()
    subprocess.run(["iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", "7777", "-j", "DROP"], check=True)
    peers = {"retry": {"min": "100ms", "max": "200ms"}, "source_port": "any"}
    with Daemon(peers=peers, peer=[{"name": "hole", "address": "127.0.0.1:7777"}]) as daemon:
        begun = time.monotonic()
        dialled = "shoutd_peer_dials_total"
        eventually("a dial times out", lambda: daemon.metric(dialled, peer="hole", result="timed_out") >= 1)
        after = time.monotonic() - begun
        assert 4 <= after <= 12, f"after {after:.1f} s"
        assert daemon.ask(b"client") == b"CLIENT"
        return f"after {after:.1f} s"


def f47_a_peer_that_resets_each_link_is_no_storm():
    held, address = taken_port()
    held.settimeout(0.1)
    stop = threading.Event()

    def rude():
        while not stop.is_set():
            try:
                link, _ = held.accept()
            except TimeoutError:
                continue
            reset(link)

    server = threading.Thread(target=rude)
    server.start()
    try:
        peers = {"retry": {"min": "200ms", "max": "1s"}, "source_port": "any"}
        with Daemon(peers=peers, peer=[{"name": "rude", "address": address}]) as daemon:
            dials = lambda: daemon.metric("shoutd_peer_dials_total", peer="rude")  # noqa: E731
            eventually("it was dialled", lambda: dials() >= 3)
            before = dials()
            system.pause(1)
            rate = dials() - before
            assert rate <= 10, f"{rate:.0f} dials in a second"
            assert daemon.ask(b"client") == b"CLIENT"
            return f"{rate:.0f} dials in a second"
    finally:
        stop.set()
        server.join()
        held.close()


@lasts(3)
@needs("root", "ip")
def f48_where_no_port_is_left_a_dial_fails_and_is_tried_again():
    system.own_network()
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
        ports.write("50000 50009")
    away = socket.create_server(("127.0.0.1", 7000))
    # each pair of port and destination is one connection's
    spent = [connect(("127.0.0.1", 7000)) for _ in range(10)]
    peers = {"retry": {"min": "100ms", "max": "200ms"}, "source_port": "any"}
    keys = {"listen": "127.0.0.1:6000", "admin": {"listen": "off"}}
    with away, Daemon(peers=peers, peer=[{"name": "p", "address": "127.0.0.1:7000"}], **keys) as daemon:
        eventually("it finds no port", lambda: daemon.metric("shoutd_peer_dials_total", peer="p", result="no_port") >= 2)
        why = peer(daemon, "p")["why"]
        assert "port" in why, why
        for _ in range(10):
            away.accept()[0].close()
        for client in spent:
            reset(client)
        eventually("it is linked once there is one", lambda: daemon.metric("shoutd_peer_up", peer="p") == 1)
        link, _ = away.accept()
        link.settimeout(10)
        with link:
            exchange(link, b"hello")
        return f"told as: {why}"


def f49_what_is_said_to_a_peer_that_does_not_answer_is_bounded():
    held, address = taken_port()
    peers = {"source_port": "any"}
    with held, Daemon(peers=peers, peer=[{"name": "mute", "address": address}], workers=1) as daemon:
        link, _ = held.accept()
        eventually("it is linked", lambda: daemon.metric("shoutd_peer_up", peer="mute") == 1)
        before, codes = system.private_kib(daemon.pid), []
        callers = [
            threading.Thread(
                target=lambda: codes.append(
                    daemon.get("/send/mute?timeout_ms=1500", "POST", control=True, body=b"x" * 65536)[0]
                )
            )
            for _ in range(40)
        ]
        for caller in callers:
            caller.start()
        assert daemon.ask(b"client") == b"CLIENT", "clients are served meanwhile"
        for caller in callers:
            caller.join()
        assert set(codes) == {429, 504} and codes.count(504) <= 8, sorted(codes)
        grown = system.private_kib(daemon.pid) - before
        assert grown < 8192, f"it grew by {grown} KiB"
        link.close()
        return f"{codes.count(504)} waited in vain, {codes.count(429)} were told that there is no place"


@lasts(4)
def f49_a_peer_that_does_not_read_is_read_no_more_and_its_link_ends():
    held, address = taken_port()
    keys = {"peers": {"source_port": "any"}, "limits": {"write_timeout": "2s"}}
    with held, Daemon(peer=[{"name": "stuck", "address": address}], **keys) as daemon:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link, _ = held.accept()
        link.setblocking(False)
        before, sent = system.private_kib(daemon.pid), 0
        begun = time.monotonic()
        while daemon.metric("shoutd_connections_closed_total", reason="write_timeout") == 0:
            assert time.monotonic() - begun < 15, "the link does not end"
            try:
                sent += link.send(b"x" * 65536)
            except BlockingIOError:
                system.pause(0.05)
            except OSError:
                break
        grown = system.private_kib(daemon.pid) - before
        assert grown < 4096, f"it grew by {grown} KiB"
        daemon.await_line("link ended.*reason=write_timeout|reason=write_timeout")
        assert daemon.ask(b"client") == b"CLIENT"
        return f"{sent >> 10} KiB were taken of it"
