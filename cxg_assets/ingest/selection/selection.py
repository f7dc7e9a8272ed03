"""What selected the cells and genes of a subset.

It is kept with the subset, and plan and dataset embed it: what was made says what it was made of, whatever its YAML
says by now. A YAML is only compared with it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.grammar import Source, parse_expression
from cxg_assets.ingest.filters.spelling import columns_of, plain_spelling
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.gene_selection import GeneSelection, HighlyVariable
from cxg_assets.ingest.metrics import Quality
from cxg_assets.ingest.quality.checked import CheckedQuality
from cxg_assets.ingest.sampling import Sample, Split
from cxg_assets.ingest.spec import CENSUS_DATA, SubsetSpec, experiment_name
from cxg_assets.ingest.value_lists import Lists

SHOWN_CHARACTERS = 60
"""Of each of two filters that an error shows."""

SHOWN_NAMES = 3
"""Of the genes or columns that an error names before it only counts."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a subset was selected by, in one fixed spelling: equal for two YAMLs that select the same.

    Attributes:
        organism: As the Census spells it.
        modality: One of `spec.MODALITIES`.
        value_filter: `ValueFilter.canonical` of the filter over obs; None keeps every cell.
        genes: `GeneSelection.canonical` with the canonical filter over var, and the genes of files; None keeps every
            gene.
        obs_columns: obs columns of the chunks, in this order after `soma_joinid`.
        max_obs: At most so many cells, the first that pass; None for no limit.
        sample: `Sample.canonical` of the sample; None keeps all cells that pass.
        split: `Split.canonical` of the split; None is one whole.
        quality: The quality in its fixed spelling; None computes nothing and keeps all cells that pass.
        quality_genes: feature_ids of the set of each of its columns.
        quality_types: `ValueFilter.column_types` of its filter.
        obs_types: `ValueFilter.column_types` of the filter over obs.
        var_types: The same of the filter over var.
        is_complete: False where a plan or dataset was made before selections were kept: it tells organism, filter (as
            it was written) and perhaps the columns, nothing else.
    """

    organism: str
    value_filter: str | None
    genes: GeneSelection | None
    obs_columns: tuple[str, ...]
    max_obs: int | None
    obs_types: Mapping[str, str] = field(default_factory=dict)
    var_types: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = True
    sample: Sample | None = None
    split: Split | None = None
    quality: Quality | None = None
    quality_genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quality_types: Mapping[str, str] = field(default_factory=dict)
    modality: str = CENSUS_DATA

    @classmethod
    def of(
        cls,
        spec: SubsetSpec,
        obs_filter: ValueFilter | None,
        var_filter: ValueFilter | None,
        quality: CheckedQuality | None = None,
    ) -> "Selection":
        """The selection of a spec.

        Args:
            spec: The subset.
            obs_filter: Its `value_filter`, checked.
            var_filter: Its `genes.value_filter`, checked.
            quality: Its `quality`, checked.
        """
        genes = None
        if spec.genes is not None:
            canonical = None if var_filter is None else var_filter.canonical
            genes = replace(spec.genes.canonical, value_filter=canonical)
        return cls(
            organism=spec.organism,
            modality=spec.modality,
            value_filter=None if obs_filter is None else obs_filter.canonical,
            genes=genes,
            obs_columns=spec.obs_columns,
            max_obs=spec.max_obs,
            obs_types={} if obs_filter is None else obs_filter.column_types,
            var_types={} if var_filter is None else var_filter.column_types,
            sample=None if spec.sample is None else spec.sample.canonical,
            split=None if spec.split is None else spec.split.canonical,
            quality=None if quality is None else quality.quality.spelled(quality.keep and quality.keep.canonical),
            quality_genes={} if quality is None else quality.genes,
            quality_types={} if quality is None or quality.keep is None else quality.keep.column_types,
        )

    @property
    def experiment(self) -> str:
        """Name of its experiment, see `spec.experiment_name`."""
        return experiment_name(self.organism, self.modality)

    @property
    def chunk_columns(self) -> tuple[str, ...]:
        """Obs columns of the chunks after `soma_joinid`: the Census's own, then those of the quality."""
        return (*self.obs_columns, *(() if self.quality is None else self.quality.names))

    @property
    def quality_provenance(self) -> dict[str, str]:
        """What chunks tell of the quality: in words, and the SHA-256 (hex) of the feature_ids of its columns."""
        if self.quality is None:
            return {}
        genes = json.dumps([self.quality_genes[name] for name in self.quality.names])
        digest = hashlib.sha256(genes.encode()).hexdigest()
        return {"quality": self.quality.of_genes(self.quality_genes), "quality_genes": digest}

    def require_complete(self, subset_name: str) -> None:
        """Refuses what was made before selections were kept: no chunk and no dataset could say what it is of.

        Args:
            subset_name: Name of the subset.

        Raises:
            BadInput: It was.
        """
        if not self.is_complete:
            raise BadInput(
                f"the plan of {subset_name} was made before plans kept what selected their cells; materialize "
                "filtered_subset and chunk_plan again (cxg-assets ingest does)"
            )

    def require_selected_by(self, spec: SubsetSpec) -> None:
        """Makes sure that a spec still selects what this selection did, compared by meaning.

        Args:
            spec: What the YAML says now.

        Raises:
            BadInput: It selects something else, or its filter is wrong; the message names the attributes that differ.
        """
        differences = self.differences(spec)
        if differences:
            raise BadInput(
                f"{spec.name}: the YAML no longer selects what filtered_subset has: {'; '.join(differences)}. "
                "Materialize filtered_subset again, then chunk_plan; or put the YAML back"
            )

    def differences(self, spec: SubsetSpec) -> list[str]:
        """Attributes by which a spec selects something else, each with what it was and what it is now.

        Args:
            spec: What the YAML says now.

        Raises:
            BadInput: Its filter is wrong.
        """
        return list(self._differences(spec))

    def _differences(self, spec: SubsetSpec) -> Iterator[str]:
        for attribute in ("organism", "modality"):
            if (was := getattr(self, attribute)) != (now := getattr(spec, attribute)):
                yield f"{attribute} was {was}, is now {now}"
        yield from _filter_differences("value_filter", self.value_filter, spec.value_filter, self.obs_types, spec.lists)
        genes, genes_now = _given(self.genes), _given(spec.genes)
        was_filter, filter_now = genes.get("value_filter"), genes_now.get("value_filter")
        yield from _filter_differences("genes.value_filter", was_filter, filter_now, self.var_types)
        for name in ("feature_ids", "vocabulary"):
            yield from _list_differences(f"genes.{name}", genes.get(name), genes_now.get(name))
        for name in ("absent", "feature_type", "measured_in", "highly_variable"):
            if (was := genes.get(name)) != (now := genes_now.get(name)):
                yield f"genes.{name} was {_in_words(was)}, is now {_in_words(now)}"
        yield from _list_differences("obs_columns", self.obs_columns, spec.obs_columns)
        if self.max_obs != spec.max_obs:
            yield f"max_obs was {_number(self.max_obs)}, is now {_number(spec.max_obs)}"
        yield from self._quality_differences(spec.quality)
        for attribute in ("sample", "split"):
            was, now = getattr(self, attribute), getattr(spec, attribute)
            if was != (now and now.canonical):
                yield f"{attribute} was {_in_words(was)}, is now {_in_words(now)}"

    def _quality_differences(self, now: Quality | None) -> Iterator[str]:
        was = self.quality
        if was is None or now is None:
            if was != now:
                yield f"quality was {_in_words(was)}, is now {_in_words(now)}"
            return
        yield from _filter_differences("quality.keep", was.keep, now.keep, self.quality_types)
        now = now.spelled(was.keep)
        for attribute in ("columns", "outliers"):
            if getattr(was, attribute) != getattr(now, attribute):
                yield f"quality.{attribute} were `{was.told(attribute)}`, are now `{now.told(attribute)}`"


