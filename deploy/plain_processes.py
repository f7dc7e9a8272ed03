"""`python deploy/plain_processes.py [SERVICE…]`: the services of a deployment, without containers, on this machine.

Each is started when the one before it answers, and again a second after it has ended, as containers would be. One
signal (Ctrl-C, SIGTERM) ends all of them and whatever they have started. With names of services only these: on a
machine that is a Ray node and nothing else, `python deploy/plain_processes.py ray-node`.

Variables are those of deploy/cluster.env; logs are in `logs/`, one file a service. The commands are those of
docs/deploy.md.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cxg_assets.cli.ui.supervision import run_until_asked

RESTART_SECONDS = 1.0
ANSWER_SECONDS = 120.0
"""How long a service may take until it answers; a first start of the code server compiles the project."""

INSIDE = "_CXG_PLAIN_PROCESSES"
"""Set for the process that starts services, below the one that waits for signals."""


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        name: Also of its log.
        command: For the shell, as docs/deploy.md has it.
        host: Variable with the host that it listens on; empty when nobody waits for it.
        port: Variable with its port.
        once: It ends when its work is done.
    """

    name: str
    command: str
    host: str = ""
    port: str = ""
    once: bool = False

    def start(self) -> "subprocess.Popen[bytes]":
        """Starts it; what it prints is added to its log."""
        with Path("logs", f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(["/bin/sh", "-c", f"exec {self.command}"], stdout=log, stderr=log)

    def answers(self) -> bool:
        """Whether somebody listens where it is to listen."""
        try:
            socket.create_connection((os.environ[self.host], int(os.environ[self.port])), 1).close()
        except OSError:
            return False
        return True


SERVICES = (
    Service("postgres", "python deploy/postgres.py postgres", "DAGSTER_PG_HOST", "DAGSTER_PG_PORT"),
    Service("tables", "cxg-assets status", once=True),
    Service(
        "ray-head",
        'ray start --head --node-ip-address="$RAY_HEAD_HOST" --port="$RAY_HEAD_PORT" --include-dashboard=false '
        "--block $RAY_START_OPTIONS",
        "RAY_HEAD_HOST",
        "RAY_HEAD_PORT",
    ),
    Service("ray-node", 'ray start --address="$RAY_ADDRESS" --block $RAY_START_OPTIONS'),
    Service(
        "code-server",
        'dagster code-server start -h "$CODE_SERVER_HOST" -p "$CODE_SERVER_PORT" -m cxg_assets.definitions',
        "CODE_SERVER_HOST",
        "CODE_SERVER_PORT",
    ),
    Service("webserver", 'dagster-webserver -w deploy/workspace.yaml -h 127.0.0.1 -p "$WEBSERVER_PORT"'),
    Service("daemon", "dagster-daemon run -w deploy/workspace.yaml"),
)


def main() -> None:
    """Runs services until a signal comes."""
    names = [service.name for service in SERVICES]
    unknown = sorted(set(sys.argv[1:]) - set(names))
    if unknown:
        sys.exit(f"{', '.join(unknown)}: no such service; there are {', '.join(names)}")
    if "CODE_SERVER_PORT" not in os.environ:
        sys.exit("the variables are not set: set -a; . deploy/cluster.env; set +a")
    if INSIDE not in os.environ:
        # It sees to the end of all, also of those whose own parent has ended.
        environment = os.environ | {INSIDE: "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        sys.exit(run_until_asked([sys.executable, __file__, *sys.argv[1:]], environment))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asked = [service for service in SERVICES if service.name in (sys.argv[1:] or names)]
    keep_running(asked)


def keep_running(services: list[Service]) -> None:
    """Starts services one after the other, and each again that has ended."""
    Path("logs").mkdir(exist_ok=True)
    running: dict[Service, subprocess.Popen[bytes]] = {}
    for service in services:
        print(f"{service.name}: {service.command}", flush=True)
        process = service.start()
        if service.once:
            if process.wait():
                sys.exit(f"{service.name} ended with {process.returncode}: see logs/{service.name}.log")
            continue
        running[service] = process
        deadline = time.monotonic() + ANSWER_SECONDS
        while service.host and not service.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{service.name} does not answer: see logs/{service.name}.log")
            time.sleep(0.2)
    print("all services run", flush=True)
    while True:
        time.sleep(RESTART_SECONDS)
        for service, process in running.items():
            if process.poll() is not None:
                print(f"{service.name} ended with {process.returncode}: started again", flush=True)
                running[service] = service.start()


if __name__ == "__main__":
    main()
