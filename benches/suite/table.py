"""The results in Markdown."""

from . import goals, works
from .figures import YARDSTICK

MARKS = {True: "yes", False: "**no**", None: "–"}
HEAD = """# How fast shoutd is

Made by

```sh
{command}
```

on {date}, in {minutes:.0f} minutes; `benches/README.md` says how to read it.

| | |
|---|---|
| machine | {machine}; its load was {load} at the begin |
| kernel | Linux {kernel}, congestion control {congestion} |
| commit | {commit}{dirty} |
| servers on | core {server_core}, `load` on core {load_core} |
| rounds | {rounds} of {seconds:g} s for each sample, seed {seed}; {repeated} of {samples} samples were taken again, as others worked |

![ratios to the yardstick](latest.svg)
"""


def times(value, unit="x"):
    """A ratio, to as many digits as say something."""
    if value is None:
        return "–"
    return f"{value:.0f}{unit}" if value >= 100 else f"{value:.2f}{unit}" if value >= 0.1 else f"{value:.3f}{unit}"


def exactly(value):
    """As far as it takes to see why it is not enough."""
    return "–" if value is None else f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def short(value):
    """A number with three digits that count."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.0f}k" if value >= 1e5 else f"{value / 1e3:.1f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |\n"


def heading(*cells):
    return row(*cells) + "|---" + "|---:" * (len(cells) - 1) + "|\n"


def plain_heading(*cells):
    return row(*cells) + "|---" * len(cells) + "|\n"


def goal_table(figures, growth):
    rows = list(goals.table(figures, growth))
    reached = sum(good is True for *_, good in rows)
    asked = sum(good is not None for *_, good in rows)
    text = f"\n## The goals: {reached} of {asked} reached\n\n"
    text += "Against the yardstick with one thread, unless another is named.\n\n" + plain_heading("what", "goal", "reached", "")
    for what, goal, value, good in rows:
        text += row(what, goal, exactly(value), MARKS[good])
    return text


def at_a_glance(figures, done):
    if not done:
        return ""
    servers = [name for name in works.MAIN if any(server == name for _, server in done) and name != YARDSTICK]
    text = "\n## At a glance\n\nRates by the yardstick's, the middle of all rounds; the more, the better:\n\n"
    text += matrix(figures, done, servers, lambda cell: cell.ratio and cell.ratio[0])
    text += "\nProcessor time for each by the yardstick's, the lowest of both; the less, the better, and steadier than rates:\n\n"
    return text + matrix(figures, done, servers, lambda cell: cell.cpu_ratio)


def matrix(figures, done, servers, figure):
    text = heading("", *servers)
    for work in named(done):
        # a work for texts has its tokio under another name, as tokio's ASCII is no answer to it
        cells = [figures.cell(work, one) or (one == "tokio" and figures.cell(work, "tokio-upper")) for one in servers]
        text += row(f"`{work.name}` {work.what}", *[times(figure(cell)) if cell else "" for cell in cells])
    return text


def named(done):
    names = {work for work, _ in done}
    return [work for work in works.ALL if work.name in names]


def of_work(figures, work, servers):
    timed = work.mode != "stream"
    columns = ["ratio", "lowest – highest", f"best, {work.unit}", f"processor, {work.cpu_unit}", "its ratio"]
    columns += ["half within, µs", "99 % within, µs"] if timed else []
    beside = f"; ratios are to the yardstick in `{work.beside}`, which is ASCII" if work.beside else ""
    text = f"\n### {work.name}\n\n{work.what[0].upper()}{work.what[1:]}{beside}.\n\n" + heading("", *columns, "loud")
    for server in servers:
        text += row(server, *cells_of(figures.cell(work, server), timed))
    return text


def cells_of(cell, timed):
    if cell is None:
        return ["failed"] + [""] * (7 if timed else 5)
    ratio, low, high = cell.ratio or (None, None, None)
    cells = [times(ratio), f"{times(low, '')} – {times(high, '')}", short(cell.best), short(cell.cpu), times(cell.cpu_ratio)]
    if timed:
        cells += [short(cell.p50), short(cell.p99)] if cell.p50 else ["", ""]
    return [*cells, f"{cell.loud} of {cell.samples}" if cell.loud else ""]


def idle(figures):
    measured = figures.found.alone.get("idle", {})
    if not measured:
        return ""
    text = "\n## Idle connections\n\nEach has had one answer. 50 others work beside them, as in `pp50x32`.\n\n"
    text += heading("", "idle", "own memory of each, B", "half within, µs", "99 % within, µs", "processor, µs")
    for server, one in measured.items():
        working = one["working"]
        text += row(server, f"{one['idle']:,}", short(one["each"]), short(working.p50), short(working.p99), short(working.cpu))
    return text


def growth(figures, counts):
    measured = figures.found.alone.get("growth", {})
    if not measured:
        return ""
    text = "\n## Growth\n\nThe same 50 that work, with so many open: processor time for a request, µs, and own memory of an idle one, B.\n\n"
    text += heading("", *[f"{count:,} open" for count in counts])
    for server in dict.fromkeys(server for server, _ in measured):
        text += row(server, *[grown(figures.grown(server, count)) for count in counts])
    return text


def grown(found):
    if not found:
        return "failed"
    cpu, each = found
    return short(cpu) if each is None else f"{short(cpu)}, {short(each)}"


def starts(figures):
    measured = figures.found.alone.get("start", {})
    if not measured:
        return ""
    text = "\n## Starts\n\nFrom its exec to its first answer, that of `taskset` with it.\n\n" + heading("", "best, ms", "middle, ms")
    for server, took in measured.items():
        took = sorted(took)
        text += row(server, short(took[0] * 1000), short(took[len(took) // 2] * 1000))
    return text


def exact(figures):
    """What no other work of the machine changes."""
    calls = figures.found.alone.get("calls", {})
    text = "\n## System calls and instructions\n\n" if calls or "instructions" in figures.found.alone else ""
    if calls:
        text += "System calls for a message, 50 connections, 32 B, counted by strace.\n\n" + plain_heading("", "all", "of which")
        for server, each in calls.items():
            most = sorted(((count, name) for name, count in each.items() if count >= 0.005), reverse=True)
            text += row(server, f"{sum(each.values()):.3f}", ", ".join(f"{name} {count:.2f}" for count, name in most))
    if "instructions" in figures.found.alone:
        each = figures.found.alone["instructions"]
        text += f"\nInstructions for a message of 32 B in the session alone, counted by callgrind: {each:,.0f}.\n"
    return text


def failures(found, missing):
    text = ""
    if found.failures:
        text += "\n## What went wrong\n\n" + plain_heading("what", "server", "why")
        for what, server, why in dict.fromkeys(found.failures):
            times_of = found.failures.count((what, server, why))
            text += row(what, server, why.replace("\n", " ").replace("|", "\\|") + (f" ({times_of} times)" if times_of > 1 else ""))
    if missing:
        text += "\n## Not there\n\n" + "".join(f"- {name}: {why}\n" for name, why in missing)
    return text


def markdown(figures, facts, growth_counts, missing):
    found, done = figures.found, list(figures.found.samples)
    text = HEAD.format(**facts, repeated=found.repeated, samples=sum(map(len, found.samples.values())))
    text += goal_table(figures, growth_counts) + at_a_glance(figures, done)
    text += failures(found, missing)
    text += "\n## Work by work\n"
    for work in named(done):
        servers = [name for name in work.servers if (work.name, name) in found.samples]
        text += of_work(figures, work, servers)
    return text + idle(figures) + growth(figures, growth_counts) + starts(figures) + exact(figures)
