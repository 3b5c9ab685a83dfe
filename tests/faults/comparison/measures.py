"""What is measured: each takes a server and gives a verdict, by a goal that is the same for all, and figures."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

from outside import system
from outside.apart import apart, fork
from outside.wire import connect, eventually, exchange, hear_all, is_refused, pipelined, reset

TEXTS = ["straße", "ﬁ ŉ ΐ", "日本 Ελλάδα", "😀 e\u0301", "ǆ ﬃ \u1f80", "привет, жук"]
STUCK = 200


def tree(server, figure):
    """The sum of a figure over all processes of a server."""
    total = 0
    for process in server.processes:
        try:
            total += figure(process)
        except OSError:
            pass  # it has ended meanwhile
    return total


def kernel_mib(server):
    """MiB that the sockets of a server's processes hold in the kernel."""
    said_by_ss = subprocess.run(["ss", "-HOtnmp"], capture_output=True, text=True, check=True).stdout
    processes, total = set(map(str, server.processes)), 0
    for line in said_by_ss.splitlines():
        if processes & set(re.findall(r"pid=(\d+)", line)) and (skmem := re.search(r"skmem:\(([^)]*)\)", line)):
            held = dict(re.fullmatch(r"([a-z]+)(\d+)", part).groups() for part in skmem[1].split(","))
            total += sum(int(held[key]) for key in ("r", "w", "f"))
    return total / 1048576


def crowd_of(server, count):
    """So many clients that are served once, and then silent."""
    crowd = []
    for _ in range(count):
        client = connect(server.address)
        exchange(client, b"hello", server.answer(b"hello"))
        crowd.append(client)
    return crowd


# ---- stopping ------------------------------------------------------------------------------------


def transfers(stop, address, answer, count, under_way):
    """Says a text in parts while it hears the answer, so many times at once; gives how many bytes each lacks."""
    text = b"the quick brown fox \n" * 2000
    lacking = [len(text)] * count
    started = threading.Semaphore(0)

    def transfer(nth):
        heard = bytearray()
        try:
            with connect(address) as client:
                listener = threading.Thread(target=lambda: listen(client, heard))
                listener.start()
                size = len(text) // 20
                for part in range(20):
                    client.sendall(text[part * size : (part + 1) * size])
                    if part == 1:
                        started.release()
                    time.sleep(0.05)
                client.sendall(text[20 * size :])
                client.shutdown(socket.SHUT_WR)
                listener.join()
        except OSError:
            started.release()
        lacking[nth] = len(text) - len(heard) if heard == answer[: len(heard)] else len(text)

    threads = [threading.Thread(target=transfer, args=(nth,)) for nth in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        started.acquire()
    under_way.set()
    for thread in threads:
        thread.join()
    return lacking, time.monotonic()


def listen(client, heard):
    try:
        while part := client.recv(1 << 16):
            heard += part
    except OSError:
        pass


def stop(server):
    """A stop under 100 transfers."""
    under_way = fork.Event()
    answer = server.answer(b"the quick brown fox \n" * 2000)
    with apart(transfers, server.address, answer, 100, under_way) as work:
        under_way.wait(20)
        server.stop_softly()
        signalled = time.monotonic()
        eventually("new clients are refused", lambda: is_refused(server.address), 5)
        refused = time.monotonic() - signalled
        try:
            code = server.process.wait(20)
            ended = time.monotonic()
        except subprocess.TimeoutExpired:
            code, ended = None, None
    lacking, last = work.found
    whole, lost = lacking.count(0), sum(lacking)
    lag = None if ended is None else ended - last
    when = "" if lag is None else f"{lag:.2f} s after the last" if lag > 0 else "before the last"
    end = "did not exit" if lag is None else f"exit {code}, {when}"
    figures = f"{whole} of 100 whole, {lost:,} bytes lost; {end}; refused after {refused * 1000:.0f} ms"
    return lost == 0 and ended is not None, figures


# ---- out of descriptors --------------------------------------------------------------------------

# descriptors that are still there: who makes a process for each client needs some for that
SPARE = 20


def served(server, client, text, within=2):
    """Whether a client is answered in time."""
    try:
        client.settimeout(within)
        exchange(client, text, server.answer(text))
        return True
    except (AssertionError, OSError):
        return False


def lines_of(path, begin):
    """How many lines and bytes a file has behind `begin`."""
    with open(path, "rb") as log:
        log.seek(begin)
        lines = sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))
        return lines, log.tell() - begin


