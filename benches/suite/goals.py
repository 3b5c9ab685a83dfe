"""The goals: what each asks, and whether these figures come to it. One of whose figures something is missing is neither reached
nor missed."""

from . import servers
from .figures import YARDSTICK

DENYING = servers.ShoutdDenying.name


def at_least(goal):
    return f">= {goal:.2f}x", lambda value: value >= goal


def at_most(goal, unit="x"):
    return f"<= {goal:g}{unit}", lambda value: value <= goal


def speed(figures):
    """Of each: what is measured, its goal, and the figure."""

    def rate(work, server="shoutd", beside=YARDSTICK):
        return figures.ratio((work, server), (work, beside))

    yield "50 x 32 B, requests/s", at_least(1.00), rate("pp50x32")
    cpu = figures.least_ratio(("pp50x32", "shoutd"), ("pp50x32", YARDSTICK))
    yield "50 x 32 B, processor for each", at_most(1.03), cpu
    yield "1,000 x 1 KiB", at_least(1.05), rate("pp1000x1k")
    yield "16 in flight", at_least(1.00), rate("pipe16")
    yield "bulk, 1 connection", at_least(1.00), rate("bulk1")
    yield "bulk, 8 connections", at_least(1.00), rate("bulk8")
    queue = "yardstick-queue"
    yield "churn, 2 workers, to the yardstick with a queue", at_least(1.00), rate("churn50", "shoutd-2", queue)
    yield "the same with a half-close", at_least(1.00), rate("churn50-half", "shoutd-2", queue)
    alone = figures.ratio(("pp1x32", "shoutd-spin"), ("pp1x32", "shoutd"), "p50")
    yield 'half of a lone client\'s answers, `spin = "50us"` to none', at_most(0.35), alone


def beside_python(figures):
    for work, goal in (("pp50x32", 1.9), ("bulk1", 6.0), ("churn50", 5.0)):
        yield f"{work}, to Python's threads", at_least(goal), figures.ratio((work, "shoutd"), (work, "python"))
    ours, theirs = figures.idle("shoutd"), figures.idle("python")
    memory = theirs["each"] / max(ours["each"], 1) if ours and theirs else None
    yield "memory of an idle connection, Python's threads' to ours", at_least(100), memory


def texts(figures):
    for name in ("russian", "greek", "cjk"):
        ascii_of_tokio = figures.ratio((name, "shoutd"), ("pp50x1k", "tokio"))
        yield f"{name}, to ASCII through tokio's textbook", at_least(1.0), ascii_of_tokio
        bulk = figures.ratio((f"{name}-bulk", "shoutd"), ("bulk1", "tokio"))
        beside_python = figures.ratio((f"{name}-bulk", "shoutd"), (f"{name}-bulk", "python"))
        yield f"{name} in bulk, to Python's threads", at_least(3.0), beside_python
        yield f"{name} in bulk, to ASCII through tokio's textbook", at_least(1.0), bulk


def counts(figures, growth):
    idle = figures.idle("shoutd")
    yield "memory of an idle connection", at_most(128, " B"), idle and idle["each"]
    yield "system calls for a message", at_most(2.05, ""), figures.calls("shoutd")
    few, some, many = (figures.grown("shoutd", count) for count in growth)
    flat = many[0] / few[0] if few and many else None
    yield f"processor for each, {growth[2]:,} open to {growth[0]:,}", at_most(1.10), flat
    # one page more or less is nothing of theirs
    linear = many[1] / max(some[1], 8) if some and many else None
    yield f"memory of an idle connection, {growth[2]:,} open to {growth[1]:,}", at_most(1.10), linear
    starts = figures.starts(DENYING)
    yield "start with 10,000 blocks in `deny`", at_most(50, " ms"), min(starts) * 1000 if starts else None


def table(figures, growth):
    """Rows: what, its goal, what was found, and whether that is enough."""
    for what, (goal, enough), value in [*speed(figures), *beside_python(figures), *texts(figures), *counts(figures, growth)]:
        yield what, goal, value, None if value is None else enough(value)
