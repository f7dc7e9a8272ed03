"""A message shows of what was given what is needed to find it, and never more than 200 characters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dagster_aws.s3 import S3Resource

from cxg_assets.ingest.errors import MAX_SHOWN, BadInput, CxgError, shown, shown_names, shown_path, shown_text
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.list_files import read_gene_file
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.probe import probe
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import check_path
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.descriptions import OwnersAndTags

LONG = "é" * 5_000
"""What somebody gave."""

SCHEMA = pa.schema({"tissue": pa.string(), "nnz": pa.int64()})
VAR = pa.table({"feature_id": ["ENSG1"], "feature_name": ["CD4"]})


@pytest.mark.parametrize("value", ["short", "'", 5, None, ["a", "b"], {"a": 1}])
def test_what_is_short_is_shown_as_python_writes_it(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize("value", ["x" * 201, "\x00" * 150, "\n" * 10_000_000, ["y"] * 500, {"z" * 300: 1}])
def test_what_is_long_is_cut_inside_of_its_quotes(value: object) -> None:
    text = shown(value)
    assert len(text) == MAX_SHOWN
    assert (text[0], text[-2], text[-1]) == (repr(value)[0], "…", repr(value)[-1])


def test_text_is_shown_on_one_line_and_a_path_with_its_end() -> None:
    assert shown_text("a\n  b") == "a b"
    assert len(shown_text("a b " * 1_000)) == MAX_SHOWN
    assert shown_path("/a/b.txt") == "/a/b.txt"
    path = shown_path(f"/first/{LONG}/last.txt")
    assert len(path) <= MAX_SHOWN
    assert path.startswith("/first/é")
    assert path.endswith("é/last.txt")


def test_of_many_names_the_first_are_shown_and_the_others_counted() -> None:
    assert shown_names(["a", "b"]) == "a, b"
    assert shown_names(["a", "b", "c"], 2) == "a, b and 1 more"
    assert shown_names(["x" * 90] * 5) == f"{'x' * 90}, {'x' * 90} and 3 more"
    assert shown_names([LONG, "b"]) == f"{'é' * 199}… and 1 more"


GIVEN: dict[str, Callable[[], Any]] = {
    "name": lambda: SubsetSpec(name=LONG, organism="homo_sapiens"),
    "organism": lambda: SubsetSpec(name="a", organism=LONG),
    "layer": lambda: SubsetSpec(name="a", organism="b", layer=LONG),
    "compression": lambda: SubsetSpec(name="a", organism="b", compression=LONG),
    "format": lambda: SubsetSpec(name="a", organism="b", format=LONG),
    "genes_text": lambda: SubsetSpec(name="a", organism="b", genes_text=LONG),
    "chunk_size": lambda: SubsetSpec(name="a", organism="b", chunk_size=LONG),  # type: ignore[arg-type]
    "a column with a slash": lambda: SubsetSpec(name="a", organism="b", obs_columns=(f"/{LONG}",)),
    "a column twice": lambda: SubsetSpec(name="a", organism="b", obs_columns=(LONG, LONG)),
    "many columns twice": lambda: SubsetSpec(
        name="a", organism="b", obs_columns=tuple(f"column_{n}" for n in range(1_000)) * 2
    ),
    "a feature_id": lambda: GeneSelection(feature_ids=(LONG,)),
    "feature_ids that are not there": lambda: select_genes(
        VAR, GeneSelection(feature_ids=tuple("E" * 3_000 + str(n) for n in range(9)))
    ),
    "feature_ids twice": lambda: select_genes(VAR, GeneSelection(feature_ids=("E" * 5_000, "E" * 5_000))),
    "an owner": lambda: OwnersAndTags(owners=(LONG,)),
    "the name of a tag": lambda: OwnersAndTags(tags={LONG: "a"}),
    "the value of a tag": lambda: OwnersAndTags(tags={"a": LONG}),
    "a filter that does not parse": lambda: parse_filter(f"tissue == '{LONG}' and", SCHEMA),
    "a column of a filter": lambda: parse_filter(f"{'x' * 5_000} == 1", SCHEMA),
    "a value of a filter": lambda: parse_filter(f"nnz == '{LONG}'", SCHEMA),
    "columns that obs does not have": lambda: parse_obs_filter(None, [LONG, *(f"c{n}" for n in range(500))], SCHEMA),
    "a destination": lambda: StoreLocator(url=f"ftp://{LONG}"),
    "a bucket": lambda: StoreLocator(url=f"s3://{LONG}/a"),
    "a segment": lambda: StoreLocator(url=f"s3://bucket/%2e%2e/{LONG}"),
    "a path below a store": lambda: check_path(f"../{LONG}", "file:///store"),
    "a folder that cannot be made": lambda: probe(StoreLocator(url=f"file:///tmp/{'x' * 5_000}")),
    "an endpoint": lambda: S3Settings(endpoint_url=LONG),
    "an encryption": lambda: StoreLocator(url="s3://bucket", encryption=LONG),
    "an addressing": lambda: StoreResource(s3=S3Resource(), addressing=LONG).locator("s3://bucket"),
    "the build of a Census": lambda: index_path(LONG, "homo_sapiens"),
    "a gene file that is not there": lambda: read_gene_file(Path("/tmp") / LONG),
}


@pytest.mark.parametrize("given", GIVEN)
def test_an_error_does_not_drown_in_what_was_given(given: str) -> None:
    with pytest.raises((BadInput, CxgError)) as caught:
        GIVEN[given]()
    message = str(caught.value)
    assert max(message.count(character) for character in "éxE") <= MAX_SHOWN, message
    assert len(message) < 3 * MAX_SHOWN, message
