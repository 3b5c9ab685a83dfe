"""Stopping, being stopped for a while, and being started again."""

import re
import signal
import socket
import threading
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import connect, ending, eventually, exchange, hear, hear_all, is_refused

from . import alone, lasts


def transfer(address, text, parts, started, results, nth):
    """Says a text in parts while it reads the answer, and tells whether it came whole."""
    try:
        with connect(address) as client:
            heard = bytearray()

            def listen():
                heard.extend(hear_all(client))

            listener = threading.Thread(target=listen)
            listener.start()
            size = len(text) // parts
            for part in range(parts):
                client.sendall(text[part * size : (part + 1) * size])
                if part == 1:
                    started.release()
                system.pause(0.02)
            client.sendall(text[parts * size :])
            client.shutdown(socket.SHUT_WR)
            listener.join()
            results[nth] = bytes(heard) == text.upper()
    except OSError as error:
        results[nth] = error


@alone
def f27_a_stop_serves_a_hundred_transfers_to_their_end_and_refuses_new_clients():
    with Daemon() as daemon:
        address, results, started = daemon.address, [None] * 100, threading.Semaphore(0)
        text = b"the quick brown fox \n" * 5000
        transfers = [
            threading.Thread(target=transfer, args=(address, text, 20, started, results, nth)) for nth in range(100)
        ]
        for one in transfers:
            one.start()
        for _ in transfers:
            started.acquire()
        begun = time.monotonic()
        daemon.signal(signal.SIGTERM)
        eventually("new clients are refused", lambda: is_refused(address), 2)
        refused = time.monotonic() - begun
        for one in transfers:
            one.join()
        ended = time.monotonic()
        assert daemon.wait() == 0
        lag = time.monotonic() - ended
        assert all(result is True for result in results), [result for result in results if result is not True][:3]
        assert lag < 1.5, f"it ended {lag:.2f} s after the last"
        # one may have asked whether it is refused, and was not yet
        assert re.search(r" (\d+) connections served, \1 client_fin;", daemon.log), daemon.log[-500:]
        return f"all 100 whole; refused after {refused * 1000:.0f} ms, ended {lag:.2f} s after the last"


@lasts(3)
def f27_quiet_clients_end_by_fin_after_drain_idle_and_the_answer_is_no_more_ready():
    with Daemon() as daemon:
        quiet = daemon.connect()
        exchange(quiet, b"hello")
        daemon.signal(signal.SIGTERM)
        begun = time.monotonic()
        daemon.await_line("SIGTERM: stopping, 1 connection open")
        assert daemon.get("/readyz")[0] == 503
        assert daemon.metric("shoutd_draining") == 1
        exchange(quiet, b"one more")  # a request that was on its way
        assert ending(quiet) == ("fin", b"")
        after = time.monotonic() - begun
        assert daemon.wait() == 0
        assert 0.9 <= after <= 2.5, f"after {after:.2f} s"
        assert "1 drained" in daemon.log
        return f"after {after:.2f} s"


@lasts(4)
def f27_who_is_busy_for_ever_is_cut_off_at_drain_timeout():
    with Daemon(shutdown={"drain_timeout": "2s"}) as daemon:
        with daemon.connect() as busy:
            busy.sendall(b"x")
            daemon.signal(signal.SIGTERM)
            begun = time.monotonic()
            with_answer = 0
            try:
                while True:
                    busy.sendall(b"x")
                    with_answer += len(busy.recv(100))
                    system.pause(0.02)
                    assert time.monotonic() - begun < 10
            except OSError:
                pass
            assert daemon.wait() == 0
            after = time.monotonic() - begun
        assert 1.9 <= after <= 2.5, f"after {after:.2f} s"
        assert "1 drain_deadline" in daemon.log
        return f"after {after:.2f} s"


def f28_a_second_signal_ends_all_at_once():
    for signals in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        with Daemon(shutdown={"drain_idle": "20s"}) as daemon:
            clients = [daemon.connect() for _ in range(20)]
            for client in clients:
                exchange(client, b"hello")
            daemon.signal(signals[0])
            daemon.await_line("stopping, 20 connections open; once more stops at once")
            begun = time.monotonic()
            daemon.signal(signals[1])
            assert daemon.wait() == 0
            after = time.monotonic() - begun
            assert after < 1, f"after {after:.2f} s"
            assert "stopping at once" in daemon.log and "20 stopped" in daemon.log
            for client in clients:
                ending(client)


def f28_sigquit_is_an_end_at_once_too():
    with Daemon() as daemon:
        with daemon.connect() as client:
            exchange(client, b"hello")
            daemon.signal(signal.SIGQUIT)
            code = daemon.wait()
            ending(client)
        # the system's own: with a core where these are wanted, for whoever looks for a fault
        assert code == -signal.SIGQUIT


def f34_killed_and_started_again_on_the_same_port_it_serves_at_once():
    with Daemon() as first:
        port = first.port
        clients = [first.connect() for _ in range(20)]
        for client in clients:
            exchange(client, b"hello")
            client.shutdown(socket.SHUT_WR)
        first.signal(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        begun = time.monotonic()
        with Daemon(listen=f"127.0.0.1:{port}") as second:
            assert second.ask(b"again") == b"AGAIN"
            after = time.monotonic() - begun
            assert after < 1, f"after {after:.2f} s"
        return f"after {after * 1000:.0f} ms"


@lasts(6)
def f35_stopped_for_a_while_and_continued_it_closes_nobody_who_spoke():
    with Daemon(limits={"idle_timeout": "3s"}) as daemon:
        clients = [daemon.connect() for _ in range(50)]
        for client in clients:
            exchange(client, b"hello")
        daemon.signal(signal.SIGSTOP)
        # for longer than silence may last
        system.pause(1)
        for client in clients:
            client.sendall(b"said meanwhile")
        system.pause(2.5)
        daemon.signal(signal.SIGCONT)
        for client in clients:
            assert hear(client, 14) == b"SAID MEANWHILE"
        daemon.await_line(r"loop gap: the process stood still for 3\.\d s")
        assert daemon.open() == 50
        for client in clients:
            exchange(client, b"still here")


def f62_a_stop_wins_over_reloads_and_over_a_start():
    with Daemon() as daemon:
        daemon.expected.append("reload refused|stopping")
        with daemon.connect() as client:
            exchange(client, b"hello")
            for _ in range(20):
                daemon.signal(signal.SIGHUP)
            daemon.signal(signal.SIGTERM)
            daemon.signal(signal.SIGHUP)
            assert ending(client) == ("fin", b"")
            assert daemon.wait() == 0
    for wait in (0.0, 0.002, 0.004, 0.008):
        with Daemon(listens=False) as daemon:
            system.pause(wait)
            daemon.signal(signal.SIGTERM)
            # before its handlers are there the signal ends it, and afterwards it stops
            assert daemon.wait(5) in (0, -signal.SIGTERM)
