"""The command as users start it, and what tests and benchmarks make with it."""

import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("cxg-assets")

SUBSET = "blood_normal"
"""A subset of the project; all that is taken from it is its default obs columns and gzip."""

ALL_CELLS = "soma_joinid >= 0"
