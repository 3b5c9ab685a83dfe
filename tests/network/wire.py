"""A wire between two network namespaces on which each packet takes its time, for kernels that have no
netem. Usage: wire.py SECONDS NAMESPACE NAMESPACE; both ends are called `wire`, and last as long as this."""

import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def end(namespace):
    """A device in the namespace, as the file that its packets come from and go to."""
    with open(f"/run/netns/{namespace}") as entrance:
        if libc.setns(entrance.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), f"no way into {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    return tun


delay = float(sys.argv[1])
ends = [end(namespace) for namespace in sys.argv[2:4]]
under_way = collections.deque()
print("there", flush=True)
while True:
    wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
    for tun in select.select(ends, [], [], wait)[0]:
        try:
            packet = os.read(tun, 65536)
        except OSError:
            continue  # it is not up yet
        under_way.append((time.monotonic() + delay, ends[1 - ends.index(tun)], packet))
    while under_way and under_way[0][0] <= time.monotonic():
        _, tun, packet = under_way.popleft()
        try:
            os.write(tun, packet)
        except OSError:
            pass  # lost, as packets are
