"""Limits that hit only who reaches them: by address, by source, by rate, by time."""

import ipaddress
import random
import socket
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import ask, connect, ending, eventually, exchange, hear, hear_all, reset

from . import lasts
from .start import activated


def source(nth):
    """One of many addresses of this host."""
    return f"127.{1 + nth // 65536}.{nth // 256 % 256}.{nth % 256}"


def turned_away(daemon):
    """How one more connection ends; it may do so before it is known to have begun."""
    try:
        with daemon.connect() as client:
            return ending(client)
    except ConnectionResetError:
        return "reset", b""


def f05_early_refusal_keeps_places_for_those_who_have_spoken_before():
    with Daemon(limits={"max_connections": 40, "early_refusal": True}, log={"access": "end"}) as daemon:
        friend = source(7)
        assert daemon.ask(b"hello", source=friend) == b"HELLO"
        inside = []
        for nth in range(20):
            client = daemon.connect(source=source(100 + nth))
            exchange(client, b"in")
            inside.append(client)
        refused = 0
        for nth in range(400):
            if len(inside) >= 38:
                inside.pop().close()
                eventually("its place is free", lambda: daemon.open() <= len(inside))
            # a stranger each time
            client = daemon.connect(source=source(1000 + nth))
            client.settimeout(5)
            client.sendall(b"hello")
            answer = client.recv(100)
            if answer == b"HELLO":
                inside.append(client)
            else:
                assert answer == b"shoutd: too many connections; try again later\n", answer
                refused += 1
                client.close()
        assert 50 < refused < 390, f"{refused} of 400 strangers were refused"
        for _ in range(20):
            assert daemon.ask(b"hello", source=friend) == b"HELLO", "a friend is let in"
        daemon.await_closed("refused_early", refused)
        return f"{refused} of 400 strangers refused, no friend"


def f06_a_source_with_too_many_connections_is_told_and_the_others_are_served():
    with Daemon(limits={"max_connections_per_source": 2}) as daemon:
        inside = []
        for nth in range(200):
            for _ in range(2):
                client = daemon.connect(source=source(nth))
                exchange(client, b"in")
                inside.append(client)
        for nth in range(200):
            excess = daemon.connect(source=source(nth))
            excess.sendall(b"me too")
            how, heard = ending(excess)
            told = b"shoutd: %s has as many connections as it may have: 2\n" % source(nth).encode()
            assert (how, heard) == ("fin", told), (how, heard)
            excess.close()
        for client in inside:
            exchange(client, b"still in")
        daemon.await_closed("limit_source", 200)
        assert daemon.metric("shoutd_connections_closed_total", reason="limit_source") == 200
        lines = daemon.count("limit_source: ")
        assert 1 <= lines <= 5, f"{lines} lines of log for 200"
        daemon.await_line(r"default: refused 127\.1\.\d+\.\d+:\d+, limit_source: ")
        inside.pop().close()
        eventually("who goes makes room", lambda: daemon.ask(b"hello", source=source(199)) == b"HELLO")
        return f"200 sources, {lines} lines of log"


def f06_a_source_that_comes_too_fast_is_told_and_the_others_are_served():
    with Daemon(limits={"connection_rate_per_source": "10/s"}) as daemon:
        served = refused = 0
        begun = time.monotonic()
        while time.monotonic() - begun < 1:
            answer = daemon.ask(b"hello", source=source(1))
            if answer == b"HELLO":
                served += 1
            else:
                assert answer == b"shoutd: %s connects too often; try again later\n" % source(1).encode(), answer
                refused += 1
            assert daemon.ask(b"hello", source=source(10 + served + refused)) == b"HELLO"
        assert 15 <= served <= 21, f"{served} in the first second: 10 at once and 10 by the rate"
        assert refused > 5
        daemon.await_closed("limit_source", refused)
        return f"{served} of {served + refused} in the first second"


def f06_who_is_one_too_many_may_be_reset_or_wait_instead():
    with Daemon(limits={"max_connections_per_source": 1, "on_limit": "reset"}) as daemon:
        with daemon.connect() as first:
            exchange(first, b"in")
            assert turned_away(daemon) == ("reset", b"")
            assert daemon.ask(b"other", source=source(1)) == b"OTHER"
            exchange(first, b"still in")
        daemon.await_closed("limit_source")
    with Daemon(limits={"max_connections_per_source": 1, "on_limit": "wait"}) as daemon:
        first = daemon.connect()
        exchange(first, b"in")
        waiting = [daemon.connect() for _ in range(5)]
        for client in waiting:
            client.sendall(b"waited")
        assert daemon.ask(b"other", source=source(1)) == b"OTHER"
        first.close()
        for client in waiting:
            assert hear(client, 6) == b"WAITED"
            client.close()
        # a source has so many that wait, and no more: the next one is told
        first = daemon.connect()
        exchange(first, b"in")
        waiting = [daemon.connect() for _ in range(16)]
        how, heard = ending(daemon.connect())
        assert how == "fin" and b"as many connections as it may have" in heard, heard
        for client in waiting:
            client.close()


