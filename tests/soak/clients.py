"""The clients of the soak: what each kind does, and what it holds the daemon to. No daemon is started here."""

import collections
import random
import socket
import threading
import time

from outside import system
from outside.wire import connect, reset, vanish

TEXTS = ["hello", "straße", "ﬁ ΐ", "日本 Ελλάδα", "😀 e\u0301", "привет, жук", "x" * 3000, "ΟΔΟΣ ǆ", "a,b;c"]
RESETS = 20  # one connection in so many is ended by a reset, whatever it is in the middle of


class Lost(Exception):
    """The daemon ended a connection in the middle of things."""


def framed(framing, text):
    if framing == "length32":
        return len(text).to_bytes(4, "big") + text
    if framing == "netstring":
        return b"%d:%s," % (len(text), text)
    return text + b"\n" if framing == "line" else text


class Client:
    """One after the other: connections of every kind, as the seed decides."""

    def __init__(self, addresses, seed, stop):
        self.addresses, self.chance, self.stop = addresses, random.Random(seed), stop
        self.counts, self.wrong = collections.Counter(), []

    def run(self):
        kinds = [self.good] * 6 + [self.halves, self.halves, self.slow, self.rude, self.rude, self.stuck, self.gone]
        while not self.stop.is_set():
            kind = self.chance.choice(kinds)
            framing, address = self.chance.choice(self.addresses)
            try:
                # those who never read have little room, so that it is the daemon that has to bear them
                client = connect(address, receive_buffer=4096 if kind == self.stuck else None)
            except OSError as error:
                self.wrong.append(f"not let in: {error!r}")
                self.wait(0.1)
                continue
            self.counts["connections"] += 1
            self.counts[kind.__name__] += 1
            self.resets_in = self.chance.randint(0, 4) if self.chance.randrange(RESETS) == 0 else None
            try:
                with client:
                    kind(client, framing)
            except Lost as lost:
                self.counts["lost"] += 1
                self.wrong.append(f"{kind.__name__}, {framing}: {lost}")
            except (ConnectionResetError, BrokenPipeError):
                if kind in (self.good, self.halves, self.slow):
                    self.counts["lost"] += 1
                    self.wrong.append(f"{kind.__name__}, {framing}: reset")
            except TimeoutError:
                self.wrong.append(f"{kind.__name__}, {framing}: no answer within 20 s")
            except GaveUp:
                self.counts["reset by the client"] += 1
            self.wait(self.chance.uniform(0, 0.05))

    def wait(self, seconds):
        self.stop.wait(seconds)

    def message(self, framing):
        text = " ".join(self.chance.choices(TEXTS, k=self.chance.randint(1, 4)))
        return framed(framing, text.encode()), framed(framing, text.upper().encode())

    def say(self, client, text):
        """Says a text in pieces; or resets instead, where that was decided."""
        if self.resets_in is not None:
            self.resets_in -= 1
            if self.resets_in < 0:
                client.sendall(text[: len(text) // 2])
                reset(client)
                raise GaveUp
        for _ in range(self.chance.choice([0, 0, 1, 2])):
            cut = self.chance.randint(0, len(text))
            client.sendall(text[:cut])
            text = text[cut:]
            self.wait(self.chance.uniform(0, 0.002))
        client.sendall(text)

    def hear(self, client, answer):
        heard = bytearray()
        while len(heard) < len(answer):
            part = client.recv(len(answer) - len(heard))
            if not part:
                raise Lost(f"ended after {len(heard)} of {len(answer)} bytes")
            heard += part
        if heard != answer:
            raise Lost(f"wrong bytes: {bytes(heard)[:60]!r} for {answer[:60]!r}")
        self.counts["answers"] += 1

    def hear_end(self, client):
        rest = client.recv(1000)
        if rest:
            raise Lost(f"{rest[:60]!r} after the last answer")

    # ---- the kinds -----------------------------------------------------------------------------

    def good(self, client, framing):
        for _ in range(self.chance.randint(1, 20)):
            text, answer = self.message(framing)
            self.say(client, text)
            self.hear(client, answer)
            self.wait(self.chance.uniform(0, 0.02))
            if self.stop.is_set():
                return

    def halves(self, client, framing):
        """Says everything, ends its side, and then hears everything."""
        messages = [self.message(framing) for _ in range(self.chance.randint(1, 50))]
        self.say(client, b"".join(text for text, _ in messages))
        client.shutdown(socket.SHUT_WR)
        self.hear(client, b"".join(answer for _, answer in messages))
        self.hear_end(client)

    def slow(self, client, framing):
        """A byte at a time."""
        text, answer = self.message(framing)
        text, answer = (text, answer) if len(text) < 100 else (framed(framing, b"slow"), framed(framing, b"SLOW"))
        for byte in text:
            client.send(bytes([byte]))
            self.wait(0.005)
        self.hear(client, answer)

    def rude(self, client, framing):
        """Says what is no message, and does not care what comes."""
        rubbish = self.chance.choice([b"\xff\xfe\x00", b"99999999999:", b"\xff\xff\xff\xff", b"x" * 70_000, b"\n" * 5000])
        client.settimeout(1)
        try:
            client.sendall(rubbish + self.chance.randbytes(self.chance.randint(0, 2000)))
            if self.chance.random() < 0.5:
                client.shutdown(socket.SHUT_WR)
            for _ in range(3):
                client.recv(65536)
        except OSError:
            pass

    def stuck(self, client, framing):
        """Never reads: it is ended by the daemon, or goes after a while."""
        client.setblocking(False)
        text, _ = self.message(framing)
        block, until = text * 20, time.monotonic() + self.chance.uniform(0.5, 4)
        while time.monotonic() < until and not self.stop.is_set():
            try:
                client.send(block)
            except BlockingIOError:
                self.wait(0.1)
            except OSError:
                return

    def gone(self, client, framing):
        """Is not there any more, without a word."""
        text, _ = self.message(framing)
        client.sendall(text[: self.chance.randint(0, len(text))])
        if system.is_root():
            vanish(client)


class GaveUp(Exception):
    """The client has reset its connection."""


def crowd(stop, addresses, count, seed):
    """So many clients at once; gives what they counted, and what was wrong."""
    here = threading.Event()
    clients = [Client(addresses, seed * 1000 + nth, here) for nth in range(count)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    stop.wait()
    here.set()
    for thread in threads:
        thread.join()
    counts = sum((client.counts for client in clients), collections.Counter())
    return counts, [wrong for client in clients for wrong in client.wrong]


def probe(stop, address):
    """One who asks a little, all the time; gives when each answer came and what it took."""
    times, connections, client = [], 0, None
    while not stop.is_set():
        begun = time.monotonic()
        try:
            if client is None:
                client = connect(address)
                connections += 1
            client.sendall(b"probe\n")
            if client.recv(6) != b"PROBE\n":
                raise ConnectionResetError
            times.append((begun, time.monotonic() - begun))
        except OSError:
            # where its worker panicked it comes again; the others are held to account for what they lose
            client = None
        time.sleep(0.005)
    if client:
        client.close()
    return times, connections
