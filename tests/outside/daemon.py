"""A daemon under test: started with a configuration, asked how it is, and held at its end to what is
always promised: a log without a fault, and as many connections closed as were accepted."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

from .system import children, end
from .wire import PATIENCE, ask, connect, eventually

# what `run` was given
PROGRAM = os.environ.get("SHOUTD", "target/release/shoutd")
LISTENS = re.compile(r"listening on ([^\n]*): \d+ workers?, at most")
ADMIN = re.compile(r"metrics and a page for people: http://([^/]*)/")


def toml(value):
    """A value as TOML has it; a table is an inline one, so that it may stand among the first keys."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else str(value)


def endpoint(text):
    """`127.0.0.1:5000` or `[::1]:5000` as a pair, `unix:PATH` as the path."""
    if text.startswith("unix:"):
        return text[len("unix:") :]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def end_reasons(closed):
    return {reason: count for reason, count in closed.items() if count}


class Local(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path):
        super().__init__("shoutd", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = connect(self.path)


class Daemon:
    """`Daemon(framing="line", limits={"idle_timeout": "1s"})` runs until its `with` ends. `under` is a command
    that runs the program, `text` a configuration as it is, and `listens` is false where it is not to start."""

    def __init__(self, *, under=(), environment=None, text=None, listens=True, stderr=None, pass_fds=(), **keys):
        self.folder = tempfile.TemporaryDirectory(prefix="shoutd-")
        self.file = os.path.join(self.folder.name, "config.toml")
        self.control = os.path.join(self.folder.name, "control.sock")
        self.log_file = os.path.join(self.folder.name, "log")
        self.keys = {"listen": "127.0.0.1:0", "admin": {"listen": "127.0.0.1:0", "socket": self.control}}
        self.expected = []  # what its log may say beside, at `error`
        self.stands = True  # whether it still is to be asked how it is, and ended
        # it is asked over its control socket, which needs no port
        self.configure(text=text, **{**keys, "admin": {**self.keys["admin"], **keys.get("admin", {})}})
        self.read = 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*under, PROGRAM, "-c", self.file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=stderr or log,
                env={**os.environ, "SHOUTD_LOG": "", **(environment or {})},
                cwd=self.folder.name,
                pass_fds=pass_fds,
            )
        if listens:
            try:
                self.await_line(LISTENS)
                self.status()  # whose thread and descriptors are there from now on
            except BaseException:
                end(self.process)
                raise

    def configure(self, *, text=None, **keys):
        """Writes its configuration: `keys` are changed, and gone where they are none."""
        self.keys = {key: value for key, value in {**self.keys, **keys}.items() if value is not None}
        listeners = self.keys.get("listener")
        if listeners:
            self.keys.pop("listen", None)
        new = self.file + ".new"
        with open(new, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text if text is not None else "".join(f"{key} = {toml(value)}\n" for key, value in self.keys.items()))
        os.replace(new, self.file)

    # ---- its log -------------------------------------------------------------------------------

    @property
    def log(self):
        with open(self.log_file, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def count(self, text):
        return self.log.count(text)

    def await_line(self, pattern, times=1, within=PATIENCE):
        """The last line of so many that have `pattern` in them."""
        pattern = re.compile(pattern)

        def found():
            lines = [line for line in self.log.splitlines() if pattern.search(line)]
            if len(lines) >= times:
                return lines[times - 1]
            status = self.process.poll()
            assert status is None, f"it ended with {status} before its log said {pattern.pattern!r}:\n{self.log[-3000:]}"

        return eventually(f"its log says {pattern.pattern!r}; it says:\n{self.log[-1500:]}", found, within)

    # ---- where it is ---------------------------------------------------------------------------

    @property
    def pid(self):
        """The daemon's own process, which is the last one where it runs under another."""
        return children(self.process.pid)[-1]

    @property
    def addresses(self):
        said = LISTENS.search(self.log)[1]
        return [endpoint(address) for address in said.removeprefix("listening on ").split(", ")]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.address[1]

    @property
    def admin(self):
        return endpoint(ADMIN.search(self.log)[1])

    def connect(self, **how):
        return connect(self.address, **how)

    def ask(self, text, **how):
        return ask(self.address, text, **how)

    # ---- how it is -----------------------------------------------------------------------------

    def get(self, path, method="GET", control=False, body=None):
        """The code and the body of an answer of its own HTTP."""
        http_to = Local(self.control) if control else http.client.HTTPConnection(*self.admin, timeout=PATIENCE)
        with contextlib.closing(http_to) as http_connection:
            http_connection.request(method, path, body=body)
            answer = http_connection.getresponse()
            return answer.status, answer.read().decode()

    def status(self):
        return json.loads(self.get("/status", control=True)[1])

    def metric(self, name, **labels):
        """The sum of all series of a metric that have these labels."""
        total, found = 0.0, False
        for line in self.get("/metrics", control=True)[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name:
                found = True
                if all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
                    total += float(value)
        assert found, f"there is no metric {name}"
        return total

    def closed(self, reason):
        """How many connections ended for this reason."""
        return self.status()["connections"]["closed"].get(reason, 0)

    def open(self):
        return self.status()["connections"]["open"]

    def await_open(self, count, within=PATIENCE):
        eventually(f"{count} connections are open", lambda: self.open() == count, within)

    def await_closed(self, reason, count=1, within=PATIENCE):
        def ended():
            closed = end_reasons(self.status()["connections"]["closed"])
            return closed.get(reason, 0) >= count

        eventually(f"{count} connections ended by {reason}", ended, within)
        closed = end_reasons(self.status()["connections"]["closed"])
        assert closed.get(reason) == count, f"{count} should have ended by {reason}: {closed}"

    def reload(self):
        """Lets it take up its configuration; gives the code and what the reload came to."""
        code, body = self.get("/reload", "POST", control=True)
        return code, json.loads(body)

    # ---- its end -------------------------------------------------------------------------------

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, within=PATIENCE):
        """Its exit code, once it has ended by itself."""
        self.stands = False
        self.code = self.process.wait(within)
        return self.code

    def stop(self):
        """Ends it at once, and holds it to what is always promised."""
        connections = self.status()["connections"]
        closed = end_reasons(connections["closed"])
        assert connections["accepted"] == connections["open"] + sum(closed.values()), connections
        self.signal(signal.SIGTERM)
        self.await_line("stopping, |stopped: ")
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"it ended with {code}"
        self.check_log(connections["accepted"])

    def check_log(self, least=0):
        """No fault, no error that is not expected, and an account of the end that balances."""
        lines = self.log.splitlines()
        for line in lines:
            is_panic = "panicked" in line or "fault in the thread" in line
            is_error = is_panic or re.match(r"\S+ ERROR ", line) or line.startswith("error: ")
            # one that is expected is so by its name
            named = [pattern for pattern in self.expected if "panic" in pattern or not is_panic]
            assert not is_error or any(re.search(pattern, line) for pattern in named), line
        farewell = re.search(r"stopped: (\d+) connections? served((?:, \d+ \w+)*);", self.log)
        if self.stands or not farewell or self.code != 0:
            return
        served = int(farewell[1])
        ended = sum(int(count) for count in re.findall(r", (\d+) ", farewell[2]))
        assert served == ended and served >= least, farewell[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.stands:
                self.stop()
            elif kind is None:
                self.check_log()
        finally:
            if kind is not None:
                print(f"its log:\n{self.log[-3000:]}")
            for process in reversed(children(self.process.pid)):
                if process != self.process.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            end(self.process)
            self.folder.cleanup()


def taken_port():
    """A socket that listens, and its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, "127.0.0.1:%d" % listener.getsockname()[1]
