"""The servers that are compared, of which most stand in tests/outside/servers.py, as the bench has them, too."""

import sys

from outside.servers import ROOT, Haproxy, Ncat, Nginx, Server, Shoutd, Socat, Tokio, Xinetd

__all__ = ["ALL", "ROOT"]
THREADS = '''
import socket, sys, threading

def serve(client):
    with client:
        while data := client.recv(8192):
            client.sendall(data)

server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=(client,)).start()
'''


class TokioUpper(Tokio):
    name = "tokio, upper"
    mode = "upper"
    upper = True


class Threads(Server):
    name = "Python threads"
    crowd = 2000

    def command(self):
        return [sys.executable, self.file("threads.py", THREADS), str(self.port)]

    def version(self):
        return sys.version.split()[0]


ALL = [Shoutd, Tokio, TokioUpper, Threads, Socat, Ncat, Xinetd, Haproxy, Nginx]
