"""The works that servers are given: what `load` is told, who does it, and whose rate theirs is set against."""

import os
from dataclasses import dataclass

from outside.servers import ROOT

MAIN = ["shoutd", "shoutd-2", "yardstick", "yardstick-2", "tokio", "threads", "python", "asyncio"]
BY_PROCESS_OR_PROXY = ["socat", "ncat", "xinetd", "haproxy", "nginx"]
UNICODE = ["shoutd", "shoutd-2", "tokio-upper", "python", "asyncio"]
# which cut characters where a read ends, and so are given only texts that come whole
CUTTING = ["tokio-upper", "asyncio"]

# what a mode of `load` counts: its rate and the unit of it, the server's processor for each and its unit
COUNTS = {
    "pingpong": ("rps", "requests/s", "server_us_per_request", "µs"),
    "stream": ("mb_per_s", "MB/s", "server_ns_per_kb", "ns/KB"),
    "churn": ("conn_per_s", "connections/s", "server_us_per_conn", "µs"),
}

# seconds that some need to take a connection
SLOW_TO_TAKE = {"ncat": 0.1, "threads": 0.001}


@dataclass(frozen=True)
class Work:
    name: str
    what: str
    mode: str
    options: tuple
    servers: tuple
    beside: str = ""  # the work that the yardstick does in its place, where it cannot do this one

    @property
    def group(self):
        """Works of one group are done close together, as they are set against each other."""
        return self.beside or self.name

    @property
    def unit(self):
        return COUNTS[self.mode][1]

    @property
    def cpu_unit(self):
        return COUNTS[self.mode][3]

    def overhead(self, server):
        """Seconds that it takes beside those in which it is measured, about."""
        connections = int(self.options[self.options.index("-c") + 1]) if self.mode == "pingpong" else 1
        return 0.04 + connections * SLOW_TO_TAKE.get(server, 0.0003)


def pingpong(name, what, connections, size, servers, *more, beside=""):
    return Work(name, what, "pingpong", ("-c", str(connections), "-s", str(size), *more), tuple(servers), beside)


def stream(name, what, connections, servers, *more, beside=""):
    return Work(name, what, "stream", ("-c", str(connections), *more), tuple(servers), beside)


def churn(name, what, *more, servers):
    return Work(name, what, "churn", ("-c", "50", "--source-ips", "64", *more), tuple(servers))


def text(name):
    return "--text", os.path.join(ROOT, "benches/texts", name + ".txt")


def texts():
    """Texts that are not ASCII, beside which the yardstick's rate with ASCII stands."""
    for name, file in (("russian", "cyrillic"), ("greek", "greek"), ("cjk", "cjk")):
        title = {"cjk": "Chinese, Japanese and Korean"}.get(name, name.capitalize())
        yield pingpong(name, f"{title}, 50 connections, 1 KiB", 50, 1024, UNICODE, *text(file), beside="pp50x1k")
        whole = [server for server in UNICODE if server not in CUTTING]
        yield stream(f"{name}-bulk", f"{title}, in bulk on 1 connection", 1, whole, *text(file), beside="bulk1")


ALL = [
    pingpong("pp1x32", "1 connection, 32 B", 1, 32, [*MAIN, "shoutd-spin"]),
    pingpong("pp1x1k", "1 connection, 1 KiB", 1, 1024, [*MAIN, "shoutd-spin"]),
    pingpong("pp50x32", "50 connections, 32 B", 50, 32, [*MAIN, *BY_PROCESS_OR_PROXY, "memcached"]),
    pingpong("pp50x1k", "50 connections, 1 KiB", 50, 1024, MAIN),
    pingpong("pp1000x32", "1,000 connections, 32 B", 1000, 32, MAIN),
    pingpong("pp1000x1k", "1,000 connections, 1 KiB", 1000, 1024, MAIN),
    pingpong("pipe16", "50 connections, 64 B, 16 in flight", 50, 64, MAIN, "-d", "16"),
    pingpong("lines", "the same as lines", 50, 64, [*MAIN, "shoutd-line"], "-d", "16", "--newline"),
    stream("bulk1", "in bulk on 1 connection", 1, [*MAIN, "shoutd-1m", *BY_PROCESS_OR_PROXY]),
    stream("bulk8", "in bulk on 8 connections", 8, [*MAIN, "shoutd-1m"]),
    stream("pieces", "in bulk on 2 connections, in writes of 1,001 B", 2, ["shoutd", "yardstick", "tokio"], "-s", "1001"),
    churn("churn50", "connect, 32 B, close; 50 at a time", servers=[*MAIN, "yardstick-queue", *BY_PROCESS_OR_PROXY, "memcached"]),
    churn("churn50-half", "the same with a half-close", "--half-close", servers=[*MAIN, "yardstick-queue"]),
    *texts(),
]
NAMED = {work.name: work for work in ALL}
