"""What is built before anything is measured: the load generator, the servers and the yardstick, all under target/."""

import functools
import os
import re
import subprocess

from outside.servers import ROOT

from . import servers

LOAD = os.path.join(ROOT, "target/load/release/load")
# as optimized as a C compiler makes it, without which nobody would believe it
CC = ["cc", "-O3", "-march=native", "-pthread"]


def cargo(package, target):
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", f"benches/{package}/Cargo.toml"]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": os.path.join(ROOT, target)})


@functools.cache
def session():
    """The bench of the session alone, as a program."""
    command = ["cargo", "bench", "--locked", "--bench", "session", "--no-run"]
    said = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True).stderr
    return os.path.join(ROOT, re.search(r"\((\S*session-\S*)\)", said)[1])


def build(wanted):
    if "instructions" in wanted:
        session()
    cargo("load", "target/load")
    cargo("servers", "target/servers")
    subprocess.run([*CC, "-o", servers.YARDSTICK, os.path.join(servers.OURS, "yardstick.c")], check=True)
