"""Reloads: under load, of every wrong file, of what needs a restart, of ports that are taken."""

import os
import signal
import socket
import threading
import time

from outside import system
from outside.apart import apart
from outside.daemon import Daemon, taken_port
from outside.wire import ask, connect, eventually, exchange, hear, is_refused

from . import alone


def load(stop, address):
    """Eight who talk all the time and one who comes and goes; gives how many were answered, and what was wrong."""
    wrong, asked = [], [0] * 9

    def stream(nth):
        with connect(address) as client:
            while not stop.is_set():
                client.sendall(b"straight on\n")
                answer = hear(client, 12)
                asked[nth] += 1
                if answer.lower() != b"straight on\n":
                    wrong.append(answer)

    def come_and_go(nth):
        while not stop.is_set():
            answer = ask(address, b"new\n")
            asked[nth] += 1
            if answer.lower() != b"new\n":
                wrong.append(answer)

    def safely(part, nth):
        try:
            part(nth)
        except (OSError, AssertionError) as error:
            wrong.append(repr(error))

    clients = [threading.Thread(target=safely, args=(stream, nth)) for nth in range(8)]
    clients.append(threading.Thread(target=safely, args=(come_and_go, 8)))
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(asked), wrong


@alone
def f29_reloads_under_load_lose_nothing_and_leave_nothing_behind():
    with Daemon(framing="line", transform="uppercase") as daemon:

        def rest():
            return system.descriptors(daemon.pid), len(system.threads(daemon.pid))

        daemon.reload()
        daemon.status()  # whose thread stays for a while
        before = rest()
        with apart(load, daemon.address) as work:
            eventually("it is under load", lambda: daemon.open() >= 8)
            for nth in range(200):
                daemon.configure(transform=("lowercase", "uppercase")[nth % 2], limits={"idle_timeout": f"{nth + 9}s"})
                code, told = daemon.reload()
                assert code == 200, told
                if nth == 50:
                    memory = system.private_kib(daemon.pid)
            grown = system.private_kib(daemon.pid) - memory
        asked, wrong = work.found
        assert not wrong, wrong[:3]
        daemon.await_open(0)
        eventually(
            f"{before} descriptors and threads, as before; now {rest()}",
            lambda: rest()[0] <= before[0] + 2 and rest()[1] <= before[1],
        )
        assert grown < 1024, f"it grew by {grown} KiB"
        assert daemon.status()["config"]["generation"] == 202
        assert daemon.metric("shoutd_reloads_total", result="applied") == 201
        return f"200 reloads beside {asked} answers; it grew by {grown} KiB"


def f30_whatever_is_wrong_with_the_file_the_old_configuration_runs_on():
    with Daemon(limits={"max_connections": 50}) as daemon:
        daemon.expected.append("")  # each is told as an error
        good = open(daemon.file).read()
        certain = daemon.get("/status", control=True)[1]
        wrong = {
            "nothing, as while it is written": "",
            "white space": "\n \n",
            "garbage": "\x00\x01 [[[",
            "cut": good[: len(good) // 2],
            "an unknown key": good + "transfrom = 1\n",
            "a wrong type": good.replace('"127.0.0.1:0"', "5000", 1),
            "a value out of range": good + "workers = 0\n",
            "a contradiction": good.replace("limits = {", "framing = 'stream'\ntransform = 'reverse'\nlimits = {"),
            "an unknown step": good + "transform = 'uperrcase'\n",
            "no UTF-8": good + "# \udcff\n",
            "a table that is a value": good + "log = 'info'\n",
            "a bad range of addresses": good.replace("limits = {", "limits = { allow = ['300.0.0.0/8'],"),
            "100 MiB": "#" * (100 << 20),
        }
        refused = 0
        with daemon.connect() as client:
            for what, text in wrong.items():
                daemon.configure(text=text)
                code, told = daemon.reload()
                refused += 1
                assert code == 409, f"{what}: {code} {told}"
                exchange(client, b"still here")
                assert daemon.metric("shoutd_config_stale") == 1, what
            os.remove(daemon.file)
            assert daemon.reload()[0] == 409, "a file that is gone"
            os.mkdir(daemon.file)
            assert daemon.reload()[0] == 409, "a folder"
            os.rmdir(daemon.file)
            refused += 2
            assert daemon.ask(b"hello") == b"HELLO"
            assert daemon.metric("shoutd_reloads_total", result="refused") == refused
            assert daemon.metric("shoutd_config_generation") == 1 and '"generation":1' in certain
            assert daemon.count("reload refused; the configuration of before runs on") == refused
            assert daemon.count(f"{daemon.file}:") >= len(wrong) - 4, "with file, line and column"
            daemon.configure(text=good)
            assert daemon.reload()[0] == 200
            assert daemon.metric("shoutd_config_stale") == 0
        return f"{refused} files refused"


def f31_what_needs_a_restart_is_told_and_all_else_applied():
    with Daemon(workers=1) as daemon:
        daemon.configure(workers=3, transform="lowercase")
        code, told = daemon.reload()
        assert code == 200, told
        assert daemon.ask(b"HELLO") == b"hello"
        assert daemon.status()["config"]["restart_pending"] == ["workers"]
        assert daemon.metric("shoutd_config_restart_pending") == 1
        assert len(daemon.status()["workers"]) == 1
        daemon.await_line("workers.*restart")
        assert '"needs restart"' in str(told).replace("'", '"'), told


def f32_a_new_listener_whose_port_is_taken_changes_nothing():
    held, taken = taken_port()
    with held, Daemon() as daemon:
        daemon.expected.append("")
        old = daemon.address
        daemon.configure(listen=["127.0.0.1:0", taken], transform="lowercase")
        code, told = daemon.reload()
        assert code == 409 and "another process listens there" in str(told), told
        assert daemon.ask(b"hello") == b"HELLO", "all or nothing"
        assert daemon.status()["listeners"][0]["addresses"] == ["%s:%d" % old]
        daemon.await_line(f"cannot listen on {taken}: another process listens there")
        held.close()
        assert daemon.reload()[0] == 200
        with connect(("127.0.0.1", int(taken.rpartition(":")[2]))) as client:
            exchange(client, b"HELLO", b"hello")


def f32_who_is_connected_at_a_port_that_goes_talks_on():
    with Daemon() as daemon:
        old = daemon.address
        with daemon.connect() as client:
            exchange(client, b"hello")
            spare = socket.create_server(("127.0.0.1", 0))
            port = spare.getsockname()[1]
            spare.close()
            daemon.configure(listen=f"127.0.0.1:{port}")
            assert daemon.reload()[0] == 200
            exchange(client, b"still here")
            assert is_refused(old)
            with connect(("127.0.0.1", port)) as new:
                exchange(new, b"new")


def f62_a_hundred_hangups_at_once_end_with_the_last_file():
    with Daemon() as daemon:
        begun = time.monotonic()
        for nth in range(100):
            daemon.configure(limits={"idle_timeout": f"{nth + 1}s"}, transform=("lowercase", "uppercase")[nth % 2])
            daemon.signal(signal.SIGHUP)
        daemon.configure(transform="rot13")
        daemon.signal(signal.SIGHUP)
        eventually("the last file is in effect", lambda: daemon.ask(b"hello") == b"uryyb")
        generation = daemon.status()["config"]["generation"]
        return f"{generation - 1} reloads for 101 signals, within {time.monotonic() - begun:.1f} s"
