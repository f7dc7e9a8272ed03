"""A fingerprint moves when any of its inputs moves, and only then."""

from typing import Any

import numpy as np
import pytest

from cxg_assets.ingest.plan.fingerprint import ChunkFingerprints

SHARED: dict[str, Any] = {
    "provenance": {"census_build": "2025-11-08", "layer": "raw", "value_filter": "a == 1"},
    "release_fingerprint": "f" * 64,
    "compression": "gzip",
    "obs_columns": ("assay", "tissue"),
    "categories": {"tissue": ["blood", "lung"]},
    "gene_joinids": np.array([1, 5, 9]),
}
JOINIDS = np.array([10, 11, 70])


def fingerprint(chunk: str = "00000", joinids: np.ndarray = JOINIDS, **changes: Any) -> str:
    return ChunkFingerprints(**SHARED | changes).of(chunk, joinids)


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": {**SHARED["provenance"], "layer": "normalized"}},
        {"provenance": {**SHARED["provenance"], "value_filter": "a == 2"}},
        {"provenance": {**SHARED["provenance"], "more": ""}},
        {"release_fingerprint": "e" * 64},
        {"compression": "none"},
        {"genes_text": "fixed"},
        {"chunk_format": "zarr"},
        {"obs_columns": ("tissue", "assay")},
        {"obs_columns": ("assay",)},
        {"categories": {"tissue": ["blood"]}},
        {"categories": {"tissue": ["blood", "lung", "skin"]}},
        {"categories": {"tissue": ["lung", "blood"]}},
        {"categories": {"assay": ["blood", "lung"]}},
        {"gene_joinids": np.array([1, 5])},
        {"gene_joinids": np.array([1, 5, 10])},
        {"chunk": "00001"},
        {"joinids": np.array([10, 11])},
        {"joinids": np.array([10, 70, 11])},
        {"joinids": np.array([10, 11, 71])},
    ],
    ids=str,
)
def test_every_input_moves_it(change: dict[str, Any]) -> None:
    assert fingerprint(**change) != fingerprint()


@pytest.mark.parametrize(
    "same",
    [
        {"provenance": dict(reversed(SHARED["provenance"].items()))},
        {"obs_columns": ["assay", "tissue"]},
        {"categories": {"tissue": ("blood", "lung")}},
        {"gene_joinids": np.array([1, 5, 9], dtype=">i8")},
        {"joinids": np.array([10, 0, 11, 0, 70])[::2]},
        {"joinids": JOINIDS.astype(np.int32)},
    ],
    ids=str,
)
def test_the_same_inputs_in_another_form_do_not_move_it(same: dict[str, Any]) -> None:
    assert fingerprint(**same) == fingerprint()


def test_it_is_a_sha256_in_hex() -> None:
    assert len(fingerprint()) == 64
    assert int(fingerprint(), 16) > 0


def test_cells_cannot_pass_for_genes() -> None:
    other = fingerprint(joinids=np.array([9, 10]), gene_joinids=np.array([1, 5]))

    assert other != fingerprint(joinids=np.array([10]), gene_joinids=np.array([1, 5, 9]))


def test_one_instance_serves_many_chunks() -> None:
    fingerprints = ChunkFingerprints(**SHARED)

    many = [fingerprints.of(key, JOINIDS) for key in ("00000", "00001", "00000")]

    assert many == [fingerprint("00000"), fingerprint("00001"), fingerprint("00000")]