@lasts(9)
def f07_a_crowd_of_sources_is_not_remembered_without_end():
    with Daemon(workers=1, limits={"connection_rate_per_source": "100/s"}) as daemon:

        def come(first, count):
            for nth in range(first, first + count):
                client = connect(daemon.address, source=source(nth))
                if nth % 64 == 0:
                    exchange(client, b"hello")
                reset(client)

        # as many as are remembered, and then as many again
        come(0, 34_000)
        before = system.private_kib(daemon.pid)
        begun = time.monotonic()
        come(34_000, 34_000)
        rate = 34_000 / (time.monotonic() - begun)
        daemon.await_open(0)
        grown = system.private_kib(daemon.pid) - before
        assert grown < 512, f"another 34000 sources cost {grown} KiB"
        return f"68000 sources; the second half cost {grown} KiB, at {rate:.0f} a second"


def f08_who_may_connect_is_as_the_lists_of_addresses_say():
    chance = random.Random(8)

    def block():
        bits = chance.randint(9, 32)
        address = ipaddress.ip_address(f"127.{chance.randint(0, 3)}.{chance.randint(0, 255)}.{chance.randint(0, 255)}")
        return ipaddress.ip_network(f"{address}/{bits}", strict=False)

    for _ in range(3):
        allow, deny = [block() for _ in range(6)], [block() for _ in range(6)]
        limits = {"allow": [str(one) for one in allow], "deny": [str(one) for one in deny]}
        with Daemon(limits=limits) as daemon:
            near = [one[chance.randrange(one.num_addresses)] for one in allow + deny for _ in range(6)]
            edges = [one[end] for one in allow + deny for end in (0, -1)]
            tried = denied = 0
            for address in near + edges:
                if str(address) in ("127.0.0.0", "127.255.255.255"):
                    continue
                enters = any(address in one for one in allow) and not any(address in one for one in deny)
                answer = daemon.ask(b"hello", source=str(address))
                told = b"HELLO" if enters else f"shoutd: {address} may not connect here\n".encode()
                assert answer == told, f"{address}: {answer!r}, allow {allow}, deny {deny}"
                tried, denied = tried + 1, denied + (not enters)
            daemon.await_closed("denied", denied)
            assert daemon.status()["messages"] == tried - denied, "nothing that they say is a message"
            assert daemon.count("denied: ") <= 5


def f08_a_v4_address_in_a_v6_one_is_meant_by_the_lists_too():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as passed:
        port = passed.getsockname()[1]
        keys = {"limits": {"deny": ["127.9.0.0/16"], "max_connections_per_source": 1}}
        with Daemon(listen="127.0.0.1:1", **activated(passed, keys)) as daemon:
            assert ask(("127.0.0.1", port), b"hello", source="127.9.9.9") == b"shoutd: 127.9.9.9 may not connect here\n"
            with connect(("127.0.0.1", port), source="127.8.8.8") as first:
                exchange(first, b"hello")
                told = ask(("127.0.0.1", port), b"hello", source="127.8.8.8")
                assert told == b"shoutd: 127.8.8.8 has as many connections as it may have: 1\n", told


def f08_a_reload_changes_who_may_connect_and_lets_those_who_are_in_talk_on():
    with Daemon() as daemon:
        with daemon.connect(source=source(1)) as inside:
            exchange(inside, b"in")
            daemon.configure(limits={"deny": ["127.0.0.0/8"]})
            assert daemon.reload()[0] == 200
            assert daemon.ask(b"hello", source=source(1)) == f"shoutd: {source(1)} may not connect here\n".encode()
            exchange(inside, b"still in")
            daemon.configure(limits={})
            assert daemon.reload()[0] == 200
            assert daemon.ask(b"hello", source=source(1)) == b"HELLO"


