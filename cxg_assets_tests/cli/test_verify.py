"""`cxg-assets verify`: right files pass, a wrong one is named."""

from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import Outcome, cxg_assets
from cxg_assets_tests.cli.conftest import SUBSET, Finished


def chunk_file(home: Path, key: str) -> Path:
    [file] = (home / "store").rglob(f"{key}-*.h5ad")
    return file


def findings(outcome: Outcome) -> list[str]:
    """Lines on stderr that are not of the progress bar."""
    return [line for line in outcome.stderr.splitlines() if line and not line.startswith(f"verify {SUBSET}: ")]


@pytest.mark.parametrize(
    ("arguments", "compared"),
    [((), "sizes and checksums"), (("--deep",), "sizes, checksums and every cell against the Census")],
)
def test_a_right_dataset_passes(
    finished: Finished, finished_home: Path, arguments: tuple[str, ...], compared: str
) -> None:
    outcome = cxg_assets("verify", SUBSET, *arguments)
    summary = finished.summary
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == (
        f"{SUBSET}: {summary['n_files']:,} chunks, {summary['n_obs']:,} cells are right ({compared})\n"
    )


def test_one_flipped_bit_is_found_and_its_chunk_named(finished_home: Path) -> None:
    file = chunk_file(finished_home, "00001")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    outcome = cxg_assets("verify", SUBSET)
    problem, total = findings(outcome)
    assert outcome.exit_code == 1
    assert total.endswith(f"; cxg-assets verify {SUBSET} --repair makes 1 chunk again")
    assert problem.startswith(f"chunk 00001: {file.as_uri()} has SHA-256 ")
    assert "… was recorded" in problem
    assert total.startswith(f"{SUBSET}: 1 problem in ")
    assert "are right" not in outcome.stdout


def test_a_lost_file_and_a_short_one_are_both_named(finished: Finished, finished_home: Path) -> None:
    lost, short = chunk_file(finished_home, "00000"), chunk_file(finished_home, "00002")
    n_bytes = short.stat().st_size
    lost.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    outcome = cxg_assets("verify", SUBSET)
    assert outcome.exit_code == 1
    assert findings(outcome) == [
        f"chunk 00000: missing: {lost.as_uri()} is not there",
        f"chunk 00002: {short.as_uri()} has {n_bytes - 1:,} bytes, {n_bytes:,} were recorded",
        f"{SUBSET}: 2 problems in {finished.summary['n_files']:,} chunks; "
        f"cxg-assets verify {SUBSET} --repair makes 2 chunks again",
    ]


def test_what_is_not_published_cannot_be_verified(home: Path) -> None:
    outcome = cxg_assets("verify", SUBSET)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: {SUBSET} is not published at {(home / 'store').as_uri()}; cxg-assets ingest {SUBSET} does that\n"
    )
    assert not home.exists()


def test_a_dataset_at_another_destination_can_be_verified(finished_home: Path, tmp_path: Path) -> None:
    moved = (finished_home / "store").rename(tmp_path / "archive")
    assert cxg_assets("verify", SUBSET).exit_code == 2
    assert cxg_assets("verify", SUBSET, "--destination", moved.as_uri()).exit_code == 0
