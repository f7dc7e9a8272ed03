"""Two chunks have one fingerprint if, and only if, the encoder makes the same bytes of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.plan.fingerprint import ChunkFingerprints
from cxg_assets.ingest.spec import COMPRESSIONS, GENES_TEXTS
from cxg_assets_tests.ingest.plan.test_chunk_plan import plan_of
from cxg_assets_tests.properties.profile import PROPERTY
from cxg_assets_tests.properties.synthetic import encode_rows, obs_of, tissues_of, var_of, x_of

COLUMNS = ("tissue", "donor_id", "raw_sum")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that a fingerprint is made of; genes are joinids, and names of genes that are padded."""

    provenance: tuple[tuple[str, str], ...]
    release: str
    compression: str
    genes_text: str
    obs_columns: tuple[str, ...]
    other_tissues: tuple[str, ...] = ()
    genes: tuple[int | str, ...]
    chunk: str
    joinids: tuple[int, ...]

    @property
    def gene_joinids(self) -> np.ndarray:
        return np.array([-1 if isinstance(gene, str) else gene for gene in self.genes], np.int64)

    @property
    def padded(self) -> list[str]:
        return [gene for gene in self.genes if isinstance(gene, str)]

    def fingerprint(self) -> str:
        shared = ChunkFingerprints(
            provenance=dict(self.provenance),
            release_fingerprint=self.release,
            compression=self.compression,
            obs_columns=self.obs_columns,
            gene_joinids=self.gene_joinids,
            padded=self.padded,
            genes_text=self.genes_text,
            categories={
                name: tissues_of(self.release, self.other_tissues) for name in self.obs_columns if name == "tissue"
            },
        )
        return shared.of(self.chunk, np.array(self.joinids, np.int64))

    def encoded(self, cuts: list[int] | None = None) -> bytes:
        """The bytes but for the fingerprint, which would make all differ that differ in it."""
        cells, genes = np.array(self.joinids, np.int64), self.gene_joinids
        return encode_rows(
            x_of(cells, genes, self.release),
            obs_of(cells, self.release, self.other_tissues),
            var_of(genes, self.padded),
            obs_columns=self.obs_columns,
            compression=self.compression,
            provenance=dict(self.provenance),
            chunk=self.chunk,
            cuts=cuts or (),
            genes_text=self.genes_text,
        )


def ordered_sets(values: list[int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(st.sampled_from(values), min_size=1).map(lambda drawn: tuple(sorted(drawn)))


PROVENANCE = st.permutations([("layer", "raw"), ("genes", "all"), ("value_filter", "a")]) | st.sampled_from(
    [
        [("layer", "raw"), ("genes", "all"), ("value_filter", "b")],
        [("layer", "raw"), ("genes", "a"), ("value_filter", "all")],
        [("layer", "raw"), ("genes", "all,a"), ("value_filter", "")],
    ]
)
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "provenance": PROVENANCE.map(tuple),
    "release": st.sampled_from(["r", "release", "rr"]),
    "compression": st.sampled_from(COMPRESSIONS),
    "genes_text": st.sampled_from(GENES_TEXTS),
    "obs_columns": st.lists(st.sampled_from(COLUMNS), unique=True).map(tuple),
    "other_tissues": st.sampled_from([(), ("lung",), ("lung", "skin")]),
    "genes": st.lists(st.sampled_from([1, 2, 12, 49, "A", "B"]), min_size=1, max_size=4, unique=True).map(tuple),
    "chunk": st.sampled_from(["00000", "00001", "00012"]),
    "joinids": ordered_sets([1, 2, 12, 49, 2**40]),
}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Inputs, Inputs]:
    """Two inputs that differ in few parts or in none."""
    first = {name: draw(part) for name, part in PARTS.items()}
    changed = draw(st.sets(st.sampled_from(sorted(PARTS)), max_size=2))
    second = first | {name: draw(PARTS[name]) for name in sorted(changed)}
    return Inputs(**first), Inputs(**second)


@settings(PROPERTY, max_examples=80)
@given(pair=pairs())
def test_a_fingerprint_is_another_when_and_only_when_the_bytes_are(pair: tuple[Inputs, Inputs]) -> None:
    one, other = pair

    assert (one.fingerprint() == other.fingerprint()) == (one.encoded() == other.encoded())


@settings(PROPERTY, max_examples=20)
@given(pair=pairs(), parts=st.lists(st.floats(0, 1), max_size=4))
def test_the_bytes_do_not_depend_on_the_cuts_nor_on_the_time(pair: tuple[Inputs, Inputs], parts: list[float]) -> None:
    inputs = pair[0]

    assert inputs.encoded(sorted(int(part * len(inputs.joinids)) for part in parts)) == inputs.encoded()


def spelled(text: bytes) -> int:
    return int.from_bytes(text, "little")


# Joinids whose bytes look like what stands between the joinids of genes and cells.
BETWEEN = [spelled(b"|00000|\0"), spelled(b"\0|00001|"), spelled(b'"00000"\0'), spelled(b'\0"00001"'), 1, 2]
TUPLES = st.tuples(ordered_sets(BETWEEN), st.sampled_from(["00000", "00001", "0"]), ordered_sets(BETWEEN))
FILES = {"compression": "gzip", "genes_text": "fixed"}
BASE: dict[str, Any] = {"provenance": (), "release": "r", "obs_columns": (), **FILES}


@settings(PROPERTY, max_examples=300)
@example(
    one=((1,), "00000", (spelled(b"\0|00001|"), 5)),
    other=((1, spelled(b"|00000|\0")), "00001", (5,)),
)
@given(one=TUPLES, other=TUPLES)
def test_genes_key_and_cells_cannot_pass_for_one_another(
    one: tuple[tuple[int, ...], str, tuple[int, ...]], other: tuple[tuple[int, ...], str, tuple[int, ...]]
) -> None:
    first, second = (Inputs(**BASE, genes=g, chunk=c, joinids=j).fingerprint() for g, c, j in (one, other))

    assert (first == second) == (one == other)


@settings(PROPERTY, max_examples=25)
@given(
    n_obs=st.integers(1, 12), limits=st.tuples(*[st.integers(1, 12)] * 2), sizes=st.tuples(*[st.integers(1, 14)] * 2)
)
@example(n_obs=3, limits=(3, 3), sizes=(3, 4))
def test_plans_of_any_size_and_limit_share_the_chunks_whose_bytes_are_equal(
    n_obs: int, limits: tuple[int, int], sizes: tuple[int, int]
) -> None:
    joinids, genes = np.arange(5, 5 + n_obs), np.array([0, 1, 2])
    made: dict[str, bytes] = {}
    for limit, chunk_size in zip(limits, sizes, strict=True):
        plan = plan_of(joinids[:limit], gene_joinids=(0, 1, 2), chunk_size=chunk_size)
        for chunk in plan.chunks:
            cells = joinids[chunk.row_start : chunk.row_stop]
            image = encode_rows(
                x_of(cells, genes, "r"),
                obs_of(cells, "r"),
                var_of(genes),
                obs_columns=COLUMNS,
                compression="gzip",
                provenance=plan.header.provenance,
                chunk=chunk.key,
                chunk_size=plan.header.cells_of_first,
            )
            assert made.setdefault(chunk.fingerprint, image) == image
    assert len(set(made.values())) == len(made)
