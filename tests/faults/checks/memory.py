"""What clients can make the daemon and the kernel hold."""

from outside import system
from outside.daemon import Daemon
from outside.wire import exchange

from . import alone, lasts, needs

MIB = 1024


def push(client, block):
    """All that goes in without waiting."""
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(block)
    except BlockingIOError:
        return sent


def settle(clients, block=b"x" * 65536):
    """Pushes until nothing more goes into any of them."""
    total, before = 0, -1
    while total != before:
        before = total
        total += sum(push(client, block) for client in clients)
        system.pause(0.3)
    return total


@alone
@needs("ss")
def f15_two_hundred_clients_that_never_read_hold_little_memory():
    with Daemon() as daemon:
        with daemon.connect() as other:
            exchange(other, b"warm")
            before = system.private_kib(daemon.pid)
            # their own buffers are small, so that it is the daemon's that fill
            stuck = [daemon.connect(receive_buffer=4096) for _ in range(200)]
            settle(stuck)
            grown = (system.private_kib(daemon.pid) - before) / MIB
            kernel = system.kernel_kib(daemon.port) / MIB
            exchange(other, b"still quick")
            assert grown <= 24, f"the process grew by {grown:.1f} MiB"
            assert kernel <= 200, f"the kernel holds {kernel:.0f} MiB for its sockets"
            for client in stuck:
                client.close()
            daemon.await_open(1)
            kept = (system.private_kib(daemon.pid) - before) / MIB
            assert kept <= 16, f"it keeps {kept:.1f} MiB of that"
        return f"the process grew by {grown:.1f} MiB, the kernel holds {kernel:.0f} MiB"


@alone
def f24_what_grows_in_upper_case_is_held_for_one_read_only():
    with Daemon(workers=1) as daemon:
        with daemon.connect() as other:
            exchange(other, b"warm")
            before = system.private_kib(daemon.pid)
            stuck = [daemon.connect(receive_buffer=4096) for _ in range(50)]
            taken = settle(stuck, ("\u0390" * 30_000).encode())
            exchange(other, b"still quick")
            grown = system.private_kib(daemon.pid) - before
            # three times a read of 64 KiB, in a buffer that may have doubled
            assert grown <= 50 * 64 * 3 * 2, f"50 clients cost {grown} KiB"
            for client in stuck:
                client.close()
        return f"{taken >> 20} MiB were taken of 50 that do not read; they cost {grown} KiB"


@alone
@lasts(3)
def f58_an_idle_client_costs_little():
    system.allow_files()
    with Daemon() as daemon:
        warm = [daemon.connect() for _ in range(100)]
        for client in warm:
            exchange(client, b"warm")
        before = system.private_kib(daemon.pid)
        crowd = []
        for _ in range(5000):
            client = daemon.connect()
            exchange(client, b"hello")
            crowd.append(client)
        each = (system.private_kib(daemon.pid) - before) * 1024 / 5000
        assert each <= 1024, f"{each:.0f} bytes for each"
        return f"{each:.0f} bytes for each of 5000"
