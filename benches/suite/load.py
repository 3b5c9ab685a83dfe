"""A sample: a server under load for a moment, every byte that comes back checked, and what that came to."""

import json
import subprocess
from dataclasses import dataclass

from .programs import LOAD
from .works import COUNTS

# of one core; what others took beside, above which a sample is said to be loud
LOUD = 0.10
# within which it must have ended, beside the time that it measures
PATIENCE = 30


@dataclass
class Sample:
    rate: float
    cpu: float
    p50: float | None
    p99: float | None
    others: float  # of one core
    requests: int = 0

    @property
    def loud(self):
        return self.others > LOUD


class Wrong(Exception):
    """An answer was wrong, or none came."""


def ask(server, mode, options, seconds, warmup):
    """What `load` says, in JSON, once it was content with every byte."""
    assert server.process.poll() is None, f"it has ended with {server.process.returncode}"
    command = [LOAD, mode, "-a", "%s:%d" % server.address, "--pid", str(server.process.pid), "--json", *options]
    command += ["-t", str(seconds), "--warmup", str(warmup), *getattr(server, "load", ())]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        raise Wrong(f"no end within {seconds + PATIENCE:g} s") from None
    said = [line for line in run.stdout.splitlines() if line.startswith("{")]
    found = json.loads(said[-1]) if said else {}
    if run.returncode or not found.get("ok"):
        raise Wrong(f"{reason(found, run.stderr)}, exit {run.returncode}")
    return found


def reason(found, said):
    counts = [f"{found[key]} {key.replace('_', ' ')}" for key in ("errors", "lost", "cut_short") if found.get(key)]
    return "; ".join([found.get("error") or said.strip().partition("\n")[0] or "wrong", *counts])


def sample_of(found, mode):
    rate, _, cpu, _ = COUNTS[mode]
    seconds, requests = found["seconds"], found.get("requests", 0)
    others = found["cpu"]["other_s"] / seconds
    return Sample(found[rate], found[cpu], found.get("p50_us"), found.get("p99_us"), others, requests)


def take(server, work, seconds, warmup):
    sample = sample_of(ask(server, work.mode, work.options, seconds, warmup), work.mode)
    if sample.rate == 0:
        raise Wrong("nothing was answered")
    return sample
