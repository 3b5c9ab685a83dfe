"""The run of the soak: a daemon, its crowd, its reloads; what it holds over time, and what it must come to."""

import collections
import contextlib
import json
import time

import clients
from outside import system
from outside.apart import apart
from outside.daemon import Daemon
from outside.wire import eventually

FRAMINGS = ("stream", "line", "length32", "netstring")
LIMITS = {"idle_timeout": "3s", "message_timeout": "3s", "write_timeout": "2s", "half_closed_timeout": "2s"}
SAMPLE = 0.5  # seconds
RELOAD = (20, 60)  # seconds between reloads, in a run of up to two minutes and in a longer one
HOUR = 3600
Sample = collections.namedtuple("Sample", "at private_kib files threads open")


class Soak:
    """A soak that runs once."""

    def __init__(self, count, processes, seed, environment):
        self.count, self.processes, self.seed, self.environment = count, processes, seed, environment
        self.samples, self.latencies, self.reloads, self.panics, self.wrong = [], [], [], [], []
        self.counts = collections.Counter()
        self.rest = []  # what it holds at rest: after the warm-up, and at the end

    def run(self, warm_up, seconds):
        listeners = [{"name": framing, "listen": "127.0.0.1:0", "framing": framing} for framing in FRAMINGS]
        self.begun, self.every = time.monotonic(), RELOAD[seconds > 120]
        with Daemon(listener=listeners, limits=LIMITS, environment=self.environment) as daemon:
            self.can_panic = "it has failpoints" in daemon.log
            if self.can_panic:
                daemon.expected.append("panic")
            self.addresses = list(zip(FRAMINGS, daemon.addresses))
            self.crowded(daemon, warm_up, self.seed)
            self.rests(daemon)
            self.crowded(daemon, seconds, self.seed + 1)
            self.rests(daemon)
            self.judge(daemon)

    def crowded(self, daemon, seconds, seed):
        """The crowd for so long; what is seen meanwhile goes into the samples."""
        with contextlib.ExitStack() as stack:
            share = self.count // self.processes
            crowds = [
                stack.enter_context(apart(clients.crowd, self.addresses, share, seed * 10 + nth))
                for nth in range(self.processes)
            ]
            prober = stack.enter_context(apart(clients.probe, self.addresses[FRAMINGS.index("line")][1]))
            begun = time.monotonic()
            reload_next, nth = begun + self.every / 2, 0
            while (now := time.monotonic()) < begun + seconds:
                self.look(daemon)
                if now >= reload_next:
                    reload_next, nth = reload_next + self.every, nth + 1
                    self.reload(daemon, nth)
                system.pause(SAMPLE)
        for crowd in crowds:
            counts, wrong = crowd.found
            self.counts += counts
            self.wrong += wrong
        times, connections = prober.found
        self.counts["connections"] += connections
        self.latencies += times

    def look(self, daemon):
        if daemon.count("fault in the thread worker-") > len(self.panics):
            self.panics.append(time.monotonic())
        self.samples.append(
            Sample(
                time.monotonic(),
                system.private_kib(daemon.pid),
                system.descriptors(daemon.pid),
                len(system.threads(daemon.pid)),
                daemon.open(),
            )
        )

    def reload(self, daemon, nth):
        """Other limits, and a listener more or less."""
        listeners = [one for one in daemon.keys["listener"] if one["name"] in FRAMINGS]
        if nth % 2:
            listeners.append({"name": "extra", "listen": "127.0.0.1:0"})
        daemon.configure(listener=listeners, limits={**LIMITS, "max_lifetime": f"{1000 + nth}s"})
        code, told = daemon.reload()
        self.reloads.append(time.monotonic())
        if code != 200:
            self.wrong.append(f"a reload was refused: {told}")

    def rests(self, daemon):
        """Waits until nobody is connected, and notes what it holds then."""

        def is_alone():
            self.look(daemon)
            system.pause(SAMPLE)
            return self.samples[-1].open == 0

        eventually("nobody is connected", is_alone, 15)
        daemon.configure(listener=[one for one in daemon.keys["listener"] if one["name"] in FRAMINGS])
        daemon.reload()
        # the clients' last words are dealt with when memory, descriptors and threads change no more
        before = None

        def is_still():
            nonlocal before
            now = (system.private_kib(daemon.pid), system.descriptors(daemon.pid), len(system.threads(daemon.pid)))
            still, before = now == before, now
            system.pause(0.2)
            return still

        daemon.status()
        eventually("it rests", is_still, 15)
        self.rest.append(before)
        self.look(daemon)

    def judge(self, daemon):
        connections = json.loads(daemon.get("/status", control=True)[1])["connections"]
        closed = {reason: count for reason, count in connections["closed"].items() if count}
        self.closed = closed
        (memory, files, threads), (memory_now, files_now, threads_now) = self.rest
        # in a minute the allocator still learns how much it needs; hours show whether memory grows
        if memory_now > memory + 4096:
            self.wrong.append(f"it holds {memory_now} KiB; after the warm-up it was {memory} KiB")
        if abs(files_now - files) > 2 or threads_now != threads:
            self.wrong.append(f"{files_now} descriptors and {threads_now} threads; there were {files} and {threads}")
        if connections["accepted"] != connections["open"] + sum(closed.values()):
            self.wrong.append(f"the counts do not balance: {connections}")
        if connections["accepted"] != self.counts["connections"]:
            self.wrong.append(f"{self.counts['connections']} connected, {connections['accepted']} were accepted")
        if self.can_panic:
            # who was with a worker that panicked is reset, and may say so
            lost = closed.get("worker_panic", 0)
            told = [wrong for wrong in self.wrong if wrong.endswith((": reset", " bytes")) or "not let in" in wrong]
            if len(told) > lost:
                self.wrong.append(f"{len(told)} lost their connection, and {lost} were with a worker that panicked")
            self.wrong = [wrong for wrong in self.wrong if wrong not in told]
        slope = self.slope()
        if slope is not None and slope > 0.1:
            self.wrong.append(f"memory grows by {slope:.2f} MiB an hour")

    def slope(self):
        """MiB an hour that memory grows by after the first half hour, where there was an hour."""
        late = [(sample.at, sample.private_kib / 1024) for sample in self.samples if sample.at > self.begun + HOUR / 2]
        if self.samples[-1].at - self.begun < HOUR:
            return None
        middle, mean = sum(at for at, _ in late) / len(late), sum(mib for _, mib in late) / len(late)
        spread = sum((at - middle) ** 2 for at, _ in late)
        return sum((at - middle) * (mib - mean) for at, mib in late) / spread * HOUR

    def account(self):
        """What it came to, for people."""
        counts = self.counts
        yield f"{counts['connections']} connections, {counts['answers']} answers compared, {len(self.reloads)} reloads"
        kinds = ("good", "halves", "slow", "rude", "stuck", "gone", "reset by the client")
        yield "kinds: " + ", ".join(f"{counts[kind]} {kind}" for kind in kinds)
        yield "ended: " + ", ".join(f"{count} {reason}" for reason, count in self.closed.items())
        (memory, files, threads), (memory_now, files_now, threads_now) = self.rest
        yield (
            f"at rest: {memory} then {memory_now} KiB, {files} then {files_now} descriptors, "
            f"{threads} then {threads_now} threads"
        )
        took = sorted(latency for _, latency in self.latencies)
        yield (
            f"a probe was answered within {took[len(took) // 2] * 1e3:.2f} ms (half of all), "
            f"{took[len(took) * 99 // 100] * 1e3:.1f} ms (99 of 100)"
        )
        if self.can_panic:
            yield f"{self.closed.get('worker_panic', 0)} were with a worker that panicked"
