"""Holds answers of a server back, so that its clients stand still for as long as a test needs to break something."""

import asyncio
import contextlib
import sys


class Gate:
    """Holds the answers of some requests back until it is told to let them pass; at first all pass."""

    def __init__(self) -> None:
        self._path, self._left = "", sys.maxsize
        self._waiting: list[tuple[asyncio.Future[None], asyncio.StreamReader]] = []

    def hold(self, n_passing: int, path: str) -> None:
        """Of the PUTs with this in their target that come from now on, so many are answered; others wait."""
        self._path, self._left = path, n_passing

    def let_one_pass(self) -> bool:
        """Answers the first that waits. Returns whether anybody waited."""
        while self._waiting:
            turn, reader = self._waiting.pop(0)
            if not turn.done() and not _has_left(reader):
                turn.set_result(None)
                return True
        return False

    def open(self) -> None:
        """Answers all that wait, and all that come."""
        self._left = sys.maxsize
        while self.let_one_pass():
            pass

    async def pass_through(self, method: str, target: str, reader: asyncio.StreamReader) -> None:
        """Returns when an answer may go.

        Raises:
            ConnectionError: The client left meanwhile; it has used up nobody's turn.
        """
        if method != "PUT" or self._path not in target:
            return
        if self._left:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, reader))
        end = asyncio.create_task(_end_of(reader))
        await asyncio.wait({turn, end}, return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        await asyncio.wait({end})  # only one may wait for what the client sends
        if not turn.done():
            turn.cancel()
            raise ConnectionError("the client left while its answer was held back")


def _has_left(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None


async def _end_of(reader: asyncio.StreamReader) -> None:
    """Returns when a client that waits for its answer, and sends nothing, has left."""
    with contextlib.suppress(ConnectionError):
        await reader.read(1)
