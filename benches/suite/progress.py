"""How far it is: a bar with the time that is left on a terminal, and otherwise a line when a part of it is done."""

import sys
import time

WIDTH = 30


def span(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


class Progress:
    def __init__(self, expected):
        self.expected, self.done, self.begun = max(expected, 0.1), 0.0, time.monotonic()
        self.live = sys.stderr.isatty()

    def left(self):
        """By what is expected of the rest, and by how wrong that was so far."""
        taken = time.monotonic() - self.begun
        pace = taken / self.done if self.done > 20 else 1.0
        return max(0.0, self.expected - self.done) * pace

    def run(self, steps):
        for step in steps:
            if self.live:
                part = min(1.0, self.done / self.expected)
                bar = "#" * int(part * WIDTH)
                line = f"[{bar:.<{WIDTH}}] {part:4.0%}, {span(self.left())} left: {step.name}"
                print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            step.do()
            self.done += step.seconds

    def say(self, text):
        """A line that stays."""
        before = "\r\033[K" if self.live else ""
        print(f"{before}{text}; {span(self.left())} left", file=sys.stderr, flush=True)
