"""The server that the manual of Python's asyncio has: `python3 asyncio_streams.py PORT`.

As the blog's, it makes a text of each read: a character that is cut by one ends the connection."""

import asyncio
import contextlib
import sys


async def serve(reader, writer):
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while received := await reader.read(64 * 1024):
            writer.write(received.decode().upper().encode())
            await writer.drain()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    async with server:
        await server.serve_forever()


asyncio.run(main())
