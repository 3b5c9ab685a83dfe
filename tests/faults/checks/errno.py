"""Calls of the real process that fail as the system may let them, by strace on one of its threads: it goes
on, and who is not meant does not notice. The names of the calls are those that the daemon makes; each check
sees to it that its failures did happen."""

import contextlib
import re
import signal
import subprocess
import tempfile
import time

from outside import system
from outside.daemon import Daemon
from outside.wire import connect, ending, eventually, exchange

from . import lasts, needs


class Failures:
    """What strace made to fail."""

    def __init__(self, file):
        self.file = file

    @property
    def count(self):
        with open(self.file, errors="replace") as trace:
            return trace.read().count("(INJECTED)")

    def await_count(self, count):
        eventually(f"{count} calls fail; {self.count} did", lambda: self.count >= count)
        assert self.count == count, f"{self.count} calls failed, not {count}"


@contextlib.contextmanager
def failing(daemon, thread, *faults):
    """Lets calls of a thread fail for a while: `accept4:error=EMFILE:when=1..4` (see strace(1))."""
    task = system.thread(daemon.pid, thread)
    with tempfile.NamedTemporaryFile() as trace:
        command = ["strace", "-qq", "-o", trace.name, "-e", "signal=none", "-p", str(task)]
        command += ["-e", "trace=" + ",".join(sorted({fault.partition(":")[0] for fault in faults}))]
        for fault in faults:
            command += ["-e", f"inject={fault}"]
        strace = subprocess.Popen(command)

        def is_traced():
            assert strace.poll() is None, "strace could not be started"
            with open(f"/proc/{task}/status") as status:
                return re.search(r"^TracerPid:\t[1-9]", status.read(), re.M)

        try:
            eventually("it is traced", is_traced)
            yield Failures(trace.name)
        finally:
            # a call that strace makes to fail just when it goes would fail as one that does not exist
            with contextlib.suppress(AssertionError):
                eventually("the thread is at rest", lambda: rests(daemon.pid, thread), 0.5)
            strace.send_signal(signal.SIGINT)
            strace.wait(10)


def rests(pid, thread):
    """Whether a thread sleeps, or has ended."""
    if thread not in (before := system.threads(pid)):
        return True
    system.pause(0.02)
    return system.threads(pid).get(thread) == before[thread]


def answers(daemon, times=5):
    for _ in range(times):
        assert daemon.ask(b"hello") == b"HELLO"


@needs("root", "strace")
def f01_accept_without_descriptors_pauses_and_goes_on():
    for errno in ("EMFILE", "ENFILE"):
        with Daemon() as daemon, failing(daemon, "acceptor", f"accept4:error={errno}:when=1..4") as failures:
            begun = time.monotonic()
            answers(daemon)
            waited = time.monotonic() - begun
            failures.await_count(4)
            # each try comes a tenth of a second after the one before
            assert 0.3 <= waited <= 2, f"{errno}: {waited:.2f} s"
            daemon.await_line("accepting paused: ")
            daemon.await_line("accepting again after")
            assert daemon.metric("shoutd_accept_pauses_total") == 1
            assert len(daemon.log.splitlines()) <= 8


@lasts(3)
@needs("root", "strace")
def f02_accept_without_memory_waits_twice_as_long_each_time():
    for errno in ("ENOBUFS", "ENOMEM"):
        with Daemon() as daemon, failing(daemon, "acceptor", f"accept4:error={errno}:when=1..3") as failures:
            begun = time.monotonic()
            answers(daemon)
            waited = time.monotonic() - begun
            failures.await_count(3)
            assert 0.65 <= waited <= 3, f"{errno}: {waited:.2f} s, not 0.1 + 0.2 + 0.4"
            daemon.await_line("accepting paused: ")
            assert daemon.metric("shoutd_accept_pauses_total") == 1


@lasts(3)
@needs("root", "strace")
def f03_a_thousand_clients_that_fail_in_a_row_keep_nobody_out_for_long():
    with Daemon() as daemon, failing(daemon, "acceptor", "accept4:error=ECONNABORTED:when=1..1000") as failures:
        begun = time.monotonic()
        answers(daemon)
        waited = time.monotonic() - begun
        failures.await_count(1000)
        assert waited < 3, f"{waited:.1f} s"
        assert daemon.metric("shoutd_accept_errors_total") == 1000
        assert daemon.metric("shoutd_accept_pauses_total") == 0
        assert len(daemon.log.splitlines()) <= 6, daemon.log
        return f"1000 failures cost {waited * 1000:.0f} ms under strace"


@lasts(4)
@needs("root", "strace")
def f03_what_is_the_clients_or_the_networks_fault_is_no_pause():
    for errno in ("EPROTO", "EPERM", "EINTR", "ENETDOWN", "EHOSTUNREACH", "ENOPROTOOPT", "ETIMEDOUT", "EOPNOTSUPP"):
        with Daemon() as daemon, failing(daemon, "acceptor", f"accept4:error={errno}:when=1..20") as failures:
            begun = time.monotonic()
            answers(daemon)
            waited = time.monotonic() - begun
            failures.await_count(20)
            assert waited < 1, f"{errno}: {waited:.1f} s"
            assert daemon.metric("shoutd_accept_errors_total") == 20
            assert daemon.metric("shoutd_accept_pauses_total") == 0
    with Daemon() as daemon, failing(daemon, "acceptor", "accept4:error=EAGAIN:when=1..5") as failures:
        answers(daemon)
        failures.await_count(5)
        assert daemon.metric("shoutd_accept_errors_total") == 0


