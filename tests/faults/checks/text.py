"""Texts, whole and broken, in every cut: what comes back is right to the byte."""

import socket

from outside import system
from outside.daemon import Daemon
from outside.wire import ending, exchange, hear, hear_all, pipelined

from . import lasts

# what is no UTF-8, each beside whole characters: overlong, surrogates, too large, lone, missing, cut
BROKEN = [
    b"\x80", b"\xbf", b"\x80\x80", b"\xc0", b"\xc0\xaf", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xc3\x28",
    b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xe1", b"\xe1\x80", b"\xe1\x80\xe1\x80", b"\xe2\x82", b"\xe2\x28\xa1",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xed\x9f", b"\xef\xbf", b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf", b"\xf0\x90", b"\xf0\x90\x80", b"\xf0\x9f\x98", b"\xf0\x28\x8c\xbc", b"\xf0\x90\x28\xbc",
    b"\xf0\x28\x8c\x28", b"\xf1\x80\x80", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf",
    b"\xf8\x88\x80\x80\x80", b"\xfb\xbf\xbf\xbf\xbf", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xfe\xff",
    b"\xfe\xfe\xff\xff", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80",
    b"\xfc\x80\x80\x80\x80\x80", b"\xdf", b"\xef\xbf\xc3\xa9", b"\xf7\xbf\xbf\xc3\xa9", b"\xe1\xa0\xc0\xaf",
    b"\xf1\x80\xe1\x80\xc2\x62", b"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", b"\xf4\x91\x92\x93\xff\x41",
    b"\xc2\xc2\xa9", b"\xe2\x82\xe2\x82\xac", b"\xf0\x9f\xf0\x9f\x98\x80",
]  # fmt: skip
TEXTS = ["straße", "ﬁ ŉ ΐ", "日本 Ελλάδα", "😀 e\u0301", "ǆ ﬃ \u1f80", "привет, жук"]


def cut_anywhere(daemon, text, answer):
    """Every cut of a text in two, each on a connection of its own."""
    for cut in range(len(text) + 1):
        with daemon.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(text[:cut])
            if cut:
                # what is whole comes back before the rest is said, so the cut is a cut
                whole = text[:cut].decode("utf-8", "ignore").upper().encode()
                assert hear(client, len(whole)) == whole
            else:
                whole = b""
            client.send(text[cut:])
            client.shutdown(socket.SHUT_WR)
            heard = whole + hear_all(client)
            assert heard == answer, f"{text!r} cut at {cut}: {heard!r}, not {answer!r}"


def f21_a_character_that_the_network_cuts_is_answered_whole():
    with Daemon() as daemon:
        for text in TEXTS:
            cut_anywhere(daemon, text.encode(), text.upper().encode())
        with daemon.connect() as client:
            text = "".join(TEXTS)
            for byte in text.encode():
                client.send(bytes([byte]))
            client.shutdown(socket.SHUT_WR)
            assert hear_all(client).decode() == text.upper()
        return f"{sum(len(text.encode()) + 1 for text in TEXTS)} cuts"


def f22_bytes_that_are_no_text_come_back_as_the_policy_says():
    cases = [before + broken + after for broken in BROKEN for before in (b"", b"a\xc3\xa9") for after in (b"", b"z\xc3\xb6")]
    for policy in ("replace", "pass"):
        with Daemon(invalid_utf8=policy) as daemon:
            for case in cases:
                if policy == "replace":
                    answer = case.decode("utf-8", "replace").upper().encode()
                else:
                    answer = case.decode("utf-8", "surrogateescape").upper().encode("utf-8", "surrogateescape")
                assert daemon.ask(case) == answer, f"{case!r} under {policy}"
    with Daemon(invalid_utf8="close") as daemon:
        for broken in BROKEN:
            with daemon.connect() as client:
                client.sendall(b"good " + broken)
                client.shutdown(socket.SHUT_WR)
                how, heard = ending(client)
                assert how == "fin" and heard.startswith(b"GOOD "), f"{broken!r}: {heard!r} and a {how}"
        daemon.await_closed("invalid_utf8", len(BROKEN))
    return f"{len(cases)} texts under each policy, as CPython has it"


