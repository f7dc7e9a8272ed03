"""A proxy between an S3 client and an HTTP server that hurts some of the requests, as a bad line or a busy S3 would.

`faults.py` says which faults there are, and has the client that starts this. The proxy reads no more of HTTP than where
requests and answers begin and end, so that it can hurt one answer of a connection that is kept alive. It holds each
message whole before it passes it on.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import time
from typing import Any

from cxg_assets_tests.servers.answer_gate import Gate
from cxg_assets_tests.servers.faults import ANSWER_BODY_FAULTS, FAULTS, REFUSALS, REQUEST_BODY_FAULTS, Faults

HEAD_BYTES = 2**18

_ERRORS = {
    "slow_down": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "denied": ("403 Forbidden", "AccessDenied", "Access Denied"),
}
"""Status line, code and message of the errors that the proxy answers itself."""


class Proxy:
    """Passes requests on to one server, and does what `faults` says to them."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        # Bound for good, but never listening: nobody else gets the port while an outage has closed the other socket.
        self._port_holder = _bound_socket(0)
        self.port: int = self._port_holder.getsockname()[1]
        self._listening: asyncio.Server | None = None
        self._timer: asyncio.Task[None] | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self.gate = Gate()
        self.set(Faults())
        self.forget()

    def set(self, faults: Faults) -> None:
        """Sets what is done from now on."""
        self._faults = faults
        self._random = random.Random(faults.seed)
        self._left = faults.limit

    def forget(self) -> None:
        """Begins to count anew."""
        self._exchanges: list[tuple[float, str, str, str]] = []
        self._began = time.monotonic()

    def exchanges(self) -> list[tuple[float, str, str, str]]:
        """The fields of each `Exchange`."""
        return self._exchanges

    async def begin_outage(self, seconds: float | None) -> None:
        """Cuts all connections and refuses new ones, for some seconds or until `end_outage`."""
        self._stop_timer()
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for client in self._clients:
            _reset(client)
        if seconds is not None:
            self._timer = asyncio.create_task(self._listen_later(seconds))

    async def end_outage(self) -> None:
        """Listens; also for the first time."""
        self._stop_timer()
        await self._listen()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _listen_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(
                self._connect, sock=_bound_socket(self.port), limit=HEAD_BYTES, backlog=1_000
            )

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one client connection."""
        self._clients.add(writer)
        writer.transport.set_write_buffer_limits(0)  # `drain` returns when all is sent: a reset drops what is not
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Passes one request on and its answer back; whether the connection can be used again."""
        head = await reader.readuntil(b"\r\n\r\n")
        fields = _fields(head)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        length = int(fields.get("content-length", 0))
        fault = self._choose(method, target, length)
        self._exchanges.append((time.monotonic() - self._began, method, target, fault))
        if "expect" in fields:  # answered here, so that a whole request goes before its answer
            head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
            await _send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault == "reset_request":
            await reader.readexactly(length // 2)
            _reset(writer)
            return False
        body = await _read_body(reader, fields)
        if fault in ("slow_down", "denied"):
            await _send(writer, _error(method, *_ERRORS[fault]))
            return True
        if fault == "corrupt":
            body = _with_wrong_byte(body)
        answer_head, answer_body = await self._ask(method, head + body)
        await self.gate.pass_through(method, target, reader)
        if fault == "lost_answer":
            return False
        return await self._answer(writer, answer_head, answer_body, fault)

    async def _answer(self, writer: asyncio.StreamWriter, head: bytes, body: bytes, fault: str) -> bool:
        """Sends an answer or a part of it; whether the connection can be used again."""
        answer = head + body
        half = len(head) + len(body) // 2 if body else len(head) // 2
        if fault == "truncate":
            await _send(writer, answer[:half])
            return False
        if fault == "reset":
            await _send(writer, answer[:half])
            _reset(writer)
            return False
        if fault == "stall":
            await _send(writer, answer[:half])
            await asyncio.sleep(self._faults.stall_seconds)
            answer = answer[half:]
        await _send(writer, answer)
        return head.startswith(b"HTTP/1.1") and _fields(head).get("connection") != "close"

    async def _ask(self, method: str, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the server's answer."""
        # A connection for each request: the server may close an idle one at the moment when it is used again.
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=HEAD_BYTES)
        try:
            await _send(writer, request)
            head = await reader.readuntil(b"\r\n\r\n")
            if method == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304"):
                return head, b""
            return head, await _read_body(reader, _fields(head), or_to_end=True)
        finally:
            writer.close()

    def _choose(self, method: str, target: str, length: int) -> str:
        """The fault of a request, or ""."""
        faults = self._faults
        if self._left == 0 or faults.path not in target or (faults.methods and method not in faults.methods):
            return ""
        draw = self._random.random()
        for fault in (*FAULTS, *REFUSALS):
            if fault in REQUEST_BODY_FAULTS and (method != "PUT" or not length):
                continue
            if fault in ANSWER_BODY_FAULTS and method not in ("GET", "POST"):
                continue
            rate = faults.rates.get(fault, 0.0)
            if draw < rate:
                if self._left is not None:
                    self._left -= 1
                return fault
            draw -= rate
        return ""


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _fields(head: bytes) -> dict[str, str]:
    """The fields of a head, all in lower case."""
    lines = head.decode("latin-1").lower().split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _read_body(reader: asyncio.StreamReader, fields: dict[str, str], *, or_to_end: bool = False) -> bytes:
    """The body as it is on the wire.

    Args:
        reader: Has read the head.
        fields: Of the head.
        or_to_end: Without a length, the body goes on to the end of the connection; otherwise there is none.
    """
    if "chunked" in fields.get("transfer-encoding", ""):
        return await _read_chunks(reader)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    return await reader.read() if or_to_end else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    wire = bytearray()
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        wire += line
        if size:
            wire += await reader.readexactly(size + 2)
    while not wire.endswith(b"\r\n\r\n"):  # trailers, each a line, up to an empty one
        wire += await reader.readuntil(b"\r\n")
    return bytes(wire)


def _error(method: str, status: str, code: str, message: str) -> bytes:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}</Message><RequestId>0</RequestId></Error>"
    )
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head if method == "HEAD" else head + body).encode()


def _with_wrong_byte(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


async def serve(upstream_port: int) -> None:
    """Serves until stdin ends; says its port when it listens, and answers each command."""
    proxy = Proxy(upstream_port)
    await proxy.end_outage()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(proxy.port, flush=True)
    while line := await commands.readline():
        print(json.dumps(await _obey(proxy, *json.loads(line))), flush=True)


async def _obey(proxy: Proxy, command: str, argument: Any) -> Any:
    match command:
        case "set":
            proxy.set(Faults(**argument))
        case "begin_outage":
            await proxy.begin_outage(argument)
        case "end_outage":
            await proxy.end_outage()
        case "hold":
            proxy.gate.hold(**argument)
        case "let_one_pass":
            proxy.gate.let_one_pass()
        case "open":
            proxy.gate.open()
        case "exchanges":
            return proxy.exchanges()
        case "forget":
            proxy.forget()
    return None


def main() -> None:
    """Runs the proxy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream-port", type=int, required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.upstream_port))


if __name__ == "__main__":
    main()
