"""What the samples come to. A ratio is taken within a round, and of all rounds' the middle one counts, with the lowest and the
highest beside it: whatever disturbs a round disturbs both of its sides. Of processor time the lowest counts, of samples that
nothing disturbed if there are any: a server that is kept waiting finds more at each of its reads, and takes less time for it."""

import statistics
from dataclasses import dataclass

YARDSTICK = "yardstick"


@dataclass
class Cell:
    """A work on a server."""

    ratio: tuple | None  # to the yardstick: the middle one, the lowest and the highest
    best: float
    cpu: float
    cpu_ratio: float | None
    p50: float | None
    p99: float | None
    loud: int  # samples that were taken while others worked
    samples: int


class Figures:
    def __init__(self, found):
        self.found = found

    def samples(self, work, server):
        """Those that did not fail."""
        return [sample for sample in self.found.samples.get((work, server), []) if sample]

    def ratios(self, this, other, of="rate"):
        """Of each round, this by the other; each is a work and a server."""
        ours, theirs = (self.found.samples.get(pair, []) for pair in (this, other))
        return [getattr(a, of) / getattr(b, of) for a, b in zip(ours, theirs) if a and b and getattr(b, of)]

    def spread(self, this, other, of="rate"):
        ratios = self.ratios(this, other, of)
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None

    def ratio(self, this, other, of="rate"):
        spread = self.spread(this, other, of)
        return spread and spread[0]

    def least(self, pair, of="cpu"):
        samples = self.samples(*pair)
        quiet = [sample for sample in samples if not sample.loud]
        return min((getattr(sample, of) for sample in quiet or samples), default=None)

    def least_ratio(self, this, other, of="cpu"):
        ours, theirs = self.least(this, of), self.least(other, of)
        return ours / theirs if ours is not None and theirs else None

    def cell(self, work, server):
        """None where every sample failed, or none was taken."""
        samples = self.samples(work.name, server)
        if not samples:
            return None
        this, reference = (work.name, server), (work.group, YARDSTICK)
        timed = [sample for sample in samples if sample.p50]
        return Cell(
            ratio=self.spread(this, reference),
            best=max(sample.rate for sample in samples),
            cpu=self.least(this),
            cpu_ratio=self.least_ratio(this, reference),
            p50=statistics.median(sample.p50 for sample in timed) if timed else None,
            p99=statistics.median(sample.p99 for sample in timed) if timed else None,
            loud=sum(sample.loud for sample in samples),
            samples=len(samples),
        )

    # ---- what was measured beside the rounds ---------------------------------------------------

    def idle(self, server):
        return self.found.alone.get("idle", {}).get(server)

    def grown(self, server, count):
        """The lowest processor time for a request, and the middle of the memory of each, with so many open."""
        measured = self.found.alone.get("growth", {}).get((server, count))
        if not measured:
            return None
        each = [one["each"] for one in measured if one["each"] is not None]
        return min(one["working"].cpu for one in measured), statistics.median(each) if each else None

    def starts(self, server):
        return self.found.alone.get("start", {}).get(server)

    def calls(self, server):
        calls = self.found.alone.get("calls", {}).get(server)
        return calls and sum(calls.values())
