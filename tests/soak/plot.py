"""The soak as a picture: memory, descriptors and latency over time, as SVG by hand."""

import math
from xml.sax.saxutils import escape

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 960, 180, 84, 150, 64, 64
GREY, INK = "#d8d8d8", "#333333"
COLOURS = {"memory": "#1f6fb2", "descriptors": "#b2561f", "open": "#6a8f3c", "p50": "#1f6fb2", "p99": "#b2261f"}


def ticks(most):
    """Round numbers from 0 to at least `most`."""
    step = 10 ** math.floor(math.log10(max(most, 1e-9) / 4))
    step = next(step * times for times in (1, 2, 5, 10) if step * times * 5 >= most)
    return [step * nth for nth in range(math.ceil(most / step - 1e-9) + 1)]


def decades(least, most):
    """Powers of ten around all of it."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def short(value):
    return f"{value:g}"


class Panel:
    """One of the plots, below each other: a title, axes, and lines."""

    def __init__(self, nth, title, end):
        self.top, self.title, self.end = TOP + nth * (PANEL + GAP), title, end
        self.parts = []

    def x(self, at):
        return LEFT + at / self.end * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        low, high = self.scale(self.marks[0]), self.scale(self.marks[-1])
        return self.top + PANEL - (self.scale(value) - low) / (high - low) * PANEL

    def axes(self, marks, logarithmic=False):
        self.marks, self.scale = marks, math.log10 if logarithmic else float
        self.text(LEFT, self.top - 12, self.title, "start", bold=True)
        for value in marks:
            y = self.y(value)
            self.line(LEFT, y, WIDTH - RIGHT, y, GREY)
            self.text(LEFT - 8, y + 4, short(value), "end")
        for value in ticks(self.end):
            if value <= self.end:
                x = self.x(value)
                self.line(x, self.top + PANEL, x, self.top + PANEL + 5, INK)
                self.text(x, self.top + PANEL + 19, short(value), "middle")
        self.line(LEFT, self.top + PANEL, WIDTH - RIGHT, self.top + PANEL, INK)
        self.text(WIDTH - RIGHT + 10, self.top + PANEL + 19, "seconds", "start")

    def events(self, times, name, colour):
        for nth, at in enumerate(times):
            x = self.x(at)
            self.line(x, self.top, x, self.top + PANEL, colour, dashed=True)
            if nth == 0:
                self.text(x + 3, self.top + 11, name, "start", colour)

    def curve(self, points, name, colour, label_y):
        low, high = self.marks[0], self.marks[-1]
        path = " ".join(f"{self.x(at):.1f},{self.y(min(max(value, low), high)):.1f}" for at, value in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        self.text(WIDTH - RIGHT + 10, label_y, name, "start", colour)

    def line(self, x1, y1, x2, y2, colour, dashed=False):
        dash = ' stroke-dasharray="3 3"' if dashed else ""
        self.parts.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" fill="none"{dash}/>')

    def text(self, x, y, text, anchor, colour=INK, bold=False):
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self.parts.append(f'<text {place} fill="{colour}"{weight}>{escape(text)}</text>')


def by_second(latencies, begun, width):
    """The middle and the hundredth slowest answer of each stretch of time, in ms."""
    stretches = {}
    for at, took in latencies:
        stretches.setdefault(int((at - begun) / width), []).append(took * 1000)
    for nth, took in sorted(stretches.items()):
        took.sort()
        yield (nth + 0.5) * width, took[len(took) // 2], took[len(took) * 99 // 100]


def svg(soak):
    """The whole picture of a soak, as far as it came."""
    samples = [(sample.at - soak.begun, sample) for sample in soak.samples]
    end = samples[-1][0] if samples else 1.0
    reloads, panics = ([at - soak.begun for at in times] for times in (soak.reloads, soak.panics))
    titles = ("private memory, MiB", "descriptors and clients", "an answer takes, ms")
    memory, files, speed = (Panel(nth, title, end) for nth, title in enumerate(titles))

    points = [(at, sample.private_kib / 1024) for at, sample in samples]
    memory.axes(ticks(max(value for _, value in points)))
    memory.curve(points, "memory", COLOURS["memory"], memory.top + 12)

    descriptors = [(at, sample.files) for at, sample in samples]
    clients = [(at, sample.open) for at, sample in samples]
    files.axes(ticks(max(value for _, value in descriptors + clients)))
    files.curve(descriptors, "descriptors", COLOURS["descriptors"], files.top + 12)
    files.curve(clients, "open connections", COLOURS["open"], files.top + 30)

    seconds = list(by_second(soak.latencies, soak.begun, max(1.0, end / 300)))
    if seconds:
        speed.axes(decades(min(p50 for _, p50, _ in seconds), max(p99 for _, _, p99 in seconds)), logarithmic=True)
        speed.curve([(at, p99) for at, _, p99 in seconds], "99 of 100 within", COLOURS["p99"], speed.top + 12)
        speed.curve([(at, p50) for at, p50, _ in seconds], "half within", COLOURS["p50"], speed.top + 30)
    panels = [memory, files] + ([speed] if seconds else [])
    for panel in panels:
        panel.events(reloads, "reload", "#999999")
        panel.events(panics, "panic", "#c02020")
    height = TOP + 3 * (PANEL + GAP)
    title = f"shoutd under {soak.count} clients of every kind; {soak.counts['connections']} connections, seed {soak.seed}"
    parts = "\n".join(part for panel in panels for part in panel.parts)
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="26" font-size="15" fill="{INK}">{escape(title)}</text>
{parts}
</svg>
"""
