"""The log: what clients say does not get into it raw, and nobody waits for it."""

import os
import re
import signal
import subprocess
import time

from outside.daemon import Daemon
from outside.wire import ask, connect, ending, eventually, exchange

from . import lasts

HOSTILE = b"\x1b]0;forged\x07\n2026-11-24T13:48:57Z ERROR forged\r\n\x9b31m\xe2\x80\xae\xc2\x9b " + b"long" * 20_000 + b"\n"


def f52_nothing_that_a_client_says_gets_into_the_log_raw():
    for form in ("text", "json"):
        log = {"level": "trace", "access": "start+end", "format": form}
        keys = {"framing": "line", "transform": ["unbase64", "uppercase"], "on_error": "close", "log": log}
        with Daemon(listens=False, **keys) as daemon:
            eventually("it listens", lambda d=daemon: "listening on" in d.log and "page for people" in d.log)
            address = ("127.0.0.1", int(daemon.log.split("listening on 127.0.0.1:")[1].split(":")[0]))
            for _ in range(20):
                with connect(address) as client:
                    client.sendall(HOSTILE)
                    ending(client)
            host, port = daemon.admin if form == "text" else (None, None)
            if host:
                with connect((host, port)) as client:
                    client.sendall(b"GET /\x1b[31mforged HTTP/1.1\r\nHost: \x07forged\r\n\r\n")
                    ending(client)
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
            raw = open(daemon.log_file, "rb").read()
            assert raw.count(b"reason=") + raw.count(b'"reason":') >= 20
            assert all(32 <= byte < 127 or byte == 10 for byte in raw), "one line each, without controls"
            assert b"forged" not in raw and max(map(len, raw.splitlines())) < 1000


def f53_a_log_that_nobody_reads_keeps_nobody_waiting():
    reader, writer = os.pipe()
    keys = {"log": {"level": "debug", "access": "start+end"}}
    with Daemon(listens=False, stderr=writer, listen="unix:shoutd.sock", **keys) as daemon:
        os.close(writer)
        path = os.path.join(daemon.folder.name, "shoutd.sock")
        eventually("it listens", lambda: os.path.exists(path) and ask(path, b"hello") == b"HELLO")
        begun = time.monotonic()
        for _ in range(9000):
            with connect(path) as client:
                exchange(client, b"hello")
        took = time.monotonic() - begun
        command = [os.environ["SHOUTD"], "status", "--json", "-c", daemon.file]
        said = subprocess.run(command, capture_output=True, text=True, timeout=10)
        assert said.returncode == 0, said
        dropped = int(said.stdout.partition('"dropped":')[2].strip().split("}")[0].split(",")[0])
        assert dropped > 0, "lines were dropped and counted"
        daemon.signal(signal.SIGTERM)
        with os.fdopen(reader, "rb") as log:
            text = log.read().decode()
        assert daemon.wait() == 0
        assert "lines of this log were dropped: they came faster than they were read" in text
        return f"9000 clients in {took:.1f} s, {dropped} lines dropped"


def f53_a_log_on_a_full_disk_keeps_nobody_waiting():
    with open("/dev/full", "w") as full:
        with Daemon(listens=False, stderr=full, listen="unix:shoutd.sock", log={"access": "end"}) as daemon:
            path = os.path.join(daemon.folder.name, "shoutd.sock")
            eventually("it listens", lambda: os.path.exists(path))
            for _ in range(100):
                assert ask(path, b"hello") == b"HELLO"
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0


@lasts(3)
def f53_a_flood_of_ends_worth_a_look_is_ten_lines_a_second():
    with Daemon(invalid_utf8="close", workers=1) as daemon:
        begun = time.monotonic()
        count = 0
        while time.monotonic() - begun < 2:
            with daemon.connect() as client:
                client.sendall(b"\xff")
                assert client.recv(1) == b""
            count += 1
        daemon.await_closed("invalid_utf8", count)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        lines = daemon.count("reason=invalid_utf8")
        assert 10 <= lines <= 30, f"{lines} lines for {count} clients"
        kept_back = sum(map(int, re.findall(r"(\d+) more connections ended in such ways", daemon.log)))
        assert lines + kept_back == count, f"{lines} lines and {kept_back} kept back of {count}"
        return f"{lines} lines for {count} clients"
