"""The servers that are compared: how each is configured, started and stopped, as its own manual has it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

from outside import system
from outside.wire import ask, eventually

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TEXTBOOK = os.path.join(ROOT, "target/servers/release/textbook")
THREADS = '''
import socket, sys, threading

def serve(client):
    with client:
        while data := client.recv(8192):
            client.sendall(data)

server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=(client,)).start()
'''


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

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="compare-")
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

    def start(self):
        with open(self.log_file, "ab") as log:
            # a group of its own, so that what it leaves behind is found
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder.name,
                start_new_session=True,
            )
        eventually(f"{self.name} serves", self.serves, 10)
        return self

    @property
    def log_file(self):
        return os.path.join(self.folder.name, "log")

    @property
    def address(self):
        return "127.0.0.1", self.port

    def serves(self):
        assert self.process.poll() is None, f"{self.name} has ended: {open(self.log_file).read()}"
        try:
            return ask(self.address, b"hello") == self.answer(b"hello")
        except OSError:
            return False

    @property
    def processes(self):
        return system.children(self.process.pid)

    def stop_softly(self):
        os.kill(self.process.pid, self.soft)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
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
            self.behind.__exit__(None, None, None)
        self.folder.cleanup()


class Shoutd(Server):
    name = "shoutd"
    upper = True

    def command(self):
        config = f'listen = "127.0.0.1:{self.port}"\n[admin]\nsocket = "off"\n'
        return [os.environ["SHOUTD"], "-c", self.file("config.toml", config)]

    def version(self):
        return re.search(r"shoutd (\S+)", said(os.environ["SHOUTD"], "--version"))[1]


class Tokio(Server):
    name = "tokio"
    mode = "echo"

    def command(self):
        return [TEXTBOOK, f"127.0.0.1:{self.port}", self.mode]

    def version(self):
        with open(os.path.join(ROOT, "benches/servers/Cargo.lock")) as lock:
            return re.search(r'name = "tokio"\nversion = "([^"]*)"', lock.read())[1]


class TokioUpper(Tokio):
    name = "tokio, upper"
    mode = "upper"
    upper = True


class Threads(Server):
    name = "Python threads"
    crowd = 2000

    def command(self):
        return [sys.executable, self.file("threads.py", THREADS), str(self.port)]

    def version(self):
        return sys.version.split()[0]


class Socat(Server):
    name = "socat"
    needs = ("socat",)
    crowd = 200

    def command(self):
        return ["socat", f"TCP4-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork,backlog=1024", "EXEC:cat"]

    def version(self):
        return re.search(r"socat version (\S+)", said("socat", "-V"))[1]


class Ncat(Server):
    name = "ncat"
    needs = ("ncat",)
    crowd = 500

    def command(self):
        return ["ncat", "-lk", "-m", "10000", "--exec", "/bin/cat", "127.0.0.1", str(self.port)]

    def version(self):
        return re.search(r"Version (\S+)", said("ncat", "--version"))[1]


class Xinetd(Server):
    name = "xinetd"
    needs = ("xinetd",)
    crowd = 500

    def command(self):
        config = f"""service compared
{{
    type = UNLISTED
    port = {self.port}
    bind = 127.0.0.1
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    server = /bin/cat
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 100000 1
}}
"""
        return ["xinetd", "-dontfork", "-f", self.file("xinetd.conf", config), "-pidfile", self.folder.name + "/pid"]

    def version(self):
        return said("dpkg-query", "-W", "-f", "${Version}", "xinetd").strip() or "of unknown version"


class Proxy(Server):
    """One that stands in front of the textbook's echo."""

    def start(self):
        self.behind = Tokio().start()
        return super().start()


class Haproxy(Proxy):
    name = "HAProxy"
    needs = ("haproxy",)
    soft = signal.SIGUSR1

    def command(self):
        config = f"""global
    maxconn 9000
    nbthread 2
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

    def command(self):
        config = f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 2;
worker_rlimit_nofile 20000;
worker_shutdown_timeout 30s;
error_log stderr warn;
pid {self.folder.name}/pid;
events {{ worker_connections 9000; }}
stream {{
    server {{
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


ALL = [Shoutd, Tokio, TokioUpper, Threads, Socat, Ncat, Xinetd, Haproxy, Nginx]
