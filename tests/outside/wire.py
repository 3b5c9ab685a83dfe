"""Clients: what is said over a socket, and how it ends. No daemon is known here."""

import errno
import select
import socket
import struct
import time

PATIENCE = 20.0  # seconds after which a wait is a failure
TCP_REPAIR = 19


def eventually(what, condition, within=PATIENCE):
    """Asks until `condition` gives something true, and gives that; it is a failure if it takes too long."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.005)


def connect(address, source=None, receive_buffer=None):
    """A connected socket; `address` is a pair, or the path of a UNIX socket."""
    if isinstance(address, str):
        client = socket.socket(socket.AF_UNIX)
    else:
        client = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: a port is found at the connect
            client.bind((source, 0))
    client.settimeout(PATIENCE)
    try:
        client.connect(address)
    except OSError:
        client.close()
        raise
    return client


def hear(client, count):
    """Exactly so many bytes."""
    heard = bytearray()
    while len(heard) < count:
        part = client.recv(min(count - len(heard), 1 << 18))
        assert part, f"the end came after {bytes(heard[-80:])!r}, {len(heard)} of {count} bytes"
        heard += part
    return bytes(heard)


def hear_all(client):
    """Everything up to the end, which must not be a reset."""
    heard = bytearray()
    while part := client.recv(1 << 18):
        heard += part
    return bytes(heard)


def exchange(client, text, answer=None):
    """Says `text` and hears its answer: in upper case, unless that is said."""
    client.sendall(text)
    wanted = text.upper() if answer is None else answer
    heard = hear(client, len(wanted))
    assert heard == wanted, f"{text[:80]!r} was answered by {heard[:80]!r}, not {wanted[:80]!r}"


def ask(address, text, source=None):
    """The whole answer to `text`, behind which the client's side ends."""
    with connect(address, source) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return hear_all(client)


def ending(client, within=PATIENCE):
    """How the other end ended it, and what came before: `fin` or `reset`, and bytes."""
    client.settimeout(within)
    heard = bytearray()
    try:
        while part := client.recv(1 << 18):
            heard += part
        return "fin", bytes(heard)
    except (ConnectionResetError, BrokenPipeError):
        return "reset", bytes(heard)


def reset(client):
    """Ends it by a reset, whatever is under way."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def vanish(client):
    """Ends it so that the other end hears nothing, as a host does whose power fails; needs root."""
    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    client.close()


def fill(client, text=b"x" * 65536, quiet=0.5):
    """Says `text` until the other end has taken nothing more for `quiet` seconds; gives how many bytes it took."""
    client.setblocking(False)
    sent = 0
    while select.select([], [client], [], quiet)[1]:
        try:
            sent += client.send(text)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in (errno.ECONNRESET, errno.EPIPE):
                break
            raise
    client.settimeout(PATIENCE)
    return sent


def is_refused(address):
    """Whether nobody listens there."""
    try:
        connect(address).close()
        return False
    except ConnectionRefusedError:
        return True


def pipelined(client, text, answer):
    """Says all of a long `text` while it hears the answer, which must be `answer`, and ends its side."""
    client.setblocking(False)
    left, heard = memoryview(text), bytearray()
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, f"after 60 s {len(left)} bytes are unsaid, {len(heard)} heard"
        reads, writes, _ = select.select([client], [client] if left else [], [], 1)
        if writes:
            left = left[client.send(left[: 1 << 18]) :]
            if not left:
                client.shutdown(socket.SHUT_WR)
        if reads:
            part = client.recv(1 << 18)
            if not part:
                break
            heard += part
    assert heard == answer, f"{len(heard)} bytes of {len(answer)} came, or other ones"
