"""`dg scaffold defs cxg_assets.CensusSubset NAME`: the YAML that `cxg-assets new` writes."""

import click
import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import BaseModel, Field

from cxg_assets.components.attributes import description_of
from cxg_assets.components.commented_yaml import subset_yaml, write_new
from cxg_assets.components.selection_check import check_selection
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, DEFAULT_ORGANISM
from cxg_assets.resources.store import StoreResource


class SubsetParams(BaseModel):
    """Parameters of the scaffold; each is an option of `dg scaffold defs`."""

    value_filter: str | None = Field(default=None, description=description_of("value_filter"))
    organism: str = Field(default=DEFAULT_ORGANISM, description=description_of("organism"))
    destination: str = Field(default="", description=description_of("destination"))
    chunk_size: int = Field(default=DEFAULT_CHUNK_SIZE, description=description_of("chunk_size"))


class CensusSubsetScaffolder(dg.Scaffolder[SubsetParams]):
    """Writes the `defs.yaml` of a new subset."""

    @classmethod
    def get_scaffold_params(cls) -> type[SubsetParams]:
        """The parameters."""
        return SubsetParams

    def scaffold(self, request: dg.ScaffoldRequest[SubsetParams]) -> None:
        """Writes the YAML into the folder that Dagster has made, which names the subset.

        Raises:
            BadInput: A parameter has a value that it cannot have, a subset is there already, or Python is asked for;
                the organism, a column or a label is not in the Census.
        """
        if request.scaffold_format != "yaml" or request.append:
            raise BadInput("a subset is a defs.yaml of its own; scaffold it with --format yaml, without append")
        params = request.params
        text = subset_yaml(request.target_path.name, **params.model_dump())
        store = StoreResource(s3=S3Resource())
        for warning in check_selection(params.organism, params.value_filter, DEFAULT_OBS_COLUMNS, store):
            click.echo(f"warning: {warning}", err=True)
        write_new(request.target_path / "defs.yaml", text)
