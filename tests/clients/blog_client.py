"""The client of the blog post, in our own words: connect, send, receive once, close."""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
    client.connect(("localhost", int(sys.argv[1])))
    client.send("hello".encode())
    print(client.recv(1024).decode())
