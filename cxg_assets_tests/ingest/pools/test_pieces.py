"""The pieces of fully shuffled cells: who makes them, who takes them up, and when they go."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import mark_path, plan_folder
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.pools.pieces import PieceReader, begin_pieces, remove_pieces
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested, run_spans


@pytest.fixture
def made(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path) -> Ingested:
    """Fully shuffled cells: chunks in pools of two, and pieces of a row of tiles."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 2 * 100 * 2_000)
        patched.setattr(cutting, "PIECE_NNZ", 1)
        wanted = spec(value_filter="is_primary_data == True", order=Order(kind="fully_shuffled"), chunk_size=100)
        made = ingest(wanted, tmp_path.as_uri())
    assert not made.failures
    return made


def folders(made: Ingested) -> set[str]:
    """Folders of pieces in the folder of the plan."""
    folder = plan_folder(made.spec.name, made.plan.header.plan_id)
    return {path.split("/")[-2] for path in made.store.sizes(folder) if "/pieces-" in path}


def mark(made: Ingested, run_id: str) -> None:
    made.store.put(mark_path(made.spec.name, made.plan.header.plan_id, run_id), b"{}")


def test_another_run_takes_up_the_pieces_that_one_has_left_and_makes_only_what_is_missing(made: Ingested) -> None:
    left = begin_pieces(made.store, made.plan, made.plan.chunks, "next")
    assert left is not None
    assert left.run_id == "test"
    assert len(left.two_passes.pieces) > 1
    assert left.missing(made.store) == ()
    [lost, *_] = left.two_passes.pieces
    before = made.store.get(left.path(lost))
    made.store.delete(left.path(lost))

    assert left.missing(made.store) == (lost,)
    assert run_spans(made.job, [Span((lost,))]) == ([], [])
    assert made.store.get(left.path(lost)) == before


def test_pieces_are_made_only_of_pools_of_which_chunks_are_missing(made: Ingested) -> None:
    [*_, last] = made.plan.chunks
    everything = made.job.pieces
    assert everything is not None
    remove_pieces(made.store, everything)
    pieces = begin_pieces(made.store, made.plan, [last], "repair")
    assert pieces is not None
    assert pieces.pools == (last.pool,)
    before = made.file(last).read_bytes()
    made.file(last).unlink()

    job = replace(made.job, pieces=pieces)
    reports, failures = run_spans(job, [*(Span((piece,)) for piece in pieces.two_passes.pieces), Span((last,))])

    assert (len(reports), failures) == (1, [])
    assert made.file(last).read_bytes() == before
    sizes = made.store.sizes(plan_folder(made.spec.name, made.plan.header.plan_id))
    of_pieces = sum(n_bytes for path, n_bytes in sizes.items() if "/piece-" in path)
    assert of_pieces < 2 * len(made.plan.chunks) * made.file(last).stat().st_size


def test_what_another_run_may_be_using_is_neither_taken_nor_removed(made: Ingested) -> None:
    mark(made, "one")
    mark(made, "other")

    own = begin_pieces(made.store, made.plan, made.plan.chunks, "one")

    assert own is not None
    assert own.run_id == "one"
    assert folders(made) == {"pieces-test", "pieces-one"}
    remove_pieces(made.store, own)
    assert folders(made) == {"pieces-test"}


def test_at_its_end_a_run_removes_what_runs_that_were_killed_have_left(made: Ingested) -> None:
    mark(made, "one")
    pieces = begin_pieces(made.store, made.plan, made.plan.chunks, "one")
    assert pieces is not None
    folder = plan_folder(made.spec.name, made.plan.header.plan_id)
    made.store.put(f"{folder}/pieces-killed/piece-00000", b"half")

    remove_pieces(made.store, pieces)

    assert folders(made) == set()
    assert len([path for path in made.store.sizes(folder) if path.endswith(".h5ad")]) == len(made.plan.chunks)


def test_a_piece_that_is_of_other_cells_is_refused(made: Ingested) -> None:
    pieces = made.job.pieces
    assert pieces is not None
    reader = PieceReader(made.store, pieces, np.dtype(np.float32))
    of_another_pool = next(chunk for chunk in made.plan.chunks if chunk.pool == 1)

    with pytest.raises(CxgError, match=r"pieces-test lacks cells of pool 0; delete the folder and run again"):
        reader.read(0, made.read(of_another_pool).obs.soma_joinid.to_numpy())
