"""What is measured beside the rounds: memory and speed beside idle connections, growth, starts, system calls and instructions.
Each has a fresh server, as memory that was used once is not given back."""

import os
import re
import signal
import subprocess
import tempfile
import time

from outside import system
from outside.wire import connect, eventually, exchange

from . import load, programs, servers
from .rounds import Step

IDLE = [servers.Shoutd, servers.Yardstick, servers.Tokio, servers.Threads, servers.Python, servers.Asyncio]
GROWING = [servers.Shoutd, servers.Yardstick]
STARTED = [servers.Shoutd, servers.ShoutdDenying, servers.Yardstick, servers.Python]
TRACED = [servers.Shoutd, servers.Yardstick]
WORKING = 50  # connections that work, beside those that are idle


# ---- idle connections ----------------------------------------------------------------------------


def beside_idle(server, count, scale):
    options = ["-n", str(count), "-c", str(WORKING), "-s", "32", "--source-ips", "8", "--touch", "--settle", str(scale.settle)]
    found = load.ask(server, "idle", options, scale.seconds, scale.warmup)
    each = found.get("private_per_conn", found["pss_per_conn"])
    return {"idle": count, "each": each, "working": load.sample_of(found["active"], "pingpong")}


def idle(kind, found, scale):
    """10,000 idle connections, or as many as one thread or process for each allows."""
    with kind() as server:
        found.alone.setdefault("idle", {})[kind.name] = beside_idle(server, min(kind.crowd, scale.idle), scale)


def growth(kind, open_count, found, scale):
    """The same 50 with so many open, themselves among them."""
    with kind() as server:
        measured = beside_idle(server, open_count - WORKING, scale) if open_count > WORKING else without_idle(server, scale)
    found.alone.setdefault("growth", {}).setdefault((kind.name, open_count), []).append(measured)


def without_idle(server, scale):
    work = load.ask(server, "pingpong", ["-c", str(WORKING), "-s", "32"], scale.seconds, scale.warmup)
    return {"idle": 0, "each": None, "working": load.sample_of(work, "pingpong")}


# ---- starts --------------------------------------------------------------------------------------


def start(kind, found):
    """Seconds from its exec to its first answer."""
    server = kind()
    begun = time.perf_counter()
    server.launch()
    try:
        client = eventually(f"{kind.name} listens", lambda: came(server), 20)
        exchange(client, b"hello", b"HELLO")
        took = time.perf_counter() - begun
        client.close()
    finally:
        server.end()
    found.alone.setdefault("start", {}).setdefault(kind.name, []).append(took)


def came(server):
    try:
        return connect(server.address)
    except ConnectionRefusedError:
        return None


# ---- system calls --------------------------------------------------------------------------------


def traced(server, seconds):
    """The system calls of a server while `load` asks it, and how often that did; each call's, by its name."""
    table = os.path.join(server.folder.name, "calls")
    command = ["strace", "-f", "-c", "-o", table, "-p", str(server.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        for line in strace.stderr:
            if "attached" in line:
                break
        try:
            answered = load.ask(server, "pingpong", ["-c", str(WORKING), "-s", "32"], seconds, 0)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(10)
    with open(table) as file:
        rows = [line.split() for line in file if re.match(r" *[\d.]+ +[\d.]+ +\d+ +\d+ ", line)]
    return {row[-1]: int(row[3]) for row in rows if row[-1] != "total"}, answered["requests"]


def calls(kind, found, scale):
    """System calls for each message: of a long run less a short one, so that coming and going is in neither."""
    seconds = scale.trace
    with kind() as server:
        short, few = traced(server, 0.1)
        long, many = traced(server, seconds)
        # a busy machine may have had no time for it
        while many < 2 * few and seconds < 8:
            seconds *= 2
            long, many = traced(server, seconds)
    assert many > few, f"{many} messages in {seconds:g} s, {few} in 0.1 s"
    each = {name: (count - short.get(name, 0)) / (many - few) for name, count in long.items()}
    found.alone.setdefault("calls", {})[kind.name] = each


# ---- instructions --------------------------------------------------------------------------------


def instructions(found):
    """Instructions for each message of 32 B in the session alone. `benches/session.rs` is run as `session MESSAGES`, and does
    nothing but that; the difference of two runs leaves out how it starts."""
    few, many = (collected(programs.session(), messages) for messages in (1000, 11_000))
    found.alone["instructions"] = (many - few) / 10_000


def collected(program, messages):
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, str(messages)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])


# ---- all of it -----------------------------------------------------------------------------------


def measures(kinds, scale, chance):
    """What there is to measure of these servers: a name, a server's name, seconds, and what does it."""
    names = {kind.name for kind in kinds}
    wanted = [kind for kind in IDLE if kind.name in names]
    for kind in wanted:
        seconds = 0.2 + 3 * scale.settle + min(kind.crowd, scale.idle) / 10_000 + scale.seconds
        yield "idle", kind.name, seconds, lambda found, kind=kind: idle(kind, found, scale)
    for nth in range(scale.growths):
        grown = [(kind, count) for kind in GROWING if kind in wanted for count in scale.growth]
        chance.shuffle(grown)
        for kind, count in grown:
            seconds = 0.2 + 3 * scale.settle + count / 10_000 + scale.seconds
            yield "growth", kind.name, seconds, lambda found, kind=kind, count=count: growth(kind, count, found, scale)
    for nth in range(scale.starts):
        for kind in STARTED:
            yield "start", kind.name, 0.05, lambda found, kind=kind: start(kind, found)
    for kind in TRACED:
        if kind in wanted and system.has("strace"):
            yield "calls", kind.name, scale.trace + 0.3, lambda found, kind=kind: calls(kind, found, scale)
    if system.has("valgrind"):
        yield "instructions", "shoutd", 20, lambda found: instructions(found)


def lacking(wanted):
    """What of the wanted cannot be measured here, and why."""
    reasons = []
    if "calls" in wanted and not system.has("strace"):
        reasons.append(("calls", "apt-get install strace"))
    if "instructions" in wanted and not system.has("valgrind"):
        reasons.append(("instructions", "apt-get install valgrind"))
    return reasons


def steps(kinds, found, scale, chance, wanted):
    for what, name, seconds, do in measures(kinds, scale, chance):
        if what in wanted:
            yield Step(f"{what} of {name}", seconds, lambda what=what, name=name, do=do: careful(what, name, do, found))


def careful(what, name, do, found):
    try:
        do(found)
    except (load.Wrong, AssertionError, OSError, subprocess.SubprocessError) as why:
        found.fail(what, name, why)