def f23_nul_controls_and_marks_pass_unchanged():
    text = bytes(range(128)) + "\ufeff \u202e \x85 ".encode()
    with Daemon() as daemon:
        assert daemon.ask(text) == text.decode().upper().encode()
    with Daemon(framing="line", log={"level": "trace"}) as daemon:
        line = text.replace(b"\n", b"").replace(b"\r", b"") + b"\n"
        assert daemon.ask(line) == line.decode().upper().encode()
        assert all(character >= " " for character in daemon.log.replace("\n", "")), "no control is in the log"


def f24_what_grows_in_upper_case_comes_whole():
    with Daemon(workers=1) as daemon:
        text = ("\u0390" * 200_000).encode()
        with daemon.connect() as client:
            pipelined(client, text, text.decode().upper().encode())
        return f"{len(text)} bytes became {len(text.decode().upper().encode())}"


def f18_a_line_that_is_too_long_is_treated_as_the_configuration_says():
    long = b"x" * 500
    policies = {
        "close": (b"ONE\n", "message_too_long"),
        "truncate": (b"ONE\n" + b"X" * 100 + b"\nTWO\n", "client_fin"),
        "drop": (b"ONE\nTWO\n", "client_fin"),
        "pass": (b"ONE\n" + long + b"\nTWO\n", "client_fin"),
    }
    for policy, (answer, reason) in policies.items():
        with Daemon(framing="line", max_message=100, on_long=policy) as daemon:
            with daemon.connect() as client:
                client.sendall(b"one\n" + long + b"\ntwo\n")
                client.shutdown(socket.SHUT_WR)
                assert ending(client) == ("fin", answer), policy
            daemon.await_closed(reason)
            assert daemon.metric("shoutd_messages_too_long_total") == 1


def f18_a_line_without_an_end_takes_no_more_memory_than_it_may():
    with Daemon(framing="line", on_long="drop", workers=1) as daemon:
        with daemon.connect() as client:
            exchange(client, b"warm\n")
            before = system.private_kib(daemon.pid)
            block = b"x" * (1 << 20)
            for _ in range(64):
                client.sendall(block)
            client.sendall(b"\n")
            exchange(client, b"after\n")
            grown = system.private_kib(daemon.pid) - before
        assert grown < 1024, f"64 MiB cost {grown} KiB"
        return f"64 MiB cost {grown} KiB"


def f19_lengths_of_nothing_too_much_and_more_than_comes():
    with Daemon(framing="length32", max_message=1000) as daemon:
        assert daemon.ask(b"\0\0\0\0\0\0\0\1a") == b"\0\0\0\0\0\0\0\1A", "an empty message has an empty answer"
        most = (1000).to_bytes(4, "big") + b"y" * 1000
        assert daemon.ask(most) == most.upper()
        for length in (1001, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
            with daemon.connect() as client:
                client.sendall(b"\0\0\0\1a" + length.to_bytes(4, "big") + b"zzz")
                assert ending(client) == ("fin", b"\0\0\0\1A"), length
        for cut in (b"\0", b"\0\0\0", b"\0\0\0\5hell"):
            assert daemon.ask(b"\0\0\0\1b" + cut) == b"\0\0\0\1B", cut
        assert daemon.metric("shoutd_messages_too_long_total") == 4
        assert daemon.metric("shoutd_messages_cut_short_total") == 3
        daemon.await_closed("message_too_long", 4)
        daemon.await_closed("message_cut_short", 3)


@lasts(4)
def f20_sixty_four_mebibytes_without_a_newline_come_back_in_little_memory():
    with Daemon(workers=1) as daemon:
        daemon.ask(b"warm")
        before = system.private_kib(daemon.pid)
        text = b"abcdefgh" * (8 << 20)
        with daemon.connect() as client:
            pipelined(client, text, text.upper())
        grown = system.private_kib(daemon.pid) - before
        assert grown < 1024, f"it grew by {grown} KiB"
        bytes_moved = daemon.status()["bytes"]
        assert bytes_moved == {"received": len(text) + 4, "sent": len(text) + 4}, bytes_moved
        return f"it grew by {grown} KiB"


def f55_a_hostile_pattern_takes_no_more_than_its_text_is_long():
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*)*x", "^(a?){50}a{50}$"):
        with Daemon(framing="line", max_message="2MiB", transform={"replace": {"pattern": pattern, "with": ""}}) as daemon:
            with daemon.connect() as client:
                before = system.cpu(daemon.pid)
                text = b"a" * (1 << 20) + b"!\n"
                exchange(client, text, text)
                took = system.cpu(daemon.pid) - before
                assert took < 2, f"{pattern} took {took:.2f} s"

