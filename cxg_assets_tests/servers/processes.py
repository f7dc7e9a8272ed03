"""Which processes of this machine have a variable in their environment: all that a test has started, in turn."""

import os


def processes_with(variable: str) -> list[str]:
    """Command lines of the processes with a variable, given as `NAME=value`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ") as environ, open(f"/proc/{pid}/cmdline") as command:
                if variable in environ.read().split("\0"):
                    found.append(command.read().replace("\0", " "))
        except OSError:
            continue
    return found
