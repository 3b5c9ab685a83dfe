"""Writes down when each dial to a port arrives at a network device, refused or not, until it is told to end
(SIGTERM); then says how many there were, and how many in the 100 ms in which they were the most.
Usage: dials.py DEVICE PORT"""

import signal
import socket
import sys
import time

device, port = sys.argv[1], int(sys.argv[2])
ETH_P_IP, TCP, SYN, ACK = 0x0800, 6, 0x02, 0x10
WINDOW = 0.1
times = []


def end(*_):
    most, first = 0, 0
    for last, when in enumerate(times):
        while when - times[first] > WINDOW:
            first += 1
        most = max(most, last - first + 1)
    print(len(times), most)
    sys.exit(0)


packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
packets.bind((device, ETH_P_IP))
signal.signal(signal.SIGTERM, end)
print("watching", flush=True)
while True:
    packet, (_, _, kind, _, _) = packets.recvfrom(128)
    head = (packet[0] & 15) * 4
    if kind == socket.PACKET_OUTGOING or packet[9] != TCP or len(packet) < head + 20:
        continue
    if int.from_bytes(packet[head + 2 : head + 4], "big") == port and packet[head + 13] & (SYN | ACK) == SYN:
        times.append(time.monotonic())