def come(server, count):
    """Clients who have said something and not heard yet; those that are not let in are none."""
    crowd = []
    for _ in range(count):
        try:
            client = connect(server.address)
            client.sendall(b"hello")
            crowd.append(client)
        except OSError:
            pass
    return crowd


def exhausted(server):
    """Ten seconds without descriptors, and 100 clients who come meanwhile."""
    early = connect(server.address)
    exchange(early, b"hello", server.answer(b"hello"))
    for process in server.processes:
        system.limit_files(process, system.descriptors(process) + SPARE, 20_000)
    size = os.path.getsize(server.log_file)
    crowd = come(server, 100)
    system.pause(0.5)
    before, begun = tree(server, system.cpu), time.monotonic()
    system.pause(10)
    busy = (tree(server, system.cpu) - before) / (time.monotonic() - begun)
    lines, written = lines_of(server.log_file, size)
    still = served(server, early, b"still here")
    for process in server.processes:
        try:
            system.limit_files(process, 20_000, 20_000)
        except OSError:
            pass  # it has ended meanwhile
    freed, back = time.monotonic(), None
    while back is None and time.monotonic() < freed + 5 and server.process.poll() is None:
        try:
            with connect(server.address) as client:
                back = time.monotonic() - freed if served(server, client, b"hello", 5) else None
        except OSError:
            pass
    heard, until = 0, time.monotonic() + 5
    for client in crowd:
        client.settimeout(max(0.01, until - time.monotonic()))
        try:
            heard += client.recv(5) == server.answer(b"hello")
        except OSError:
            pass
    good = busy < 0.02 and lines <= 12 and still and back is not None and back <= 0.15
    recovery = "does not come back" if back is None else f"back after {back:.2f} s"
    waited = f"{heard} of 100 who came were served" + ("" if still else ", and who was in is not")
    return good, f"{busy:.1%} of a core; {lines:,} lines, {written:,} bytes of log; {recovery}; {waited}"


# ---- clients that never read ---------------------------------------------------------------------


