"""The table in Markdown: who comes to the goal, and the figures."""

import datetime
import os
import platform

MARKS = {True: "yes", False: "**no**", None: "–"}  # none: it is not for this
HEAD = """# shoutd beside others

Faults that every server on a network meets, done to shoutd and to others in one run, on one machine. Made by

```sh
{command}
```

on {date} (Linux {kernel}, {processors} processors; {minutes:.0f} minutes). The goals are shoutd's own, and are the same for all.

Read it with care:

- The others were not made for all of this. The two "textbook" servers are what one writes in an afternoon with tokio and with
  Python's threads (`benches/servers`, `tests/faults/comparison/servers.py`); `tokio, upper` makes a text of each read. HAProxy and
  nginx stand in front of the first of them, so each of their answers takes two more steps. socat, ncat and xinetd run a `cat` for
  each client, and were given fewer clients.
- Versions and settings are Debian's and the manuals'; most could be tuned, as shoutd could. Python's threads end with the first
  accept that fails, and so are not there to be back.
- Out of descriptors there are 20 left, which who makes a process for each client needs to be compared at all: such a server is never
  out of them. shoutd closes those who have waited for 5 seconds, one by one, so that they learn of it.
- Clients are one Python process: rates are what it can make, latencies have its own in them. So fewer resets than 5,000 a second are
  no verdict (–), unless these were too many already. Compare within a row, and ratios rather than figures.
- The machine had other work (its load was {load:.0f} at the begin). What hangs on speed is not the same in each run: latencies beside idle
  clients most of all, in which shoutd, too, once failed; and how many transfers socat and xinetd lose, as who waits for a process
  of its own when the stop comes is lost.
- Memory is the private memory of all processes of a server; "kernel" is what their sockets hold in its buffers.
- It is run by hand, and not in CI.
"""


def markdown(rows, servers, seconds, load, command):
    """`rows`: a name and a goal for each measure, and for each server a verdict and figures."""
    text = HEAD.format(
        command=command,
        date=datetime.date.today().isoformat(),
        kernel=platform.release().split("-")[0],
        processors=os.cpu_count(),
        minutes=max(1, seconds / 60),
        load=load,
    )
    names = [f"{server.name} {server.version()}" for server in servers]
    text += "\n## Who comes to the goal\n\n| goal | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|\n"
    for name, goal, cells in rows:
        marks = [MARKS[verdict] for verdict, _ in cells]
        text += f"| {name}: {goal} | " + " | ".join(marks) + " |\n"
    reached = [sum(cells[nth][0] is True for _, _, cells in rows) for nth in range(len(names))]
    asked = [sum(cells[nth][0] is not None for _, _, cells in rows) for nth in range(len(names))]
    text += "| reached | " + " | ".join(f"{got} of {of}" for got, of in zip(reached, asked)) + " |\n"
    text += "\n## The figures\n"
    for name, goal, cells in rows:
        text += f"\n**{name}.** Goal: {goal}.\n\n| | goal | |\n|---|---|---|\n"
        for server, (verdict, figures) in zip(names, cells):
            text += f"| {server} | {MARKS[verdict]} | {figures} |\n"
    return text
