"""Starts that cannot be, and sockets that others opened for the daemon."""

import os
import signal
import socket
import stat
import subprocess
import time

from outside import system
from outside.daemon import PROGRAM, Daemon, taken_port
from outside.wire import ask, connect, eventually, exchange

from . import needs


def fails(code, *texts, **how):
    """Starts it in vain: it ends at once with this code, and one clear line that has these texts in it."""
    begun = time.monotonic()
    with Daemon(listens=False, **how) as daemon:
        daemon.expected.append("")
        ended = daemon.wait()
        took = time.monotonic() - begun
        log = daemon.log
    assert ended == code, f"it ended with {ended}:\n{log}"
    assert took < 1, f"after {took:.1f} s"
    for text in texts:
        assert text in log, f"{text!r} is not in\n{log}"
    for raw in ("os error", "panicked", "Os {", "RUST_BACKTRACE"):
        assert raw not in log, log
    return [line for line in log.splitlines() if line.startswith("error: ")]


def f33_a_start_that_cannot_be_is_one_clear_line_and_a_code():
    held, taken = taken_port()
    with held:
        lines = fails(71, f"cannot listen on {taken}: another process listens there", listen=taken)
        assert len(lines) == 1, lines
        fails(71, "this host has no such address", listen="192.0.2.1:5000")
        fails(78, "did you mean `uppercase`", transform="upercase")
        fails(78, ":1:3: ", text="[[[")
        fails(78, "max_connections", under=["sh", "-c", 'ulimit -n 500 && exec "$0" "$@"'], limits={"max_connections": 1000})
        fails(78, "127.0.0.1:99999", listen="127.0.0.1:99999")
        # two of its own at one address
        both = [{"name": name, "listen": "127.0.0.1:5999"} for name in ("a", "b")]
        fails(78, "127.0.0.1:5999", listener=both)


@needs("root", "setpriv")
def f33_who_may_not_have_a_low_port_is_told_the_cure():
    with Daemon(listens=False, listen="127.0.0.1:81", text=None, under=["true"]) as prepared:
        prepared.wait()
        os.chmod(prepared.folder.name, 0o755)
        program = os.path.join(prepared.folder.name, "shoutd")
        subprocess.run(["cp", PROGRAM, program], check=True)
        os.chmod(program, os.stat(program).st_mode | stat.S_IXOTH)
        under = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", program, "-c"]
        tried = subprocess.run([*under, prepared.file], capture_output=True, text=True, timeout=5)
        assert tried.returncode == 77, tried
        assert "for ports below 1024 let systemd listen" in tried.stderr, tried.stderr


def f33_a_second_daemon_on_the_same_port_is_refused_and_the_first_serves_on():
    with Daemon() as first:
        fails(71, "another process listens there", listen="127.0.0.1:%d" % first.port)
        assert first.ask(b"hello") == b"HELLO"


def activated(socket_or_file, config=None, pid="$$", names="default", count=1):
    """Starts it as systemd does, with an open file as descriptor 3."""
    descriptor = socket_or_file.fileno()
    os.set_inheritable(descriptor, True)
    script = f'exec 3<&{descriptor}; LISTEN_PID={pid} LISTEN_FDS={count} LISTEN_FDNAMES={names} exec "$0" "$@"'
    return {"under": ["bash", "-c", script], "pass_fds": [descriptor], **(config or {})}


def f61_a_socket_that_was_passed_is_used_and_not_bound_again():
    with socket.create_server(("127.0.0.1", 0)) as passed:
        address = passed.getsockname()
        with Daemon(listen="127.0.0.1:1", **activated(passed)) as daemon:
            assert daemon.addresses == [address]
            assert ask(address, b"hello") == b"HELLO"
            daemon.await_line("which was passed, and not on 127.0.0.1:1")


def f61_what_was_passed_and_is_no_use_is_told_by_its_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as passed:
        fails(78, "named `defualt`", **activated(passed, names="defualt"))
        # for another process: not for this one, which listens by itself
        with Daemon(**activated(passed, pid="1")) as daemon:
            assert daemon.address != passed.getsockname()
            assert daemon.ask(b"hello") == b"HELLO"
    with open("/dev/null") as no_socket:
        fails(78, "3", **activated(no_socket))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        fails(78, "3", **activated(datagrams))


def f08_a_v4_client_of_a_socket_for_both_families_is_known_by_its_v4_address():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as passed:
        port = passed.getsockname()[1]
        with Daemon(listen="127.0.0.1:1", **activated(passed)) as daemon:
            with connect(("127.0.0.1", port)) as client:
                exchange(client, b"hello")
                known = [{"source": "127.0.0.1", "open": 1}]
                eventually("it is known", lambda: daemon.status()["sources"] == known)


@needs("strace")
def f57_no_other_program_is_ever_run():
    trace = ["strace", "-f", "-qq", "-e", "trace=execve,execveat,fork,vfork", "-o"]
    with Daemon(under=[*trace, "/dev/stderr"], framing="line", transform=["trim", "uppercase"]) as daemon:
        with daemon.connect() as client:
            for text in (b"$(id)\n", b"`id`\n", b"; id\n", b"| id\n", b"\x00id\n"):
                exchange(client, text)
        daemon.configure(transform="lowercase")
        assert daemon.reload()[0] == 200
        daemon.ask(b"HELLO\n")
        daemon.get("/;id")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        calls = [line for line in daemon.log.splitlines() if "exec" in line and "(" in line and "INFO" not in line]
        assert len(calls) == 1 and "shoutd" in calls[0], calls


def f38_the_watchdog_is_fed_only_while_every_thread_turns():
    if not system.is_root():
        return "not without root: no thread can be stalled"
    path = f"/tmp/shoutd-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(path)
        try:
            notices.settimeout(5)
            with Daemon(workers=2, environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}) as daemon:

                def next_beat(within):
                    notices.settimeout(within)
                    try:
                        while not notices.recv(1000).startswith(b"WATCHDOG=1"):
                            pass
                        return True
                    except TimeoutError:
                        return False

                assert all(next_beat(1) for _ in range(5)), "it is fed"
                with system.stalled(system.thread(daemon.pid, "worker-1")):
                    # what was under way when it stalled may still come
                    eventually("it is not fed", lambda: not next_beat(0.5), 4)
                    daemon.await_line("the thread worker-1 does not answer; the watchdog is not fed until it does")
                assert next_beat(2), "it is fed again"
                daemon.await_line("the thread worker-1 answers again, after ")
        finally:
            os.unlink(path)