def stuck(server):
    """Clients that say much and never read."""
    count = min(STUCK, server.crowd // 4)
    other = connect(server.address)
    exchange(other, b"hello", server.answer(b"hello"))
    before, kernel_before = tree(server, system.private_kib), kernel_mib(server)
    clients, block = [], b"x" * 65536
    for _ in range(count):
        client = connect(server.address, receive_buffer=4096)
        client.setblocking(False)
        clients.append(client)
    total, last = 0, -1
    begun = time.monotonic()
    while total != last and time.monotonic() - begun < 20:
        last = total
        for client in clients:
            try:
                while True:
                    total += client.send(block)
            except OSError:
                pass
        system.pause(0.5)
    grown = (tree(server, system.private_kib) - before) / 1024
    kernel = kernel_mib(server) - kernel_before
    begun = time.monotonic()
    try:
        exchange(other, b"hello", server.answer(b"hello"))
        quick = time.monotonic() - begun < 0.5
    except (AssertionError, OSError):
        quick = False
    for client in clients:
        client.close()
    many = STUCK / count
    good = grown * many <= 24 and kernel * many <= 200 and quick
    return good, f"{count} clients: process +{grown:.1f} MiB, kernel +{kernel:.0f} MiB"


# ---- resets --------------------------------------------------------------------------------------


def storm(end, address, count):
    """Comes and goes by a reset, until it is told to end; gives how often."""
    done = 0
    begun = time.monotonic()
    while not end.is_set() and done < count and time.monotonic() - begun < 5:
        try:
            client = connect(address)
            client.send(b"x" * 100)
            reset(client)
            done += 1
        except OSError:
            break
    return done, time.monotonic() - begun


def resets(server):
    """As many resets as one client can make, and what is left of them."""
    # each is a process of theirs: more of these at once would be the end of the machine
    count = 20_000 if server.crowd >= 5000 else 500
    files = tree(server, system.descriptors)
    size, begun = os.path.getsize(server.log_file), time.monotonic()
    with apart(storm, server.address, count) as work:
        system.pause(min(3, count / 5000))
    done, took = work.found
    answered = time.monotonic()
    try:
        client = connect(server.address)
        exchange(client, b"hello", server.answer(b"hello"))
        client.close()
        wait = time.monotonic() - answered
    except (AssertionError, OSError):
        wait = None
    left = None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = tree(server, system.descriptors) - files
        if left <= 2:
            break
        system.pause(0.05)
    gone = time.monotonic() - begun
    written = os.path.getsize(server.log_file) - size
    rate = done / took
    good = left <= 2 and wait is not None and wait < 0.5 and written < 1024
    if good and rate < 5000:
        good = None  # it bore all that came, which were no more
    after = "is not served" if wait is None else f"served {wait * 1000:.0f} ms later"
    what = f"{done:,} at {rate:,.0f}/s, all gone after {gone:.1f} s ({left} descriptors left)"
    return good, f"{what}; the next client {after}; {written:,} bytes of log"


# ---- idle clients --------------------------------------------------------------------------------


def idle(server):
    """The slowest hundredth of answers beside idle clients and without, and what one of them costs."""
    with connect(server.address) as client:

        def p99(rounds=2000):
            times = []
            for _ in range(rounds):
                begun = time.perf_counter()
                exchange(client, b"ping", server.answer(b"ping"))
                times.append(time.perf_counter() - begun)
            return sorted(times)[rounds * 99 // 100] * 1e6

        p99()
        quiet = system.least(p99)
        before = tree(server, system.private_kib)
        begun = time.monotonic()
        crowd = crowd_of(server, server.crowd)
        came = time.monotonic() - begun
        each = (tree(server, system.private_kib) - before) / server.crowd
        beside = system.least(p99)
        for one in crowd:
            one.close()
    ratio = beside / quiet
    latency = ratio <= 2, f"{quiet:.0f} µs, beside {server.crowd:,} idle ones {beside:.0f} µs: {ratio:.2f} times"
    memory = each <= 1.5, f"{each:.2f} KiB each of {server.crowd:,}, which came at {server.crowd / came:,.0f}/s"
    return latency, memory


# ---- texts ---------------------------------------------------------------------------------------


def half_close(server):
    """Everything said, the own side ended, and then everything heard."""
    wrong = []
    with connect(server.address) as client:
        text = b"0123456789abcdef" * 65536
        try:
            pipelined(client, text, server.answer(text))
        except (AssertionError, OSError) as failure:
            wrong.append(f"1 MiB: {failure}")
    for late in (False, True):
        for nth in range(8):
            with connect(server.address) as client:
                text = b"%d " % nth * 20_000
                try:
                    client.sendall(text)
                    if late:
                        system.pause(0.05)
                    client.shutdown(socket.SHUT_WR)
                    if hear_all(client) != server.answer(text):
                        wrong.append("one of 16")
                except OSError:
                    wrong.append("one of 16")
    tiny = 0
    for _ in range(200):
        with connect(server.address) as client:
            try:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                tiny += hear_all(client) != server.answer(b"hello")
            except OSError:
                tiny += 1
    return not wrong and not tiny, f"wrong: {len(wrong)} of 17 long ones, {tiny} of 200 short ones"


def splits(server):
    """Every cut of some texts in two, each on a connection of its own."""
    if not server.upper:
        return None, "it only echoes"
    wrong = cuts = 0
    for text in TEXTS:
        whole = text.encode()
        for cut in range(1, len(whole)):
            with connect(server.address) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(whole[:cut])
                system.pause(0.005)
                client.sendall(whole[cut:])
                client.shutdown(socket.SHUT_WR)
                wrong += hear_all(client) != text.upper().encode()
                cuts += 1
    return wrong == 0, f"{wrong} of {cuts} wrong"


def port_taken(server):
    """One more on a port at which another program listens."""
    second = type(server)()
    with socket.create_server(("127.0.0.1", 0)) as other, second.folder:
        second.port, second.behind = other.getsockname()[1], server.behind
        with open(second.log_file, "wb") as log:
            begun = time.monotonic()
            process = subprocess.Popen(
                second.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=second.folder.name
            )
            try:
                code = process.wait(6)
            except subprocess.TimeoutExpired:
                code = None
                for one in reversed(system.children(process.pid)):
                    os.kill(one, signal.SIGKILL)
                process.wait(5)
            took = time.monotonic() - begun
        with open(second.log_file, errors="replace") as log:
            text = log.read()
    named = str(second.port) in text
    raw = "Traceback" in text or "Os {" in text
    how = "stays up" if code is None else f"exit {code} after {took:.1f} s"
    what = "a raw error" if raw else f"{text.count(chr(10))} lines"
    return named and not raw and code not in (None, 0), f"{how}; {what}, port {'named' if named else 'not named'}"
