"""The blog's server, kept open and with a thread for each client: `python3 threads.py PORT`.

The blog's makes a text of each read, and so ends where a read cuts a character; this one waits for its rest."""

import codecs
import contextlib
import socket
import sys
import threading


def serve(client):
    decoder = codecs.getincrementaldecoder("utf-8")()
    with client, contextlib.suppress(ConnectionError):
        while received := client.recv(1024):
            client.sendall(decoder.decode(received).upper().encode())


with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as server:
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()
