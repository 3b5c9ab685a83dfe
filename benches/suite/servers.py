"""The servers of the bench. Those that the faults are compared with, too, come from tests/outside/servers.py, and here are given
the work to answer in upper case. benches/README.md has a line on each."""

import os
import subprocess
import sys

from outside import servers as outside
from outside import system

OURS = os.path.join(outside.ROOT, "benches/servers")
YARDSTICK = os.path.join(outside.ROOT, "target/servers/yardstick")
# without -o0 it keeps its answers back until its input ends
FILTER = ("/usr/bin/stdbuf", "-o0", "tr", "a-z", "A-Z")
UPPER_JS = """export default {
    filter(session) {
        session.on('upload', (text, flags) => session.send(text.toUpperCase(), flags));
    },
};
"""


class Shoutd(outside.Shoutd):
    keys = {"workers": 1}
    crowd = 10_000


class ShoutdTwo(Shoutd):
    name = "shoutd-2"
    keys = {"workers": 2}


class ShoutdBulk(Shoutd):
    name = "shoutd-1m"
    keys = {"workers": 1, "buffer_size_max": "1MiB"}


class ShoutdSpin(Shoutd):
    name = "shoutd-spin"
    optional = "spin"
    keys = {"workers": 1, "spin": "50us"}


class ShoutdLine(Shoutd):
    name = "shoutd-line"
    hello = b"hello\n"
    keys = {"workers": 1, "framing": "line"}


class ShoutdDenying(Shoutd):
    """For how fast it starts."""

    name = "shoutd, 10,000 blocks in `deny`"
    keys = {"workers": 1, "limits": {"deny": [f"10.{nth >> 8}.{nth & 255}.0/24" for nth in range(10_000)]}}


class Yardstick(outside.Server):
    name = "yardstick"
    upper = True  # of ASCII alone
    crowd = 10_000
    arguments = ("1",)

    def command(self):
        return [YARDSTICK, str(self.port), *self.arguments]


class YardstickTwo(Yardstick):
    name = "yardstick-2"
    arguments = ("2",)


class YardstickQueue(Yardstick):
    name = "yardstick-queue"
    arguments = ("2", "queue")


class Tokio(outside.Tokio):
    mode = "ascii"
    upper = True
    crowd = 10_000


class TokioUpper(Tokio):
    name = "tokio-upper"
    mode = "upper"


class Threads(outside.Server):
    name = "threads"
    upper = True
    crowd = 4000

    def command(self):
        return [os.path.join(outside.PROGRAMS, "threads"), f"127.0.0.1:{self.port}"]


class Python(outside.Server):
    name = "python"
    script = "threads.py"
    upper = True
    crowd = 4000

    def command(self):
        return [sys.executable, os.path.join(OURS, self.script), str(self.port)]


class Asyncio(Python):
    name = "asyncio"
    script = "asyncio_streams.py"
    crowd = 10_000


class Socat(outside.Socat):
    upper = True
    filter = FILTER


class Ncat(outside.Ncat):
    upper = True
    filter = FILTER


class Xinetd(outside.Xinetd):
    upper = True
    filter = FILTER


class Haproxy(outside.Haproxy):
    name = "haproxy"
    upper = True
    front_of = Yardstick
    threads = 1


class Nginx(outside.Nginx):
    """Changes the text itself, in front of an echo, where it has njs."""

    name = "nginx"
    upper = True
    threads = 1
    has_njs = os.path.exists("/usr/lib/nginx/modules/ngx_stream_js_module.so")
    front_of = outside.Tokio if has_njs else Yardstick

    def command(self):
        if self.has_njs:
            self.file("upper.js", UPPER_JS)
            self.modules = (*self.modules, "ngx_stream_js_module.so")
            self.filtered, self.filtering = "js_import upper from upper.js;", "js_filter upper.filter;"
        return super().command()


class Memcached(outside.Server):
    """Knows one short question and its answer, which are the work that it is given."""

    name = "memcached"
    needs = ("memcached",)
    upper = True
    hello = b"mn\r\n"
    load = ("--request", r"mn\r\n", "--reply", r"MN\r\n")

    def command(self):
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", "root", "-t", "1", "-c", "9000"]


ALL = [Shoutd, ShoutdTwo, ShoutdBulk, ShoutdSpin, ShoutdLine, Yardstick, YardstickTwo, YardstickQueue]
ALL += [Tokio, TokioUpper, Threads, Python, Asyncio, Socat, Ncat, Xinetd, Haproxy, Nginx, Memcached]


def lacking(kind):
    """Why a server cannot take part, if it cannot."""
    missing = [need for need in kind.needs if not system.has(need)]
    if missing:
        return f"apt-get install {' '.join(missing)}"
    if hasattr(kind, "optional"):
        server = kind()
        program, *arguments = server.command()
        with server.folder:
            if subprocess.run([program, "check", *arguments], capture_output=True).returncode:
                return f"this shoutd knows no `{kind.optional}`"
    return None


def pin(core):
    """Every server of the bench, and what stands behind it, is given one core."""
    outside.Server.under = ("taskset", "-c", str(core))
