"""Notes when each dial to a port arrives at a network device, refused or not, until it is told to end (SIGTERM);
then says how many there were, and how many in the 100 ms in which they were the most.
Usage: dials.py DEVICE PORT"""

import signal
import socket
import struct
import sys

device, port = sys.argv[1], int(sys.argv[2])
ETH_P_IP, TCP, SYN, ACK = 0x0800, 6, 0x02, 0x10
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
WINDOW = 0.1

packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
# room for what a thousand links say at once when they end
packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
# the kernel's own times, whatever keeps this from looking
packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
packets.bind((device, ETH_P_IP))
packets.settimeout(0.2)
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print("watching", flush=True)

times, seen = [], set()
while True:
    try:
        packet, stamps, _, (_, _, kind, _, _) = packets.recvmsg(128, 128)
    except TimeoutError:
        if ended:
            break
        continue
    head = (packet[0] & 15) * 4
    if kind == socket.PACKET_OUTGOING or packet[9] != TCP or len(packet) < head + 20:
        continue
    if int.from_bytes(packet[head + 2 : head + 4], "big") != port or packet[head + 13] & (SYN | ACK) != SYN:
        continue
    # where the rest of an old connection is in the way, the kernel sends the same one twice
    dial = packet[12:20] + packet[head : head + 2] + packet[head + 4 : head + 8]
    if dial not in seen:
        seen.add(dial)
        seconds, nanoseconds = struct.unpack("qq", stamps[0][2])
        times.append(seconds + nanoseconds / 1e9)

most, first = 0, 0
for last, when in enumerate(times):
    while when - times[first] > WINDOW:
        first += 1
    most = max(most, last - first + 1)
print(len(times), most)
