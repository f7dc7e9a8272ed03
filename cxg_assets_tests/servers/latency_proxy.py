"""A proxy that holds every request for some milliseconds before it passes it on, and counts requests by method.

It reads no more of HTTP than where a request begins and ends; answers pass through as they are. Requests on different
connections wait side by side, as they would on a long line; bandwidth is not limited.
"""

import argparse
import asyncio
import contextlib
from pathlib import Path

from cxg_assets_tests.servers.counts import RequestCounts

CHUNK_BYTES = 2**18


class LatencyProxy:
    """Passes requests on to one server."""

    def __init__(self, upstream_port: int, latency_seconds: float, counts: RequestCounts) -> None:
        self._upstream_port = upstream_port
        self._latency_seconds = latency_seconds
        self._counts = counts

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one client connection over one connection of its own."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            upstream_reader, upstream_writer = await asyncio.open_connection(
                "127.0.0.1", self._upstream_port, limit=CHUNK_BYTES
            )
            answers = asyncio.create_task(_copy(upstream_reader, writer))
            try:
                while True:
                    await self._pass_request(reader, upstream_writer)
            finally:
                upstream_writer.close()
                with contextlib.suppress(ConnectionError):
                    await answers
        writer.close()

    async def _pass_request(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self._counts.add(method, target)
        left = _content_length(head)
        await asyncio.sleep(self._latency_seconds)
        upstream.write(head)
        while left:
            part = await reader.read(min(left, CHUNK_BYTES))
            if not part:
                raise ConnectionError("the client left in the middle of a request")
            left -= len(part)
            upstream.write(part)
            await upstream.drain()
        await upstream.drain()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"transfer-encoding:"):
            raise ConnectionError("a body without Content-Length is not supported")
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(CHUNK_BYTES):
        writer.write(part)
        await writer.drain()
    writer.close()


async def serve(upstream_port: int, latency_seconds: float, port_file: Path, counts_file: Path) -> None:
    """Serves for ever; writes its port when it listens."""
    counts = RequestCounts(counts_file)
    proxy = LatencyProxy(upstream_port, latency_seconds, counts)
    server = await asyncio.start_server(proxy.connect, "127.0.0.1", 0, limit=CHUNK_BYTES)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await counts.write_for_ever()


def main() -> None:
    """Runs the proxy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream-port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=30.0)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--counts-file", type=Path, required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.upstream_port, options.latency_ms / 1_000, options.port_file, options.counts_file))


if __name__ == "__main__":
    main()