def _filter_differences(
    attribute: str, was: str | None, now: str | None, types: Mapping[str, str], lists: Lists | None = None
) -> Iterator[str]:
    if now is not None:
        now = _canonical_alike(now, types, attribute, lists)
    if was != now:
        yield f"{attribute} was {_shown(was, now)}, is now {_shown(now, was)}"


def _canonical_alike(text: str, column_types: Mapping[str, str], where: str, lists: Lists | None) -> str:
    """The canonical spelling of a filter, if it has the columns of another, else a spelling that one cannot have.

    Raises:
        BadInput: It is no filter, or compares one of these columns with a constant that it cannot hold.
    """
    columns = columns_of(parse_expression(Source(text=text.strip(), where=where)))
    if not set(columns) <= column_types.keys():
        return plain_spelling(text, lists)
    schema = pa.schema([pa.field(name, _type_named(column_types[name])) for name in columns])
    return parse_filter(text, schema, where=where, lists=lists).canonical


def _type_named(name: str) -> pa.DataType:
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return pa.null()  # a list or the like, which filters compare with None only


def _list_differences(attribute: str, was: tuple[str, ...] | None, now: tuple[str, ...] | None) -> Iterator[str]:
    if was == now:
        return
    if was is None or now is None:
        yield f"{attribute} was {_length(was)}, is now {_length(now)}"
        return
    taken, added = [name for name in was if name not in set(now)], [name for name in now if name not in set(was)]
    changes = [f"{_some(names)} {what}" for names, what in ((taken, "taken out"), (added, "added")) if names]
    yield f"{attribute}: {' and '.join(changes) or 'another order'}"


def _length(names: tuple[str, ...] | None) -> str:
    return "not given" if names is None else f"a list of {len(names):,}"


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_NAMES
    shown = ", ".join(name[:SHOWN_CHARACTERS] for name in names[:SHOWN_NAMES])
    return shown + (f" and {more:,} more" if more > 0 else "")


def _shown(text: str | None, other: str | None) -> str:
    """A filter, or of a long one the part that begins to differ from the other."""
    if text is None:
        return "not given"
    start = 0
    if len(text) > SHOWN_CHARACTERS and other is not None:
        n_equal = next((n for n, pair in enumerate(zip(text, other, strict=False)) if pair[0] != pair[1]), len(other))
        start = max(0, n_equal - SHOWN_CHARACTERS // 3)
    piece = text[start : start + SHOWN_CHARACTERS]
    return f"`{'…' if start else ''}{piece}{'…' if start + len(piece) < len(text) else ''}`"


def _given(genes: GeneSelection | None) -> dict[str, Any]:
    """What is given of a selection of genes, by attribute, in its canonical spelling."""
    return {} if genes is None else genes.canonical.given


def _in_words(value: Sample | Split | Quality | HighlyVariable | tuple[str, ...] | str | None) -> str:
    if value is None:
        return "not given"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{value if isinstance(value, str) else value.in_words}`"


def _number(value: int | None) -> str:
    return "not given" if value is None else f"{value:,}"
