"""The peer of the blog post, in our own words: from a port of its own it connects to another's, says
hello, receives once, sends that back in upper case, close."""

import socket
import sys

own, other = int(sys.argv[1]), int(sys.argv[2])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as peer:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    peer.bind(("localhost", own))
    peer.connect(("localhost", other))
    peer.send("Hello from Peer 1".encode())
    received = peer.recv(1024).decode()
    print(received)
    peer.send(received.upper().encode())
