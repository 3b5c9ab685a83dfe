"""Servers that shoutd is compared with, by the faults and by the bench: how each is started and stopped, and, of those that
are not ours, how its own manual has it configured. What is measured of them is not known here."""

import os
import re
import signal
import socket
import subprocess
import tempfile

from . import system
from .daemon import toml
from .wire import connect, eventually, exchange

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(ROOT, "target/servers/release")  # what benches/servers is built into


def said(*command):
    """What a program says of its version."""
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout + run.stderr


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Server:
    """One that echoes; those below say what is different of each."""

    name = ""
    needs = ()
    crowd = 5000  # how many idle clients it is given
    soft = signal.SIGTERM  # what stops it without loss, where there is such a thing
    upper = False  # whether it answers in upper case, of every script
    under = ()  # a command that runs its command
    hello = b"hello"  # what it is asked to see whether it serves

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="server-")
        self.port = free_port()
        self.behind = None

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def answer(self, text):
        return text.decode().upper().encode() if self.upper else text

    def launch(self):
        with open(self.log_file, "ab") as log:
            # a group of its own, so that what it leaves behind is found
            self.process = subprocess.Popen(
                [*self.under, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder.name,
                start_new_session=True,
            )

    def start(self):
        self.launch()
        try:
            eventually(f"{self.name} serves", self.serves, 10)
        except BaseException:
            self.end()
            raise
        return self

    @property
    def log_file(self):
        return os.path.join(self.folder.name, "log")

    @property
    def address(self):
        return "127.0.0.1", self.port

    def serves(self):
        if self.process.poll() is not None:
            with open(self.log_file, errors="replace") as log:
                raise AssertionError(f"{self.name} has ended: {log.read()[-2000:]}")
        try:
            with connect(self.address) as client:
                exchange(client, self.hello, self.answer(self.hello))
            return True
        except (AssertionError, OSError):
            return False

    @property
    def processes(self):
        return system.children(self.process.pid)

    def stop_softly(self):
        os.kill(self.process.pid, self.soft)

    def end(self):
        for process in reversed(self.processes):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            # children that have lost their parent
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        if self.behind:
            self.behind.end()
        self.folder.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()


class Shoutd(Server):
    name = "shoutd"
    upper = True
    keys = {}  # of its configuration, beside where it listens

    def command(self):
        keys = {"listen": f"127.0.0.1:{self.port}", **self.keys, "admin": {"socket": "off"}}
        config = "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
        return [os.environ["SHOUTD"], "-c", self.file("config.toml", config)]

    def version(self):
        return re.search(r"shoutd (\S+)", said(os.environ["SHOUTD"], "--version"))[1]


class Tokio(Server):
    name = "tokio"
    mode = "echo"

    def command(self):
        return [os.path.join(PROGRAMS, "textbook"), f"127.0.0.1:{self.port}", self.mode]

    def version(self):
        with open(os.path.join(ROOT, "benches/servers/Cargo.lock")) as lock:
            return re.search(r'name = "tokio"\nversion = "([^"]*)"', lock.read())[1]


class Filtering(Server):
    """One that runs a filter for each client."""

    filter = ("/bin/cat",)


class Socat(Filtering):
    name = "socat"
    needs = ("socat",)
    crowd = 200

    def command(self):
        listen = f"TCP4-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork,backlog=1024"
        return ["socat", listen, "EXEC:" + " ".join(self.filter)]

    def version(self):
        return re.search(r"socat version (\S+)", said("socat", "-V"))[1]


class Ncat(Filtering):
    name = "ncat"
    needs = ("ncat",)
    crowd = 500

    def command(self):
        return ["ncat", "-lk", "-m", "10000", "--exec", " ".join(self.filter), "127.0.0.1", str(self.port)]

    def version(self):
        return re.search(r"Version (\S+)", said("ncat", "--version"))[1]


class Xinetd(Filtering):
    name = "xinetd"
    needs = ("xinetd",)
    crowd = 500

    def command(self):
        arguments = f"\n    server_args = {' '.join(self.filter[1:])}" if self.filter[1:] else ""
        config = f"""service compared
{{
    type = UNLISTED
    port = {self.port}
    bind = 127.0.0.1
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    server = {self.filter[0]}{arguments}
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 100000 1
}}
"""
        return ["xinetd", "-dontfork", "-f", self.file("xinetd.conf", config), "-pidfile", self.folder.name + "/pid"]

    def version(self):
        return said("dpkg-query", "-W", "-f", "${Version}", "xinetd").strip() or "of unknown version"


class Proxy(Server):
    """One that stands in front of another."""

    front_of = Tokio
    threads = 2

    def start(self):
        self.behind = self.front_of().start()
        return super().start()


class Haproxy(Proxy):
    name = "HAProxy"
    needs = ("haproxy",)
    soft = signal.SIGUSR1

    def command(self):
        config = f"""global
    maxconn 9000
    nbthread {self.threads}
    hard-stop-after 30s
    log stderr format raw local0 notice
defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend compared
    bind 127.0.0.1:{self.port} backlog 1024
    default_backend echo
backend echo
    server echo 127.0.0.1:{self.behind.port} source 127.0.0.2
"""
        return ["haproxy", "-db", "-f", self.file("haproxy.cfg", config)]

    def version(self):
        return re.search(r"version (\d[\d.]*\d)", said("haproxy", "-v"))[1]


class Nginx(Proxy):
    name = "nginx stream"
    needs = ("nginx",)
    soft = signal.SIGQUIT
    modules = ("ngx_stream_module.so",)
    filtered = ""  # lines of `stream`, and of its server, that change what passes
    filtering = ""

    def command(self):
        modules = "".join(f"load_module /usr/lib/nginx/modules/{module};\n" for module in self.modules)
        config = f"""{modules}daemon off;
user root;
worker_processes {self.threads};
worker_rlimit_nofile 20000;
worker_shutdown_timeout 30s;
error_log stderr warn;
pid {self.folder.name}/pid;
events {{ worker_connections 9000; }}
stream {{
    {self.filtered}
    server {{
        {self.filtering}
        listen 127.0.0.1:{self.port} backlog=1024;
        proxy_pass 127.0.0.1:{self.behind.port};
        proxy_bind 127.0.0.2;
        proxy_half_close on;
        proxy_timeout 60s;
    }}
}}
"""
        return ["nginx", "-e", "stderr", "-p", self.folder.name, "-c", self.file("nginx.conf", config)]

    def version(self):
        return re.search(r"nginx/(\S+)", said("nginx", "-v"))[1]
