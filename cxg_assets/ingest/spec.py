"""What a subset is: the attributes of its YAML, checked, as plain frozen values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.formats import FORMATS, H5AD
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.metrics import Quality
from cxg_assets.ingest.sampling import Order, Sample, Split
from cxg_assets.ingest.value_lists import Lists
from cxg_assets.ingest.x_layers import LAYERS, in_words, is_name

DEFAULT_OBS_COLUMNS = (
    "assay",
    "cell_type",
    "tissue",
    "tissue_general",
    "suspension_type",
    "disease",
    "donor_id",
    "dataset_id",
)
DEFAULT_CHUNK_SIZE = FORMATS[H5AD].chunk_size
"""Of h5ad."""
DEFAULT_ORGANISM = "homo_sapiens"

CENSUS_DATA, SPATIAL = "census_data", "census_spatial_sequencing"
MODALITIES = (CENSUS_DATA, SPATIAL)
"""Collections of the Census that have an experiment for each organism: of cells, and of spots of sections."""

COMPRESSIONS = FORMATS[H5AD].compressions
"""Of h5ad."""
VARIABLE, FIXED = "variable", "fixed"
GENES_TEXTS = (VARIABLE, FIXED)

OF_OBSM = ("obs_embeddings", "obsm_layers")
"""Attributes that name arrays for obsm."""

SPLIT = "split"
"""Column of a subset's obs file: the part of each cell, where there is a split."""

RESERVED_NAMES = {
    "census": "the assets of the Census itself are in that group",
    "index": "the census indexes lie in that folder of the default store",
    "subset": "every subset has a folder of that name inside its own, where a destination may be",
}
"""Names that a subset cannot have, and why."""

NAME_PATTERN = "[a-z][a-z0-9_]{0,62}"
"""Regular expression of names of subsets and organisms."""

_NAME = re.compile(NAME_PATTERN)
_OF = "__"


def experiment_name(organism: str, modality: str = CENSUS_DATA) -> str:
    """One name for an experiment of the Census, which names its index: of cells that of the organism alone."""
    return organism if modality == CENSUS_DATA else f"{modality}{_OF}{organism}"


def modality_and_organism(experiment: str) -> tuple[str, str]:
    """What `experiment_name` made a name of."""
    modality, _, organism = experiment.rpartition(_OF)
    return (modality, organism) if modality in MODALITIES else (CENSUS_DATA, experiment)


