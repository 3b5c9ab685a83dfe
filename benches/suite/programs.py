"""What is built before anything is measured: the load generator, the servers and the yardstick, all under target/."""

import os
import subprocess

from outside.servers import ROOT

from . import servers

LOAD = os.path.join(ROOT, "target/load/release/load")
# as optimized as a C compiler makes it, without which nobody would believe it
CC = ["cc", "-O3", "-march=native", "-pthread"]


def cargo(package, target):
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", f"benches/{package}/Cargo.toml"]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": os.path.join(ROOT, target)})


def build():
    cargo("load", "target/load")
    cargo("servers", "target/servers")
    subprocess.run([*CC, "-o", servers.YARDSTICK, os.path.join(servers.OURS, "yardstick.c")], check=True)
