"""How connections end: by either side, in every order, by a reset, or by nobody's word at all."""

import socket
import subprocess
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import ask, connect, ending, eventually, exchange, fill, hear, hear_all, reset, vanish

from . import lasts, needs



def f09_who_connects_and_goes_is_a_connection_that_the_client_ended():
    with Daemon() as daemon:
        for _ in range(20):
            daemon.connect().close()
        for _ in range(20):
            with daemon.connect() as client:
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
        daemon.await_closed("client_fin", 40)
        assert daemon.metric("shoutd_connections_closed_total", reason="client_fin") == 40


@lasts(6)
@needs("root", "ip", "iptables")
def f10_a_client_that_vanishes_is_found_by_probes_or_by_its_silence():
    system.own_network()
    probed = {"name": "probed", "listen": "127.0.0.1:0", "limits": {"idle_timeout": "off"}}
    probed["socket"] = {"keepalive": {"idle": "1s", "interval": "1s", "probes": 2}}
    silent = {"name": "silent", "listen": "127.0.0.1:0", "limits": {"idle_timeout": "2s"}}
    with Daemon(listener=[probed, silent], log={"access": "end"}) as daemon:
        by_probes, by_silence = (connect(address) for address in daemon.addresses)
        exchange(by_probes, b"hello")
        exchange(by_silence, b"hello")
        port = by_probes.getsockname()[1]
        subprocess.run(["iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"], check=True)
        vanish(by_probes)
        begun = time.monotonic()
        vanish(by_silence)
        daemon.await_closed("client_vanished")
        gone = time.monotonic() - begun
        daemon.await_closed("idle_timeout")
        daemon.await_line("listener=probed.* reason=client_vanished")
        daemon.await_line("listener=silent.* reason=idle_timeout")
        return f"after {gone:.1f} s of probes"


def f11_behind_a_half_close_the_whole_answer_comes_and_then_the_end():
    framings = [
        ({}, b"no end", b"NO END"),
        ({}, "cut \u00e9".encode()[:-1], b"CUT \xc3"),
        ({"invalid_utf8": "replace"}, "cut \u00e9".encode()[:-1], "CUT \ufffd".encode()),
        ({"framing": "line"}, b"one\ntwo", b"ONE\nTWO"),
        ({"framing": "line"}, b"", b""),
        ({"transform": "lowercase"}, "ΟΔΟΣ".encode(), "οδος".encode()),
    ]
    for keys, text, answer in framings:
        with Daemon(**keys) as daemon:
            assert daemon.ask(text) == answer, f"{text!r} with {keys}"
            with daemon.connect() as late:
                late.sendall(text)
                eventually("it has read it", lambda d=daemon, t=text: d.status()["bytes"]["received"] == 2 * len(t))
                late.shutdown(socket.SHUT_WR)
                assert hear_all(late) == answer
            for _ in range(100):
                assert daemon.ask(text) == answer
            daemon.await_closed("client_fin", 102)


def f13_an_error_ends_in_stages_so_that_what_came_before_is_heard():
    endings = [
        ({"invalid_utf8": "close"}, b"good \xff", b"GOOD ", "invalid_utf8"),
        ({"framing": "line", "max_message": 100}, b"good\n" + b"x" * 200, b"GOOD\n", "message_too_long"),
        ({"framing": "netstring"}, b"4:good,bogus", b"4:GOOD,", "bad_frame"),
        ({"transform": "unbase64", "on_error": "close"}, b"Z29vZA==!", b"good", "bad_input"),
    ]
    for keys, text, answer, reason in endings:
        with Daemon(**keys) as daemon:
            # polite: the client goes on for less than is read of it
            with daemon.connect() as client:
                client.sendall(text + b"y" * 30_000)
                assert ending(client) == ("fin", answer), keys
            # rude: 10 MiB more are under way, whoever reads them
            rude = daemon.connect()
            rude.sendall(text)
            took = fill(rude, b"y" * 65536, quiet=0.2)
            how, heard = ending(rude)
            assert heard == answer, f"{heard!r} and then a {how}, {keys}"
            assert took < 64 << 20, f"{took} bytes were taken of one that was ended"
            rude.close()
            daemon.await_closed(reason, 2)
            daemon.await_line(f"reason={reason}", times=2)


