#!/usr/bin/env python3
"""A slow or lossy link in front of a server: a TCP proxy on 127.0.0.1.

    link.py PORT HOST:PORT --round-trip-ms 50 --mbit 100
    link.py PORT HOST:PORT --stall-percent 1 --cut-mib 16

All connections share one line in each direction. A piece of data leaves when the line is free and arrives half a
round trip later; a new connection costs one round trip more, as its handshake does. What a lost packet does to a
stream is a pause: one piece in a hundred comes 200 ms late, and what follows it too. A connection that is cut is
reset, on average after so many MiB. The same seed gives the same link.
"""
import argparse
import asyncio
import contextlib
import random
import socket
import struct
import subprocess
import sys

from registry import free_port, wait_for

PIECE_BYTES = 16 << 10
PIECES_UNDER_WAY = 128
STALL_S = 0.2


class Line:
    """One direction of the link, shared by all connections."""

    def __init__(self, bytes_per_s):
        self.bytes_per_s, self.free_at = bytes_per_s, 0.0

    def leaves_at(self, count, now):
        start = max(now, self.free_at)
        self.free_at = start + (count / self.bytes_per_s if self.bytes_per_s else 0)
        return self.free_at


class Link:
    def __init__(self, args):
        self.args, self.random = args, random.Random(args.seed)
        bytes_per_s = args.mbit * 1e6 / 8
        self.up, self.down = Line(bytes_per_s), Line(bytes_per_s)
        self.half_trip_s = args.round_trip_ms / 2000

    async def serve(self, reader, writer):
        host, port = self.args.to.split(":")
        away_reader, away_writer = await asyncio.open_connection(host, int(port))
        cut = self.random.expovariate(1 / (self.args.cut_mib * (1 << 20))) if self.args.cut_mib else float("inf")
        await asyncio.gather(
            self.carry(reader, away_writer, self.up, 2 * self.half_trip_s, float("inf")),
            self.carry(away_reader, writer, self.down, 0, cut))

    async def carry(self, reader, writer, line, handshake_s, cut_bytes):
        """Carries one direction of a connection, up to where it is cut."""
        pieces = asyncio.Queue(PIECES_UNDER_WAY)
        loop = asyncio.get_running_loop()
        arriving = asyncio.create_task(self.arrive(pieces, writer))
        came, late = 0, loop.time() + handshake_s
        with contextlib.suppress(ConnectionError):
            while (data := await reader.read(PIECE_BYTES)) and came < cut_bytes:
                came += len(data)
                if self.random.random() * 100 < self.args.stall_percent:
                    late = loop.time() + STALL_S
                arrives_at = max(line.leaves_at(len(data), loop.time()), late) + self.half_trip_s
                await pieces.put((arrives_at, data))
        await pieces.put((0, None if came < cut_bytes else b""))
        await arriving

    async def arrive(self, pieces, writer):
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while True:
                arrives_at, data = await pieces.get()
                await asyncio.sleep(max(0, arrives_at - loop.time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            if data == b"":
                reset = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                writer.transport.abort()
            writer.close()
        # So that a sender who is not heard any more does not wait for ever.
        while data:
            _, data = await pieces.get()


@contextlib.contextmanager
def link(to, *options):
    """A link to the registry at `to`, in a process of its own, as `host:port`."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, str(port), to, *options], stderr=subprocess.DEVNULL)
    try:
        wait_for(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("to")
    parser.add_argument("--round-trip-ms", type=float, default=0)
    parser.add_argument("--mbit", type=float, default=0, help="in each direction; 0: as fast as it goes")
    parser.add_argument("--stall-percent", type=float, default=0)
    parser.add_argument("--cut-mib", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    server = await asyncio.start_server(Link(args).serve, "127.0.0.1", args.port, limit=64 << 10)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
