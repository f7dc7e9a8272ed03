"""Runs the Census's own tests against a demo census, behind a stand-in of the public service.

    python -m benchmarks.census_tests CHECKOUT [--census PATH] [-- ARGUMENTS OF PYTEST]

CHECKOUT is a clone of chanzuckerberg/cellxgene-census. See docs/reference/census-tests.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cxg_assets.demo import build_demo, build_once
from cxg_assets_tests.servers.public_census import serve_public_census

TESTS = "api/python/cellxgene_census/tests"
FILES = ("test_acceptance.py", "test_get_anndata.py", "test_get_helpers.py", "test_lts_compat.py")


def main() -> int:
    """Runs them, and returns what pytest returned."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.census_tests", description=__doc__)
    parser.add_argument("checkout", type=Path, help="a clone of chanzuckerberg/cellxgene-census")
    parser.add_argument("--census", type=Path, help="a demo census (default: one that is built, as by cxg-assets demo)")
    parser.add_argument("arguments", nargs="*", help="arguments of pytest")
    options = parser.parse_args()
    tests = options.checkout.absolute() / TESTS
    if missing := [name for name in FILES if not (tests / name).exists()]:
        parser.error(f"{tests} has no {' and no '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        census = options.census or Path(folder) / "census"
        build_once(census, build_demo)
        return _run(tests, census, Path(folder), options.arguments)


def _run(tests: Path, census: Path, folder: Path, arguments: list[str]) -> int:
    with serve_public_census(census, folder) as public:
        # The tests open the Census themselves: TileDB learns of the stand-in from the environment.
        tiledb = {f"TILEDB_{name.upper().replace('.', '_')}": value for name, value in public.tiledb_config.items()}
        others = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        # Without the settings of this project's own pytest, and of the clone's.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "-rfE", "--tb=short"]
        environment = others | public.environment | tiledb
        return subprocess.run([*command, *FILES, *arguments], cwd=tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