@lasts(3)
def f12_who_has_said_all_and_takes_nothing_of_the_answer_is_cut_off_sooner():
    limits = {"half_closed_timeout": "1s", "write_timeout": "20s"}
    with Daemon(framing="line", max_message="16MiB", limits=limits) as daemon:
        with daemon.connect(receive_buffer=4096) as client:
            # a line without an end is answered at the end, and then all at once
            client.sendall(b"x" * (8 << 20))
            client.shutdown(socket.SHUT_WR)
            begun = time.monotonic()
            daemon.await_closed("half_closed_timeout")
            after = time.monotonic() - begun
            assert 0.9 <= after <= 2.5, f"after {after:.1f} s"
            how, heard = ending(client)
            assert how == "reset" and len(heard) < 8 << 20, (how, len(heard))
            daemon.await_line("reason=half_closed_timeout")
        # whoever takes it has the time that it takes
        with daemon.connect(receive_buffer=65536) as client:
            client.sendall(b"x" * (2 << 20))
            client.shutdown(socket.SHUT_WR)
            heard = 0
            while part := client.recv(64 << 10):
                heard += len(part)
                system.pause(0.05)
            assert heard == 2 << 20
    return f"after {after:.1f} s"


@lasts(3)
def f12_an_end_behind_what_is_not_read_yet_counts_too():
    limits, large = {"half_closed_timeout": "1s", "write_timeout": "20s"}, {"receive_buffer": "256KiB"}
    with Daemon(limits=limits, socket=large) as daemon:
        with daemon.connect(receive_buffer=4096) as client:
            # more than is sent back to one who does not read, and all of it fits into what is received
            client.sendall(b"x" * (300 << 10))
            client.shutdown(socket.SHUT_WR)
            begun = time.monotonic()
            daemon.await_closed("half_closed_timeout", within=10)
            after = time.monotonic() - begun
            assert after <= 3, f"after {after:.1f} s"
            assert ending(client)[0] == "reset"
        return f"after {after:.1f} s"


@lasts(4)
def f17_a_connection_lasts_as_long_as_it_may_and_ends_in_stages():
    with Daemon(framing="line", limits={"max_lifetime": "1500ms"}) as daemon:
        with daemon.connect() as client:
            begun, answers = time.monotonic(), 0
            client.sendall(b"word\n")
            while client.recv(5) == b"WORD\n":
                answers += 1
                system.pause(0.02)
                try:
                    client.sendall(b"word\n")
                except OSError:
                    break
            after = time.monotonic() - begun
        assert 1.4 <= after <= 2.7, f"after {after:.2f} s"
        daemon.await_closed("max_lifetime")
        return f"after {after:.2f} s and {answers} answers"


@lasts(4)
def f40_who_is_faster_than_its_rate_is_read_from_later_and_loses_nothing():
    rates = {"message_rate": "20/s"}
    with Daemon(framing="line", limits=rates) as daemon:
        with daemon.connect() as fast, daemon.connect() as other:
            begun = time.monotonic()
            text = b"".join(b"line %d\n" % nth for nth in range(60))
            fast.sendall(text)
            fast.shutdown(socket.SHUT_WR)
            asked = time.monotonic()
            exchange(other, b"not disturbed\n")
            assert time.monotonic() - asked < 0.2
            assert hear_all(fast) == text.upper()
            took = time.monotonic() - begun
        assert 1.7 <= took <= 3, f"60 messages at 20 a second, 20 at once: {took:.2f} s"
        daemon.await_closed("client_fin", 2)
    with Daemon(limits={"byte_rate": "1MiB/s"}) as daemon:
        with daemon.connect() as fast:
            begun = time.monotonic()
            before = system.cpu(daemon.pid)
            fast.sendall(b"x" * (5 << 19))
            fast.shutdown(socket.SHUT_WR)
            assert hear_all(fast) == b"X" * (5 << 19)
            slowly = time.monotonic() - begun
            assert system.cpu(daemon.pid) - before < 0.5
        assert 1.3 <= slowly <= 2.5, f"2.5 MiB at 1 MiB a second, 1 MiB at once: {slowly:.2f} s"
    return f"60 messages in {took:.2f} s, 2.5 MiB in {slowly:.2f} s"


@lasts(3)
def f40_a_rate_of_a_source_is_shared_by_its_connections():
    with Daemon(framing="line", limits={"message_rate_per_source": "20/s"}) as daemon:
        clients = [daemon.connect(source=source(1)) for _ in range(4)]
        begun = time.monotonic()
        for client in clients:
            client.sendall(b"word\n" * 15)
            client.shutdown(socket.SHUT_WR)
        asked = time.monotonic()
        assert daemon.ask(b"other\n", source=source(2)) == b"OTHER\n"
        assert time.monotonic() - asked < 0.2
        for client in clients:
            assert hear_all(client) == b"WORD\n" * 15
        took = time.monotonic() - begun
        assert 1.7 <= took <= 3, f"60 messages at 20 a second, 20 at once: {took:.2f} s"
        return f"60 messages of 4 connections in {took:.2f} s"


