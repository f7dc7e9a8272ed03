"""The attributes of `genes` in a subset's YAML; as those of `attributes.py`, they are described here once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from cxg_assets.components.beside_the_yaml import beside_the_yaml
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.gene_selection import EVERY_DATASET, PAD, REFUSE, GeneSelection, HighlyVariable
from cxg_assets.ingest.selection.list_files import read_gene_file


def as_names(columns: list[str] | str) -> tuple[str, ...]:
    """One name or several, as a YAML may say it."""
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _gene_file(attribute: str) -> Callable[[dg.ResolutionContext, str | None], str | None]:
    def resolved(context: dg.ResolutionContext, path: str | None) -> str | None:
        return None if path is None else beside_the_yaml(context, path, attribute)

    return resolved


class HighlyVariableAttributes(dg.Model, dg.Resolvable):
    """The genes whose counts vary most in the cells of the subset, as the Census's own client ranks them."""

    n_top_genes: int = Field(description="How many genes.", examples=[2000])
    batch: list[str] | str = Field(
        default=[],
        description="obs columns that make batches; genes are ranked in each and kept by their median rank.",
        examples=["dataset_id"],
    )


def _highly_variable(context: dg.ResolutionContext, given: dict[str, Any] | None) -> HighlyVariableAttributes | None:
    """Checked here: of what is wrong two levels below the attributes, Dagster does not say where it is."""
    if given is None:
        return None
    where, names = "genes.highly_variable", list(HighlyVariableAttributes.model_fields)
    values = {name: context.resolve_value(value) for name, value in given.items()}
    for name in values:
        if name not in names:
            raise BadInput(f"{where}: there is no attribute {shown(name)}; it can have {', '.join(names)}")
    if "n_top_genes" not in values:
        raise BadInput(f"{where}.n_top_genes: it is missing; say how many genes to keep")
    batch = values.setdefault("batch", [])
    if not all(isinstance(name, str) for name in (batch if isinstance(batch, list) else [batch])):
        raise BadInput(f"{where}.batch: {shown(batch)} is neither the name of an obs column nor a list of names")
    variable = HighlyVariable(n_top_genes=values["n_top_genes"], batch=as_names(batch))
    return HighlyVariableAttributes(n_top_genes=variable.n_top_genes, batch=list(variable.batch))


class Genes(dg.Model, dg.Resolvable):
    """Which genes a subset keeps: those of a vocabulary in its order, or those that pass all that is given."""

    vocabulary: Annotated[str | None, dg.Resolver(_gene_file("genes.vocabulary"), model_field_type=str)] = Field(
        default=None,
        description="Instead of all others: a file like that of file, whose genes are the columns of X in its order.",
        examples=["vocabulary.txt"],
    )
    absent: str = Field(
        default=PAD,
        description="Genes of the vocabulary that the Census does not have: pad (columns of zeros) or refuse.",
        examples=[PAD],
        json_schema_extra={"pattern": f"^({PAD}|{REFUSE})$"},
    )
    value_filter: str | None = Field(
        default=None, description="SOMA filter over var.", examples=["n_measured_obs >= 10 and nnz >= 10"]
    )
    feature_ids: list[str] | None = Field(
        default=None,
        description="List of Ensembl ids, or of feature_names that only one gene has.",
        examples=[["ENSG00000167286", "ENSG00000090382"]],
    )
    file: Annotated[str | None, dg.Resolver(_gene_file("genes.file"), model_field_type=str)] = Field(
        default=None,
        description="Instead of feature_ids: a text file with a feature_id on each line, or a CSV file with a column "
        "feature_id or one for each organism, in the folder of the YAML file or below.",
        examples=["genes.txt"],
    )
    feature_type: list[str] | str = Field(
        default=[], description="Only genes of these types.", examples=["protein_coding"]
    )
    measured_in: str | None = Field(
        default=None,
        description="every_dataset: only genes that every dataset of the cells has measured.",
        examples=[EVERY_DATASET],
        json_schema_extra={"pattern": f"^{EVERY_DATASET}$"},
    )
    highly_variable: Annotated[
        HighlyVariableAttributes | None, dg.Resolver(_highly_variable, model_field_type=dict[str, Any] | None)
    ] = Field(default=None, description="Only the most variable of the genes that are left.")

    def selection(self, organism: str) -> GeneSelection:
        """The engine's value for an organism, whose column is read of a file that has one.

        Raises:
            BadInput: Nothing or what excludes each other is given, an id is malformed, a file cannot be read.
        """
        if self.feature_ids is not None and self.file is not None:
            raise BadInput("genes: feature_ids and file are both given; keep one of the two lists")
        feature_ids = None if self.feature_ids is None else tuple(self.feature_ids)
        if self.file is not None:
            feature_ids = read_gene_file(Path(self.file), organism=organism)
        vocabulary = None
        if self.vocabulary is not None:
            vocabulary = read_gene_file(Path(self.vocabulary), "genes.vocabulary", organism)
        variable = self.highly_variable
        return GeneSelection(
            value_filter=self.value_filter,
            feature_ids=feature_ids,
            vocabulary=vocabulary,
            absent=self.absent,
            feature_type=as_names(self.feature_type),
            measured_in=self.measured_in,
            highly_variable=None
            if variable is None
            else HighlyVariable(n_top_genes=variable.n_top_genes, batch=as_names(variable.batch)),
        )
