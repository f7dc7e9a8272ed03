"""Two network rooms of this machine with a slow line between them, for what runs on two machines elsewhere.

A room is a network namespace with an address of its own and nothing else to be reached. The line is this program: it
carries packets from the one's network device to the other's, late and no faster than it says. (Linux has `tc netem` for
that, where the kernel was built with it.)
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")
MTU = 9_000
MAX_PACKETS = 2_000
"""Packets that the line holds; what comes then is lost, as on a real one."""

_DEVICE = "line"
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Room:
    """A network namespace.

    Attributes:
        name: As `ip netns` knows it.
        address: Its address on the line.
    """

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        """What stands before a command that is to run in it."""
        return ["ip", "netns", "exec", self.name]


def why_not() -> str:
    """Why this machine can have no rooms; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    for program in ("ip", "setpriv", "mount"):
        if shutil.which(program) is None:
            return f"there is no program {program!r} (Debian's iproute2 and util-linux)"
    if not os.access("/dev/net/tun", os.W_OK):
        return "there is no /dev/net/tun"
    tried = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "network namespaces cannot be made here"


@contextlib.contextmanager
def two_rooms(latency_seconds: float, bits_per_second: float) -> Iterator[tuple[Room, Room]]:
    """Makes them, and removes them at the end of the block; who is still inside must end by itself."""
    tag = uuid.uuid4().hex[:8]
    rooms = Room(f"cxg-{tag}-a", ADDRESSES[0]), Room(f"cxg-{tag}-b", ADDRESSES[1])
    with contextlib.ExitStack() as made:
        for room in rooms:
            _ip("netns", "add", room.name)
            made.callback(_ip, "netns", "delete", room.name)
            _ip("-n", room.name, "link", "set", "lo", "up")
        options = [*(room.name for room in rooms), f"{latency_seconds}", f"{bits_per_second}"]
        line = subprocess.Popen([sys.executable, "-m", __name__, *options], stdout=subprocess.PIPE)
        made.callback(line.wait)
        made.callback(line.send_signal, signal.SIGTERM)
        assert line.stdout is not None
        assert line.stdout.readline() == b"ready\n"
        made.callback(line.stdout.close)
        for room in rooms:
            _ip("-n", room.name, "addr", "add", f"{room.address}/24", "dev", _DEVICE)
            _ip("-n", room.name, "link", "set", _DEVICE, "mtu", f"{MTU}", "up")
        yield rooms


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _device(room: str) -> int:
    """A network device in a room, as what its packets are read from and written to."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as own, open(Path("/run/netns", room)) as other:
        if libc.setns(other.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", _DEVICE.encode(), _IFF_TUN_NO_PI))
        finally:
            libc.setns(own.fileno(), _CLONE_NEWNET)
    return device


class _Direction:
    """What is on the way from one device to the other."""

    def __init__(self, target: int, latency_seconds: float, bits_per_second: float) -> None:
        self._target = target
        self._latency_seconds = latency_seconds
        self._bits_per_second = bits_per_second
        self._free = 0.0
        self._packets: deque[tuple[float, bytes]] = deque()

    def take(self, packet: bytes) -> None:
        if len(self._packets) < MAX_PACKETS:
            self._free = max(self._free, time.monotonic()) + len(packet) * 8 / self._bits_per_second
            self._packets.append((self._free + self._latency_seconds, packet))

    def deliver(self) -> float:
        """Delivers what is due. Returns the seconds until there is more, at most 1."""
        while self._packets and (seconds := self._packets[0][0] - time.monotonic()) <= 0:
            with contextlib.suppress(OSError):  # a device that is not up yet
                os.write(self._target, self._packets.popleft()[1])
        return min(seconds, 1.0) if self._packets else 1.0


def carry(rooms: list[str], latency_seconds: float, bits_per_second: float) -> None:
    """Carries packets for ever."""
    one, other = map(_device, rooms)
    ways = {
        one: _Direction(other, latency_seconds, bits_per_second),
        other: _Direction(one, latency_seconds, bits_per_second),
    }
    print("ready", flush=True)
    while True:
        seconds = min(way.deliver() for way in ways.values())
        for device in select.select([one, other], [], [], max(seconds, 0.0))[0]:
            with contextlib.suppress(BlockingIOError, OSError):
                ways[device].take(os.read(device, MTU + 64))


def main() -> None:
    """Is the line between two rooms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs=2)
    parser.add_argument("latency_seconds", type=float)
    parser.add_argument("bits_per_second", type=float)
    options = parser.parse_args()
    carry(options.rooms, options.latency_seconds, options.bits_per_second)


if __name__ == "__main__":
    main()