@lasts(3)
@needs("root", "strace")
def f03_a_firewall_that_refuses_for_ever_does_not_make_it_spin():
    with Daemon() as daemon:
        with failing(daemon, "acceptor", "accept4:error=EPERM:when=1+") as failures:
            clients = [daemon.connect() for _ in range(3)]
            eventually("it tries", lambda: failures.count > 100)
            begun, tried = time.monotonic(), failures.count
            system.pause(1)
            # strace makes each call dear; the number of calls is what counts
            rate = (failures.count - tried) / (time.monotonic() - begun)
            assert rate < 10_000, f"{rate:.0f} tries a second"
        for client in clients:
            exchange(client, b"let in at last")
        return f"{rate:.0f} tries a second"


@needs("root", "strace")
def f04_accept_that_fails_by_a_fault_of_its_own_ends_it_with_70():
    for errno in ("EBADF", "EINVAL", "ENOTSOCK"):
        with Daemon() as daemon:
            daemon.expected.append("the thread acceptor ended: ")
            with failing(daemon, "acceptor", f"accept4:error={errno}:when=1"):
                with contextlib.suppress(OSError), connect(daemon.address) as client:
                    ending(client)
                assert daemon.wait() == 70, errno
            assert re.search("^error: the thread acceptor ended: ", daemon.log, re.M), daemon.log


@needs("root", "strace")
def f59_interrupted_calls_are_done_again():
    faults = ["recvfrom:error=EINTR:when=1+3", "sendto:error=EINTR:when=1+3", "epoll_pwait:error=EINTR:when=2+3"]
    with Daemon(workers=1) as daemon, failing(daemon, "worker-0", *faults) as failures:
        with daemon.connect() as client:
            for nth in range(50):
                exchange(client, b"text %d" % nth)
        answers(daemon)
        closed = daemon.status()["connections"]["closed"]
        daemon.await_closed("client_fin", 6)
        assert failures.count >= 60 and closed["socket_error"] == 0, (failures.count, closed)
        return f"{failures.count} calls interrupted"


@needs("root", "strace")
def f59_the_acceptors_sleep_may_be_interrupted_too():
    # behind each interrupted sleep there is a look without one, so that every second would always be a sleep
    with Daemon() as daemon, failing(daemon, "acceptor", "epoll_pwait:error=EINTR:when=1+3") as failures:
        answers(daemon, 20)
        assert failures.count >= 3, failures.count


@needs("root", "strace")
def f59_nothing_there_after_all_is_waited_for():
    faults = ["recvfrom:error=EAGAIN:when=1+2", "sendto:error=EAGAIN:when=1+2"]
    with Daemon(workers=1) as daemon, failing(daemon, "worker-0", *faults) as failures:
        with daemon.connect() as client:
            for nth in range(50):
                exchange(client, b"text %d" % nth)
        daemon.await_closed("client_fin")
        assert failures.count >= 80, failures.count
        return f"{failures.count} calls in vain"


@needs("root", "strace")
def f59_memory_that_the_kernel_lacks_for_a_moment_costs_no_connection():
    for errno in ("ENOBUFS", "ENOMEM"):
        faults = [f"recvfrom:error={errno}:when=1+4", f"sendto:error={errno}:when=2+4"]
        with Daemon(workers=1) as daemon, failing(daemon, "worker-0", *faults) as failures:
            with daemon.connect() as client:
                for nth in range(20):
                    exchange(client, b"text %d" % nth)
            daemon.await_closed("client_fin")
            assert failures.count >= 10, failures.count


@lasts(3)
@needs("root", "strace")
def f14_calls_that_fail_end_that_connection_and_no_other():
    ends = {
        "recvfrom:error=ECONNRESET": "client_reset",
        "recvfrom:error=ETIMEDOUT": "client_vanished",
        "recvfrom:error=EHOSTUNREACH": "client_vanished",
        "recvfrom:error=EIO": "socket_error",
        "sendto:error=EPIPE": "client_reset",
        "sendto:error=ECONNRESET": "client_reset",
        "sendto:error=EIO": "socket_error",
    }
    for fault, reason in ends.items():
        with Daemon(workers=1) as daemon, daemon.connect() as other:
            exchange(other, b"one")
            with failing(daemon, "worker-0", f"{fault}:when=1") as failures:
                with daemon.connect() as client:
                    client.sendall(b"hello")
                    ending(client)
                failures.await_count(1)
                exchange(other, b"still here")
            daemon.await_closed(reason)


@needs("root", "strace")
def f48_a_connection_that_cannot_be_watched_ends_and_the_others_go_on():
    for errno in ("ENOMEM", "ENOSPC"):
        with Daemon(workers=1) as daemon, failing(daemon, "worker-0", f"epoll_ctl:error={errno}:when=2+3") as failures:
            answered = []
            for _ in range(60):
                with daemon.connect() as client:
                    client.sendall(b"hello")
                    answered.append(ending(client)[1] if len(answered) % 3 == 1 else client.recv(5))
            assert failures.count >= 15 and answered.count(b"HELLO") >= 30, (failures.count, answered)
            daemon.await_open(0)
            assert daemon.closed("socket_error") == failures.count
            daemon.await_line("cannot watch a")


@needs("strace")
def f59_a_thread_that_cannot_be_started_is_one_clear_line():
    for nth in (1, 2, 4, 6):
        inject = f"inject=clone3:error=EAGAIN:when={nth}+"
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3", "-e", inject]
        with Daemon(listens=False, under=strace) as daemon:
            daemon.expected.append("")
            assert daemon.wait() == 71, daemon.log
            assert re.search(r"^error: .*(unavailable|system error)", daemon.log, re.M), daemon.log
