"""A run over fully shuffled chunks makes their pieces first, and leaves none."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from cxg_assets.assets.first_pass import run_first_pass
from cxg_assets.ingest.chunks.report import ChunkFailure
from cxg_assets.ingest.layout import plan_folder
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.plan.passes.two_passes import TwoPasses
from cxg_assets.ingest.pools.pieces import PieceSet
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.platforms import Platform


@pytest.fixture
def shuffled(prepared: Platform) -> Iterator[Platform]:
    """Planned in pools of two chunks and pieces of a row of tiles."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 2 * prepared.spec.chunk_size * 2_000)
        patched.setattr(cutting, "PIECE_NNZ", 1)
        changed = prepared.changed(order=Order(kind="fully_shuffled"))
        assert changed.prepare().success
        yield changed


def stored(platform: Platform) -> set[str]:
    header = platform.plan.header
    return {path.split("/")[2] for path in platform.store.sizes(plan_folder(platform.spec.name, header.plan_id))}


def log_of(platform: Platform, run_id: str) -> str:
    return "\n".join(entry.user_message for entry in platform.instance.all_logs(run_id))


def test_the_pieces_are_gone_when_all_chunks_are_stored_and_made_again_for_one_that_is_lost(shuffled: Platform) -> None:
    first = shuffled.make_missing()

    assert first.success
    passes = shuffled.plan.two_passes
    assert passes is not None
    to_write = counted(len(passes.pieces), "piece")
    assert f"first of two passes: {to_write} to write, 0 already stored" in log_of(shuffled, first.run_id)
    names = stored(shuffled)
    assert len([name for name in names if name.endswith(".h5ad")]) == len(shuffled.plan.chunks)
    assert not [name for name in names if name.startswith("pieces-")]
    file = shuffled.file(shuffled.plan.chunks[-1])
    before = file.read_bytes()
    file.unlink()

    assert shuffled.make_missing().success
    assert file.read_bytes() == before
    assert stored(shuffled) == names
    assert shuffled.publish().success


def test_a_piece_that_cannot_be_made_ends_the_run_and_says_why(tmp_path: Path) -> None:
    lines: list[str] = []
    failure = ChunkFailure(chunk="piece-00001", error="the disk is full", worker="", attempt=3)
    context: Any = SimpleNamespace(log=SimpleNamespace(info=lines.append))
    pool: Any = SimpleNamespace(run=lambda spans: [failure])
    passes = TwoPasses(seed=0, pool_starts=((0,),), piece_stops=(10, 20))
    pieces = PieceSet(subset_name="lung", plan_id="p", run_id="r", pools=(0,), two_passes=passes)

    with pytest.raises(dg.Failure) as caught:
        run_first_pass(context, pool, pieces, StoreLocator(url=tmp_path.as_uri()).open())

    assert caught.value.description == (
        "piece-00001 of the first pass failed after 3 attempts: the disk is full. The pieces that are stored stay; "
        "run again to write only what is missing"
    )
    assert lines == ["first of two passes: 2 pieces to write, 0 already stored"]
