"""The blog's server, kept open and with a thread for each client: `python3 threads.py PORT`.

As the blog's, it makes a text of each read: a character that is cut by one ends the connection."""

import contextlib
import socket
import sys
import threading


def serve(client):
    with client, contextlib.suppress(ConnectionError):
        while received := client.recv(1024):
            client.sendall(received.decode().upper().encode())


with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as server:
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()
