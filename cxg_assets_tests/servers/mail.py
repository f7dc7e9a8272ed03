"""A mail server on this machine, over TLS: it takes every letter, and keeps it."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import trustme


@dataclass(frozen=True)
class MailServer:
    """A running server.

    Attributes:
        port: Where it listens on `localhost`, with TLS from the first byte.
        certificate: File of the authority that clients must trust.
        letters: What it was given, the first one first.
    """

    port: int
    certificate: Path
    letters: list[EmailMessage] = field(default_factory=list)


@contextmanager
def serve_mail(folder: Path) -> Iterator[MailServer]:
    """Runs until the block ends; the certificate lies in `folder`."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    letters: list[EmailMessage] = []

    class Session(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def say(self, answer: str) -> None:
            self.wfile.write(f"{answer}\r\n".encode())

        def handle(self) -> None:
            self.say("220 localhost")
            while line := self.rfile.readline():
                match line[:4].upper():
                    case b"EHLO":
                        self.say("250-localhost\r\n250 AUTH PLAIN")
                    case b"AUTH":
                        self.say("235 come in")
                    case b"DATA":
                        self.say("354 until a line with a dot")
                        lines = iter(self.rfile.readline, b".\r\n")
                        letters.append(message_from_bytes(b"".join(lines), policy=policy.default))
                        self.say("250 kept")
                    case b"QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 well")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield MailServer(server.server_address[1], folder / "authority.pem", letters)
        finally:
            server.shutdown()
            thread.join()
