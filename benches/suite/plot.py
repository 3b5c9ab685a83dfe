"""The ratios as a picture: a panel for each work, a bar for each server, as SVG by hand. It is read by day and by night."""

from xml.sax.saxutils import escape

from . import works
from .figures import YARDSTICK

COLUMNS, PANEL, GAP, LEFT, BAR = 3, 262, 34, 106, 17
WIDTH, TOP, HEAD = 28 + COLUMNS * (LEFT + PANEL) + (COLUMNS - 1) * GAP + 28, 92, 34
MOST = 1.5  # the ratio at the right edge; the bar of a higher one is cut there, its number says it
STYLE = """
svg { font-family: system-ui, sans-serif; font-size: 12px; color-scheme: light dark; }
.paper { fill: #ffffff; } text { fill: #24292f; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; } .soft { fill: #57606a; }
.own { fill: #0b62c4; } .yard { fill: #6e7781; } .other { fill: #b6bec7; } .range { stroke: #24292f; }
.one { stroke: #cf222e; stroke-dasharray: 3 3; } .grid { stroke: #d8dee4; } .title { font-size: 17px; font-weight: 600; }
.name { font-weight: 600; } .ours { font-weight: 600; } .bad { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117; } text { fill: #e6edf3; stroke: #0d1117; } .soft { fill: #9198a1; }
  .own { fill: #4c9bf5; } .yard { fill: #8b949e; } .other { fill: #3d444d; } .range { stroke: #e6edf3; }
  .one { stroke: #ff7b72; } .grid { stroke: #262c34; } .bad { fill: #ff7b72; }
}
"""


def kind_of(server):
    return "own" if server.startswith("shoutd") else "yard" if server.startswith(YARDSTICK) else "other"


def text(x, y, words, classes="", anchor="start"):
    named = f' class="{classes}"' if classes else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def line(x1, y1, x2, y2, classes):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{classes}" fill="none"/>'


class Panel:
    """A work: where it stands, and its parts."""

    def __init__(self, x, y, rows):
        self.x, self.y, self.bottom, self.parts = x, y, y + HEAD + rows * BAR, []

    def at(self, ratio):
        return self.x + LEFT + min(max(ratio, 0), MOST) / MOST * (PANEL - 44)

    def axes(self, work):
        self.parts.append(text(self.x, self.y + 10, work.name, "name"))
        self.parts.append(text(self.x, self.y + 25, work.what, "soft"))
        for ratio in (0, 0.5, 1.0, 1.5):
            x = self.at(ratio)
            self.parts.append(line(x, self.y + HEAD, x, self.bottom, "one" if ratio == 1 else "grid"))
            self.parts.append(text(x, self.bottom + 13, f"{ratio:g}", "soft", "middle"))

    def bar(self, nth, server, cell):
        top = self.y + HEAD + nth * BAR + 2
        middle = top + BAR / 2 - 2
        name = "ours" if kind_of(server) == "own" else ""
        self.parts.append(text(self.x + LEFT - 7, middle + 4, server, name, "end"))
        if cell is None or cell.ratio is None:
            self.parts.append(text(self.at(0) + 5, middle + 4, "failed" if cell is None else "no ratio", "bad"))
            return
        ratio, low, high = cell.ratio
        width = self.at(ratio) - self.at(0)
        size = f'x="{self.at(0):.1f}" y="{top}" width="{width:.1f}" height="{BAR - 4}"'
        self.parts.append(f'<rect {size} class="{kind_of(server)}"/>')
        if high > low:
            self.parts.append(line(self.at(low), middle, self.at(high), middle, "range"))
        said = f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
        self.parts.append(text(self.at(max(ratio, high)) + 5, middle + 4, said, name))


def shown(figures, done):
    """Works and their servers; the yardstick is 1 in all of its own."""
    for work in works.ALL:
        servers = [name for name in work.servers if (work.name, name) in done and name != YARDSTICK]
        if servers:
            yield work, servers


def svg(figures, facts):
    panels, y = [], TOP
    works_shown = list(shown(figures, figures.found.samples))
    for begin in range(0, len(works_shown), COLUMNS):
        row = works_shown[begin : begin + COLUMNS]
        for column, (work, servers) in enumerate(row):
            panel = Panel(28 + column * (LEFT + PANEL + GAP), y, len(servers))
            panel.axes(work)
            for nth, server in enumerate(servers):
                panel.bar(nth, server, figures.cell(work, server))
            panels.append(panel)
        y = max(panel.bottom for panel in panels) + 46
    title = "shoutd beside others: rates, as ratio to a bare epoll server in C with one thread"
    beside = f"the middle of all rounds ({facts['rounds']}); a line from the lowest to the highest; {facts['commit']}, {facts['date']}"
    machine = f"{facts['machine']}, Linux {facts['kernel']}, {facts['congestion']}; servers on one core, the load on another"
    heads = [text(28, 32, title, "title"), text(28, 52, beside, "soft"), text(28, 69, machine, "soft")]
    parts = "\n".join(heads + [part for panel in panels for part in panel.parts])
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size}>
<style>{STYLE}</style>
<rect width="100%" height="100%" class="paper"/>
{parts}
</svg>
"""
