"""What the system says of a process, and what it can be made to do to one."""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import time

from .wire import eventually

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


def is_root():
    return os.geteuid() == 0


def has(program):
    return shutil.which(program) is not None


def allow_files():
    """Lets this process, and those it starts, open as many files as the system allows; gives how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu(pid):
    """Seconds of processor that a process has used, to the hundredth."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """All processes below one, and itself."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as names:
                    found += map(int, names.read().split())
    return found


def private_kib(pid):
    """KiB of memory that a process has of its own."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def threads(pid):
    """The threads of a process, by name, and how often each went to sleep."""
    found = {}
    tasks = os.listdir(f"/proc/{pid}/task") if os.path.exists(f"/proc/{pid}/task") else []
    for task in tasks:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/status") as status:
                text = status.read()
            name = re.search(r"^Name:\t(.*)$", text, re.M)[1]
            found[name] = (int(task), int(re.search(r"^voluntary_ctxt_switches:\t(\d+)$", text, re.M)[1]))
    return found


def thread(pid, name):
    """The number of a thread, once it has its name."""
    return eventually(f"there is a thread {name}", lambda: threads(pid).get(name))[0]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def kernel_kib(port):
    """KiB of kernel memory that the server's sockets at `port` hold, as `ss` has it: rb and tb are what
    they may hold, r, t, w and f what they do."""
    said = subprocess.run(["ss", "-Htnm", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    total = 0
    for found in re.findall(r"skmem:\(([^)]*)\)", said):
        held = dict(re.fullmatch(r"([a-z]+)(\d+)", part).groups() for part in found.split(","))
        total += sum(int(held[key]) for key in ("r", "w", "f"))
    return total // 1024


def own_network():
    """Puts this process, and those it starts, into a network of its own, where only the loopback is; needs root."""
    assert libc.unshare(CLONE_NEWNET) == 0, f"unshare: {os.strerror(ctypes.get_errno())}"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextlib.contextmanager
def stalled(task):
    """Stops one thread of a process for a while, by its number."""
    assert libc.ptrace(PTRACE_SEIZE, task, None, None) == 0, f"ptrace: {os.strerror(ctypes.get_errno())}"
    assert libc.ptrace(PTRACE_INTERRUPT, task, None, None) == 0
    os.waitpid(task, WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, task, None, None)


def end(process, within=10):
    """Ends a process that was started here, at once, and takes its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    return process.wait(within)


def limit_files(pid, soft, hard):
    """Sets how many files a running process may have open."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def pause(seconds):
    """Lets time pass where time is what is tested."""
    time.sleep(seconds)


def least(measure, seconds=2.5):
    """The least that a measure comes to in so long: what else the machine does makes it more, and never less."""
    until, found = time.monotonic() + seconds, [measure()]
    while time.monotonic() < until:
        found.append(measure())
    return min(found)
