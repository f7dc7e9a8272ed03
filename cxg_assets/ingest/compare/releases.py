"""What is other in a subset when it is made from another release of the Census."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import Census, CensusLocator, keep_open
from cxg_assets.ingest.census.repeated_cells import CELL
from cxg_assets.ingest.compare.cells import COUNTS, Alike, Cells, Seen, compared_columns, texts
from cxg_assets.ingest.compare.changes import DatasetChange, Relabelling, ReleaseChanges
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.obs_rows import Rows, parse_obs_filter, selected_rows, take_rows
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.store import Store

_DATASET = ("dataset_id", "dataset_version_id", "dataset_title")


@dataclass(frozen=True, kw_only=True)
class Edition:
    """A subset's Census index of one release, and where that release is."""

    index: CensusIndex
    census: CensusLocator


@keep_open()
def compare_releases(
    spec: SubsetSpec, before: Edition, after: Edition, store: Store, warn: Callable[[str], None] | None = None
) -> ReleaseChanges:
    """Compares the cells that pass a subset's filter in two releases, and the genes that it selects.

    Before sample, quality and max_obs, which go by soma_joinid or read X. Memory: that of `Cells` for those of the
    earlier release, and some batches.

    Args:
        spec: The subset.
        before: The earlier release.
        after: The later.
        store: Where their indexes are.
        warn: Told of what the filter overlooks in the later one.

    Raises:
        BadInput: The filter does not fit a release, or selects no cell of it; a release does not tell cells.
    """
    sources = [feather_source(store, index_path(one.index.release.version, spec.experiment)) for one in (before, after)]
    schemas = [_schema(source) for source in sources]
    alike = Alike(compared_columns(*schemas))
    rows: list[Rows] = []
    warnings: list[str] = []
    for source, schema in zip(sources, schemas, strict=True):
        value_filter = parse_obs_filter(spec.value_filter, (), schema, lists=spec.lists)
        passing, warnings = selected_rows(source, value_filter, None, spec.experiment)
        rows.append(passing)
    if warn is not None:
        for warning in warnings:
            warn(warning)
    n_before, n_after = (sum(map(len, some)) for some in rows)
    columns = [*CELL, *alike.columns]
    with FeatherFile(sources[0], columns=columns) as file:
        cells = Cells(take_rows(file, rows[0], columns), n_before, alike)
    tally = _Tally(alike)
    with FeatherFile(sources[1], columns=columns) as file:
        for seen in cells.look_up(take_rows(file, rows[1], columns), alike):
            tally.add(seen)
    tally.end(cells)
    with before.census.open() as old, after.census.open() as new:
        genes_new, genes_gone, genes_renamed = _genes(spec, old, new)
        datasets = tally.datasets(_datasets(old), _datasets(new))
    return ReleaseChanges(
        before=before.index.release.build,
        after=after.index.release.build,
        n_before=n_before,
        n_after=n_after,
        n_new=tally.total("new"),
        n_gone=tally.total("gone"),
        n_changed=tally.total("changed"),
        changed=dict(tally.changed),
        relabellings=tally.relabellings(),
        datasets=datasets,
        genes_new=genes_new,
        genes_gone=genes_gone,
        genes_renamed=genes_renamed,
    )


class _Tally:
    """Counts what is other, batch by batch."""

    def __init__(self, alike: Alike) -> None:
        self._alike = alike
        self.changed = Counter(dict.fromkeys(alike.columns, 0))
        self._pairs: dict[str, Counter[tuple[int, int]]] = {name: Counter() for name in alike.columns}
        self._of_datasets = {name: np.zeros(0, np.int64) for name in ("before", "after", "new", "gone", "changed")}

    def add(self, seen: Seen) -> None:
        """Counts cells of the later release, and which label became which."""
        is_changed = np.zeros(int(seen.is_known.sum()), np.bool_)
        for name in self._alike.columns:
            differs = seen.differs(name)
            self.changed[name] += int(differs.sum())
            is_changed |= differs
            if name in COUNTS:
                continue
            pairs = (seen.before[name][differs].astype(np.int64) << 32) | seen.after[name][differs]
            values, counts = np.unique(pairs, return_counts=True)
            for pair, n in zip(values.tolist(), counts.tolist(), strict=True):
                self._pairs[name][pair >> 32, pair & 0xFFFFFFFF] += n
        self._count("after", seen.dataset)
        self._count("new", seen.dataset[~seen.is_known])
        self._count("changed", seen.dataset[seen.is_known][is_changed])

    def end(self, cells: Cells) -> None:
        """Counts the cells of the earlier release, when all of the later were looked up."""
        self._count("before", cells.dataset)
        self._count("gone", cells.dataset[~cells.is_found])

    def total(self, what: str) -> int:
        """Cells of all datasets."""
        return int(self._of_datasets[what].sum())

    def relabellings(self) -> tuple[Relabelling, ...]:
        """Those of each column, the largest first."""
        found: list[Relabelling] = []
        for name, pairs in self._pairs.items():
            labels = texts(self._alike.values[name]) if pairs else []
            found += [
                Relabelling(column=name, before=labels[old], after=labels[new], n_obs=n)
                for (old, new), n in pairs.items()
            ]
        return tuple(sorted(found, key=lambda one: (-one.n_obs, one.column, one.before, one.after)))

    def datasets(
        self, old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]
    ) -> tuple[DatasetChange, ...]:
        """Those of which anything is other; version and title of each release's datasets are given."""
        found: list[DatasetChange] = []
        names = texts(self._alike.datasets)
        counts = {name: np.pad(n, (0, len(names) - len(n))) for name, n in self._of_datasets.items()}
        for number, dataset_id in enumerate(names):
            own = {f"n_{name}": int(n[number]) for name, n in counts.items()}
            versions = [some[dataset_id][0] for some in (old, new) if dataset_id in some]
            is_replaced = len(set(versions)) == 2
            if own["n_new"] or own["n_gone"] or own["n_changed"] or (is_replaced and own["n_after"]):
                _, title = new.get(dataset_id) or old.get(dataset_id) or ("", "")
                found.append(DatasetChange(dataset_id=dataset_id, title=title, is_replaced=is_replaced, **own))
        return tuple(sorted(found, key=lambda one: (-(one.n_new + one.n_gone + one.n_changed), one.dataset_id)))

    def _count(self, what: str, dataset: np.ndarray) -> None:
        counts = self._of_datasets[what]
        more = np.bincount(dataset, minlength=len(counts))
        more[: len(counts)] += counts
        self._of_datasets[what] = more


def _schema(source: FeatherSource) -> pa.Schema:
    with FeatherFile(source) as file:
        return file.no_rows().schema


def _genes(spec: SubsetSpec, old: Census, new: Census) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Genes of the later release alone, of the earlier alone, and how many of both are called otherwise."""
    names = [_names(select_genes(census.var(spec.experiment), spec.genes)) for census in (old, new)]
    before, after = names
    renamed = sum(before[gene] != after[gene] for gene in before.keys() & after.keys())
    return tuple(sorted(after.keys() - before.keys())), tuple(sorted(before.keys() - after.keys())), renamed


def _names(var: pa.Table) -> dict[str, str]:
    return dict(zip(var["feature_id"].to_pylist(), var["feature_name"].to_pylist(), strict=True))


def _datasets(census: Census) -> dict[str, tuple[str, str]]:
    """Version and title of each dataset."""
    rows = census.datasets(_DATASET).to_pylist()
    return {row["dataset_id"]: (row.get("dataset_version_id") or "", row.get("dataset_title") or "") for row in rows}
