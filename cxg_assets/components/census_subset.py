"""The CensusSubset component: one YAML file becomes the assets, checks and jobs of one subset."""

import functools
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import dagster as dg

from cxg_assets.assets.chunk_plan import build_chunk_plan
from cxg_assets.assets.corpus import build_corpus
from cxg_assets.assets.dataset import build_dataset
from cxg_assets.assets.filtered_subset import build_filtered_subset
from cxg_assets.assets.h5ad_chunks import build_h5ad_chunks
from cxg_assets.assets.parquet import build_parquet
from cxg_assets.automation.conditions import follows, of_subset, with_conditions
from cxg_assets.checks.check import build_subset_checks
from cxg_assets.components import known_previews
from cxg_assets.components.attributes import SubsetAttributes
from cxg_assets.components.scaffolder import CensusSubsetScaffolder
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.filters.spelling import plain_spelling
from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.plan.fingerprint import encoding_version
from cxg_assets.ingest.sampling import CENSUS_ORDER
from cxg_assets.ingest.spec import CENSUS_DATA, OF_OBSM, VARIABLE, SubsetSpec
from cxg_assets.ingest.value_lists import Lists
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    corpus_key,
    dataset_key,
    filtered_subset_key,
    ingest_job_name,
    publish_job_name,
)
from cxg_assets.ui.checks import ESTIMATE_CHECKS
from cxg_assets.ui.descriptions import OwnersAndTags, described


@dg.scaffold_with(CensusSubsetScaffolder)
class CensusSubset(SubsetAttributes, dg.Component):
    """A filtered slice of one organism of the CELLxGENE Census, as h5ad files or a zarr collection at a destination."""

    def require_name_of(self, folder: Path) -> None:
        """Makes sure that the subset has the name of its folder: by that the command finds it, and it is unique.

        Raises:
            BadInput: It has another.
        """
        if self.name != folder.name:
            raise BadInput(f"name: {shown(self.name)} is not the name of its folder; rename one of the two")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this subset, or of those of its organisms.

        Raises:
            BadInput: The folder of its YAML has another name.
        """
        self.require_name_of(context.path)
        whose, exports, specs = self.owners_and_tags(), self.exports, self.specs()
        of_each = (subset_definitions(spec, self.destination, whose, exports) for spec in specs)
        subsets = [spec.name for spec in specs]
        of_all = [corpus_definitions(self.name, subsets, self.destination, whose)] if self.organisms else []
        return dg.Definitions.merge(*of_each, *of_all)


@known_previews()
def subset_definitions(
    spec: SubsetSpec,
    destination: str,
    owners_and_tags: OwnersAndTags | None = None,
    exports: Collection[str] = (),
) -> dg.Definitions:
    """The assets, checks and jobs of one subset.

    Args:
        spec: The subset.
        destination: URL of its store; empty for the default store.
        owners_and_tags: Of its assets and runs.
        exports: Further formats, `parquet` or none.
    """
    of_whom = owners_and_tags or OwnersAndTags()
    selection = {
        "organism": spec.organism,
        "value_filter": _spelling(spec.value_filter, spec.lists),
        "obs_columns": spec.obs_columns,
        "max_obs": spec.max_obs,
        "genes": None if spec.genes is None else _genes(spec.genes),
        **({} if spec.modality == CENSUS_DATA else {"modality": spec.modality}),
    }
    choices = {"sample": spec.sample, "split": spec.split}
    if spec.quality is not None:
        keep = _spelling(spec.quality.keep)
        selection["quality"] = repr(spec.quality.spelled(keep))
    selection |= {name: repr(choice.canonical) for name, choice in choices.items() if choice is not None}
    # What selects is the subset's: of an edit of it, the plan knows by the subset's data version.
    files = {
        "layer": spec.layer,
        **({"further_layers": sorted(spec.further_layers.items())} if spec.further_layers else {}),
        **{name: names for name in OF_OBSM if (names := getattr(spec, name))},
        "chunk_size": spec.chunk_size,
        "compression": spec.compression,
        "encoding_version": encoding_version(spec.format),
        **({} if spec.format == H5AD else {"format": spec.format}),
        **({} if spec.genes_text == VARIABLE else {"genes_text": spec.genes_text}),
        **({} if spec.order.kind == CENSUS_ORDER else {"order": spec.order.in_words}),
    }
    name, experiment = spec.name, spec.experiment
    h5ad_chunks, missing_chunks = build_h5ad_chunks(name, destination, of_whom.tags, spec.format)
    assets = [
        build_filtered_subset(spec, destination, _digest(selection)),
        build_chunk_plan(spec, destination, _digest(files)),
        h5ad_chunks,
        build_dataset(spec, destination),
        *([build_parquet(name, destination)] if "parquet" in exports else []),
    ]
    job = functools.partial(dg.define_asset_job, executor_def=dg.in_process_executor, tags=of_whom.tags)
    prepared = [CENSUS_RELEASE, census_index_key(experiment), filtered_subset_key(name), chunk_plan_key(name)]
    estimates = [check.key(filtered_subset_key(name)) for check in ESTIMATE_CHECKS]
    ingest = job(
        ingest_job_name(name),
        dg.AssetSelection.assets(*prepared) - dg.AssetSelection.checks(*estimates),
        description=f"All of {name}, from its YAML to the published dataset: release, index, filter and plan here, "
        "then missing chunks and dataset in a run each, requested by the sensor ingest_chain.",
    )
    publish = job(
        publish_job_name(name),
        [dataset_key(name)],
        description=f"The last part of {ingest_job_name(name)}: publishes {name} when all its chunks are stored. The "
        "same as to materialize its dataset.",
    )
    return dg.Definitions(
        assets=described(with_conditions(assets, of_subset(name, experiment)), spec, destination, of_whom),
        asset_checks=build_subset_checks(spec, destination),
        jobs=[ingest, missing_chunks, publish],
    )


def corpus_definitions(
    name: str, subsets: Sequence[str], destination: str, owners_and_tags: OwnersAndTags
) -> dg.Definitions:
    """What the subsets of one YAML have besides their own.

    Args:
        name: Of the YAML.
        subsets: Names of its subsets.
        destination: URL of their store; empty for the default store.
        owners_and_tags: Of the assets.
    """
    follows_all = {corpus_key(name): follows(*map(dataset_key, subsets))}
    [corpus] = with_conditions([build_corpus(name, subsets, destination)], follows_all)
    owned = corpus.map_asset_specs(
        lambda spec: spec.merge_attributes(owners=owners_and_tags.owners, tags=owners_and_tags.tags)
    )
    return dg.Definitions(assets=dg.with_source_code_references([owned]))


def _genes(genes: GeneSelection) -> list[object]:
    """What selects the genes; what is not given is not said, so that a subset of before stays as it is."""
    others = {
        name: value for name, value in genes.canonical.given.items() if name not in ("value_filter", "feature_ids")
    }
    return [_spelling(genes.value_filter), genes.canonical.feature_ids, *([repr(others)] if others else [])]


def _spelling(value_filter: str | None, lists: Lists | None = None) -> str | None:
    return None if value_filter is None else plain_spelling(value_filter, lists)


def _digest(values: dict[str, object]) -> str:
    """A code version that changes with what the YAML says, so that Dagster shows a changed subset as stale."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