def f14_a_reset_at_any_time_is_the_clients():
    with Daemon() as daemon:
        files = system.descriptors(daemon.pid)
        for nth in range(200):
            client = daemon.connect()
            if nth % 4 == 1:
                client.sendall(b"hello")
            elif nth % 4 == 2:
                exchange(client, b"hello")
            elif nth % 4 == 3:
                client.sendall(b"x" * 100_000)  # and the answer is under way
                client.shutdown(socket.SHUT_WR) if nth % 8 == 7 else None
            reset(client)
        daemon.await_open(0)
        closed = daemon.status()["connections"]["closed"]
        assert closed["client_reset"] + closed["client_fin"] == 200 and closed["client_reset"] >= 150, closed
        eventually("its descriptors are free", lambda: system.descriptors(daemon.pid) <= files + 2)
        assert "reason=" not in daemon.log, "such ends are worth no line"
        return f"{closed['client_reset']} of 200 known as resets"


def f14_a_client_that_goes_without_reading_its_answer_resets():
    with Daemon() as daemon:
        client = daemon.connect(receive_buffer=4096)
        fill(client, quiet=0.3)
        client.close()
        daemon.await_closed("client_reset")


@lasts(5)
def f17_a_silent_client_is_closed_when_its_time_is_up_and_not_before():
    with Daemon(limits={"idle_timeout": "2s"}) as daemon:
        silent, talks = daemon.connect(), daemon.connect()
        begun = time.monotonic()
        for _ in range(10):
            system.pause(0.1)
            exchange(talks, b"word")
        said = time.monotonic()
        assert ending(silent) == ("fin", b"")
        first = time.monotonic() - begun
        assert ending(talks) == ("fin", b"")
        second = time.monotonic() - said
        assert 1.95 <= first <= 3 and 1.95 <= second <= 3, f"after {first:.2f} s and {second:.2f} s"
        daemon.await_closed("idle_timeout", 2)
        return f"after {first:.2f} s, and {second:.2f} s after its last word"


@lasts(6)
def f17_an_answer_that_the_client_still_takes_is_no_silence():
    with Daemon(limits={"idle_timeout": "1s", "write_timeout": "10s"}, workers=1) as daemon:
        client = daemon.connect(receive_buffer=4096)
        text = b"x" * 300_000
        client.setblocking(False)
        sent = 0
        while True:
            try:
                sent += client.send(text)
            except BlockingIOError:
                break
        client.settimeout(5)
        taken = 0
        # a little, again and again, for three times as long as silence may last
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            taken += len(hear(client, 2048))
            system.pause(0.1)
        assert daemon.open() == 1, "it is not closed for its silence"
        while taken < sent:
            taken += len(client.recv(1 << 16))
        client.close()
        daemon.await_open(0)


def f25_an_urgent_byte_hides_neither_the_rest_nor_the_end():
    with Daemon() as daemon:
        for nth in range(50):
            with daemon.connect() as client:
                client.sendall(b"before ")
                client.send(b"!", socket.MSG_OOB)
                if nth % 2:
                    exchange(client, b"after", b"BEFORE AFTER")
                    client.shutdown(socket.SHUT_WR)
                    assert hear_all(client) == b""
                else:
                    client.sendall(b"after")
                    client.shutdown(socket.SHUT_WR)
                    assert hear_all(client) == b"BEFORE AFTER"
        daemon.await_closed("client_fin", 50)


@lasts(6)
def f58_two_thousand_silent_clients_are_closed_within_a_second_of_their_time():
    system.allow_files()
    with Daemon(limits={"idle_timeout": "2s"}) as daemon:
        times = []
        for _ in range(2000):
            client = daemon.connect()
            times.append((client, time.monotonic()))
        late = 0.0
        for client, opened in times:
            assert ending(client) == ("fin", b"")
            client.close()
            # those behind the first may have ended before they are looked at; none may take longer than this
            late = max(late, time.monotonic() - opened - 2)
        assert late < 1.5, f"{late:.2f} s late"
        daemon.await_closed("idle_timeout", 2000)
        return f"the last was told {late * 1000:.0f} ms late"


def f59_spurious_wakes_and_short_reads_change_nothing():
    with Daemon(buffer_size=1, buffer_size_max=1) as daemon:
        assert daemon.ask("straße".encode()) == b"STRASSE"
        assert ask(daemon.address, b"x" * 5000) == b"X" * 5000
