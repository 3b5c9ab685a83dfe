"""The rounds: each does every work on every server once, in an order that is drawn anew, so that whatever else the machine
does is spread over all of them. All servers are started once, and kept."""

import contextlib
import itertools
from dataclasses import dataclass, field

from . import load, works


@dataclass
class Found:
    """All that was found. A sample is none where it failed, so that samples of one round have the same place."""

    samples: dict = field(default_factory=dict)  # of (work, server): one for each round
    failures: list = field(default_factory=list)  # (what, server, why)
    alone: dict = field(default_factory=dict)  # what was measured beside the rounds, by its name
    repeated: int = 0  # samples, in all rounds
    spare: int = 0  # how many more of this round may be

    def fail(self, what, server, why):
        self.failures.append((what, server, str(why).strip() or type(why).__name__))


@dataclass
class Step:
    """A part of the run, for which its progress is shown."""

    name: str
    seconds: float  # as expected
    do: object


def cells(kinds, wanted):
    """What a round does: pairs of a work and a server's name."""
    names = {kind.name for kind in kinds}
    return [(work, name) for work in works.ALL if work.name in wanted for name in work.servers if name in names]


@contextlib.contextmanager
def running(kinds, found):
    """All servers, started; one that does not start is a failure, and missing."""
    up = {}
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            try:
                up[kind.name] = stack.enter_context(kind())
            except (AssertionError, OSError) as why:
                found.fail("start", kind.name, why)
        yield up


def drawn(pairs, chance):
    """In a random order, in which what is set against each other stays close together."""
    groups = [list(group) for _, group in itertools.groupby(sorted(pairs, key=group_of), key=group_of)]
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
        yield from group


def group_of(pair):
    return pair[0].group


def steps(pairs, up, found, scale, chance):
    """One round."""
    found.spare = scale.repeats
    for work, name in drawn(pairs, chance):
        seconds = scale.warmup + scale.seconds + work.overhead(name)
        yield Step(f"{work.name} on {name}", seconds, lambda work=work, name=name: take(work, up.get(name), name, found, scale))


def take(work, server, name, found, scale):
    """A sample, or a second one if it was loud: then the quieter of the two."""
    taken = None
    try:
        if server is None:
            raise load.Wrong("it did not start")
        taken = load.take(server, work, scale.seconds, scale.warmup)
        # who stands behind a proxy is among the others, and no noise
        if taken.loud and not server.behind and found.spare:
            found.repeated, found.spare = found.repeated + 1, found.spare - 1
            again = load.take(server, work, scale.seconds, scale.warmup)
            taken = min(taken, again, key=lambda sample: sample.others)
    except (load.Wrong, AssertionError) as why:
        found.fail(work.name, name, why)
    found.samples.setdefault((work.name, name), []).append(taken)
