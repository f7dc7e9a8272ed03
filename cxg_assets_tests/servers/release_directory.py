"""The directory of the public Census on this machine, under its own name, and the manifest of hosted embeddings under
theirs: an HTTPS server and the proxy to it.

Clients keep their URLs. They are told of the proxy and of the certificate by environment variables.
"""

import contextlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

HOST = "census.cellxgene.cziscience.com"
FOLDER = "/cellxgene-census/v1/"
EMBEDDINGS_HOST = "contrib.cellxgene.cziscience.com"
EMBEDDINGS_FOLDER = "/contrib/cell-census/"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says instead of a file.

    Attributes:
        status: HTTP status.
        body: Whatever it sends.
        lacks: So many bytes are announced beyond the body, and do not come.
        retry_after: The header of this name, in seconds.
        hang_up: Send nothing and close the connection.
        never: Send nothing until the server ends.
    """

    status: int = 200
    body: bytes = b""
    lacks: int = 0
    retry_after: str = ""
    hang_up: bool = False
    never: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request to the directory.

    Attributes:
        path: Path of the URL.
        user_agent: Who asked.
    """

    path: str
    user_agent: str


@dataclass(frozen=True, kw_only=True)
class ReleaseDirectory:
    """The directory. Everything in it may be changed between requests.

    Attributes:
        files: What is served, by name: `release.json`, `mirrors.json`, and `contributions.json` in another folder.
        answers: The next answers in place of a file, by its name; each is given once.
        asked: All requests.
        refused: Hosts and URLs that somebody asked the proxy for in vain.
    """

    files: dict[str, dict[str, Any]]
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve_directory(directory: ReleaseDirectory, folder: Path) -> Iterator[dict[str, str]]:
    """Serves a directory; gives the environment variables that a client needs to see it.

    Args:
        directory: The directory.
        folder: For the certificates.
    """
    authority = trustme.CA()
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, EMBEDDINGS_HOST).configure_cert(context)
    with contextlib.ExitStack() as stack:
        files = _FileServer(directory, context)
        stack.enter_context(_running(files))
        stack.callback(files.ending.set)
        proxy = _Proxy(directory, files.server_port)
        stack.enter_context(_running(proxy))
        url, direct = f"http://127.0.0.1:{proxy.server_port}", "127.0.0.1,localhost"
        variables = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": direct}
        # Python's clients read both forms, and prefer lower case.
        yield {
            **variables,
            **{name.lower(): value for name, value in variables.items()},
            "REQUESTS_CA_BUNDLE": str(bundle),
        }


@contextlib.contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a client that does not trust the certificate hangs up, and so does a test that ends."""


class _QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a test looks at `ReleaseDirectory.asked`."""


class _FileServer(_QuietServer):
    def __init__(self, directory: ReleaseDirectory, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _FileHandler)
        self.directory = directory
        self.ending = threading.Event()
        # The handshake is made by the thread of the connection; here it would hold up all others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _FileHandler(_QuietHandler):
    protocol_version = "HTTP/1.1"
    server: _FileServer

    def do_GET(self) -> None:
        directory = self.server.directory
        directory.asked.append(Asked(path=self.path, user_agent=self.headers.get("User-Agent", "")))
        folder, _, file = self.path.rpartition("/")
        is_there = folder + "/" == (EMBEDDINGS_FOLDER if file == "contributions.json" else FOLDER)
        if not is_there or file not in directory.files:
            answer = Answer(status=404)
        elif directory.answers.get(file):
            answer = directory.answers[file].pop(0)
        else:
            answer = Answer(body=json.dumps(directory.files[file]).encode())
        if answer.never:
            self.server.ending.wait()
        if answer.never or answer.hang_up:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body) + answer.lacks))
        if answer.retry_after:
            self.send_header("Retry-After", answer.retry_after)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or answer.lacks > 0


class _Proxy(_QuietServer):
    def __init__(self, directory: ReleaseDirectory, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.directory = directory
        self.port = port


class _ProxyHandler(_QuietHandler):
    server: _Proxy

    def do_CONNECT(self) -> None:
        if self.path not in (f"{HOST}:443", f"{EMBEDDINGS_HOST}:443"):
            self._refuse()
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as behind:
            self.send_response(200)
            self.end_headers()
            _relay(self.connection, behind)
        self.close_connection = True

    def _refuse(self) -> None:
        self.server.directory.refused.append(self.path)
        self.send_error(403)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _refuse  # noqa: N815 - the server finds them by these names


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Carries bytes both ways until one side ends."""
    to = {one: other, other: one}
    while True:
        for ready in select.select(list(to), [], [])[0]:
            data = ready.recv(65_536)
            if not data:
                return
            to[ready].sendall(data)
