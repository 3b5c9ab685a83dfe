"""What the bench ran on, and of which tree."""

import os
import platform
import re
import subprocess

from outside.servers import ROOT


def git(*arguments):
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return run.stdout.strip()


def model():
    with open("/proc/cpuinfo") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    return found[1] if found else platform.machine()


def congestion():
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        return file.read().strip()


def commit():
    """The commit, and whether what is measured may be something else."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benches/results")
    return git("rev-parse", "--short=10", "HEAD") or "none", not changed


def facts():
    short, clean = commit()
    return {
        "machine": f"{model()}, {os.cpu_count()} processors",
        "kernel": platform.release(),
        "congestion": congestion(),
        "commit": short,
        "clean": clean,
        "load": round(os.getloadavg()[0], 2),
    }
