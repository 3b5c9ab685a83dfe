"""The server of the blog post, in our own words: one client, one message, which it sends back in upper
case, close."""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("localhost", int(sys.argv[1])))
    server.listen()
    client, address = server.accept()
    with client:
        received = client.recv(1024).decode()
        print(f"{received} from port {address[1]}")
        client.send(received.upper().encode())