@dataclass(frozen=True, kw_only=True)
class SubsetSpec:
    """A named, filtered selection of cells and genes of one organism, and how its chunks are written.

    Attributes:
        name: Names the asset group and the folder at the destination.
        organism: As the Census spells it, e.g. `homo_sapiens`.
        modality: One of `MODALITIES`.
        value_filter: SOMA filter over obs; None keeps every cell.
        lists: The values of the files that it names.
        obs_columns: obs columns of the chunks, in this order after `soma_joinid`.
        genes: None keeps every gene.
        max_obs: Keep only the first so many cells of the sample; without one, of the cells that pass the filter.
        quality: What is computed of the counts of the cells that pass, and which of them are kept; None keeps all.
        sample: Which of the cells that pass are kept; None keeps all.
        split: Into which parts the cells are divided; None is one whole. The subset's obs file then has a column
            `split`, a dictionary of the parts in their order, and each chunk belongs to one part.
        order: In which order the cells of a part go to its chunks.
        layer: X layer of the Census that is X of the chunks.
        further_layers: Those that the chunks have beside it, by their names in `layers`.
        obs_embeddings: Embeddings that the Census hosts beside the release, for `obsm`; kept sorted.
        obsm_layers: Arrays in `obsm` of the release itself; likewise.
        chunk_size: Cells per chunk; the last chunk has the rest.
        format: One of `formats.FORMATS`.
        compression: How the arrays of the chunks are compressed; where it is empty, as is usual for the format.
        genes_text: How text of var is written: of variable length, as the h5ad specification says, or of fixed length,
            which HDF5 can compress. Of h5ad only.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    name: str
    organism: str
    value_filter: str | None = None
    lists: Lists = field(default_factory=dict)
    obs_columns: tuple[str, ...] = DEFAULT_OBS_COLUMNS
    genes: GeneSelection | None = None
    max_obs: int | None = None
    quality: Quality | None = None
    sample: Sample | None = None
    split: Split | None = None
    order: Order = field(default_factory=Order)
    modality: str = CENSUS_DATA
    layer: str = "raw"
    further_layers: Mapping[str, str] = field(default_factory=dict)
    obs_embeddings: tuple[str, ...] = ()
    obsm_layers: tuple[str, ...] = ()
    chunk_size: int = DEFAULT_CHUNK_SIZE
    format: str = H5AD
    compression: str = ""
    genes_text: str = VARIABLE

    def __post_init__(self) -> None:
        for attribute, value in (("name", self.name), ("organism", self.organism)):
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise BadInput(
                    f"{attribute}: {shown(value)} is not allowed; use small letters, digits and underscores, "
                    "starting with a letter, at most 63"
                )
        if self.name in RESERVED_NAMES:
            raise BadInput(f"name: {shown(self.name)} is taken: {RESERVED_NAMES[self.name]}; choose another")
        if self.value_filter is not None and not self.value_filter.strip():
            raise BadInput("value_filter: the filter is empty; leave it out to keep every cell")
        _require_positive("chunk_size", self.chunk_size)
        if self.max_obs is not None:
            _require_positive("max_obs", self.max_obs)
        _require_one_of("modality", self.modality, MODALITIES)
        _require_one_of("layer", self.layer, LAYERS)
        self._check_further_layers()
        self._check_obsm()
        if self.modality == SPATIAL and (others := {self.layer, *self.further_layers.values()} - {"raw"}):
            attribute = "layers" if self.further_layers else "layer"
            raise BadInput(f"{attribute}: spots have raw counts alone; take {min(others)} out with modality: {SPATIAL}")
        if self.modality == SPATIAL and self.obs_embeddings:
            raise BadInput(f"obs_embeddings: the Census hosts none of spots; take them out with modality: {SPATIAL}")
        _require_one_of("format", self.format, tuple(FORMATS))
        self._set_compression()
        _require_one_of("genes_text", self.genes_text, GENES_TEXTS)
        if self.genes_text != VARIABLE and self.format != H5AD:
            text, form = self.genes_text, self.format
            raise BadInput(f"genes_text: {text} is for format: {H5AD}; take it out with format: {form}")
        for column in self.obs_columns:
            if column in ("", ".", "_index") or not column.isprintable() or "/" in column:
                raise BadInput(f"obs_columns: {shown(column)} cannot be the name of a column in h5ad; take it out")
        repeated = {column for column in self.obs_columns if self.obs_columns.count(column) > 1}
        if repeated:
            raise BadInput(f"obs_columns: {shown_names(sorted(repeated))} is listed twice")
        if "soma_joinid" in self.obs_columns:
            raise BadInput("obs_columns: soma_joinid is always the first column; take it out of the list")
        if self.quality is not None:
            self._check_names(self.quality)
        if self.split is not None and SPLIT in self.obs_columns:
            raise BadInput(f"obs_columns: {SPLIT} is the column of the split's parts; take it out of the list")

    @property
    def experiment(self) -> str:
        """Name of its experiment, see `experiment_name`."""
        return experiment_name(self.organism, self.modality)

    @property
    def chunk_columns(self) -> tuple[str, ...]:
        """Obs columns of the chunks after `soma_joinid`: the Census's own, then those of the quality."""
        return (*self.obs_columns, *(() if self.quality is None else self.quality.names))

    @property
    def layers_in_words(self) -> str:
        """The layers of the chunks, for a person."""
        return in_words(self.layer, self.further_layers)

    @property
    def obsm_names(self) -> tuple[str, ...]:
        """What goes to obsm, by name, from wherever it is."""
        return (*self.obs_embeddings, *self.obsm_layers)

    def _set_compression(self) -> None:
        """Makes sure that the format can be compressed as is asked for, and says how where nothing is.

        Raises:
            BadInput: It cannot.
        """
        allowed = FORMATS[self.format].compressions
        if self.compression == "":
            object.__setattr__(self, "compression", allowed[0])
        others = [name for name, other in FORMATS.items() if self.compression in other.compressions]
        if self.compression not in allowed and others:
            raise BadInput(
                f"compression: {self.compression} is for format: {others[0]}; with format: {self.format} choose one of "
                f"{', '.join(allowed)}"
            )
        _require_one_of("compression", self.compression, allowed)

    def _check_further_layers(self) -> None:
        """Makes sure that they are layers of the Census, each once, and can be called so.

        Raises:
            BadInput: One is not.
        """
        seen = [self.layer]
        for name, layer in self.further_layers.items():
            _require_one_of("layers", layer, LAYERS)
            if layer in seen or not is_name(name):
                raise BadInput(f"layers: {shown(layer)} cannot be layers/{shown(name)}: give each layer one place")
            seen.append(layer)

    def _check_obsm(self) -> None:
        """Sorts the names for `obsm`, and makes sure that each can be one, and is there once.

        Raises:
            BadInput: One cannot.
        """
        seen: set[str] = set()
        for attribute in OF_OBSM:
            names: tuple[str, ...] = getattr(self, attribute)
            for name in names:
                if not is_name(name):
                    raise BadInput(f"{attribute}: {shown(name)} cannot be a name in obsm; take it out")
                if name in seen:
                    raise BadInput(f"{attribute}: {shown(name)} is listed twice for obsm; take one out")
                seen.add(name)
            object.__setattr__(self, attribute, tuple(sorted(names)))

    def _check_names(self, quality: Quality) -> None:
        """Makes sure that no column of the quality has the name of another of the chunks.

        Raises:
            BadInput: One has.
        """
        for place, name in enumerate(quality.names):
            if name in ("soma_joinid", SPLIT, *self.obs_columns, *quality.names[:place]):
                raise BadInput(f"quality.columns.{name}: another column is called {name}; choose another name")


def _require_positive(attribute: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadInput(f"{attribute}: {shown(value)} is not a positive whole number")


def _require_one_of(attribute: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInput(f"{attribute}: {shown(value)} is unknown; choose one of {', '.join(allowed)}")
