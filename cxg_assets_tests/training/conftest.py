"""Published datasets for the loader, in a folder and in S3.

| fixture | what it is |
| --- | --- |
| `split_cells_in_folder` | a subset with a split, six small files |
| `cells` | its reference: all chunks, joined by anndata |
| `in_s3` | the same dataset in S3, copied |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import boto3
import numpy as np
import pytest

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.sampling import Split
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import Batch, Batches
from cxg_assets_tests.conftest import S3_SETTINGS, Ingest
from cxg_assets_tests.ingested import Ingested

N_OBS = 900


@dataclass(frozen=True)
class Cells:
    """All cells of a dataset, by soma_joinid: the reference."""

    adata: Any

    def of(self, joinids: np.ndarray) -> Any:
        """These cells, in this order."""
        return self.adata[self.adata.obs_names.get_indexer([str(joinid) for joinid in joinids])]

    @property
    def joinids(self) -> list[int]:
        return self.adata.obs.soma_joinid.tolist()


@pytest.fixture(scope="session")
def in_folder(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    shares = {"train": 0.7, "test": 0.3}
    made = ingest(
        spec(max_obs=N_OBS, chunk_size=130, genes=None, split=Split(shares=shares)),
        tmp_path_factory.mktemp("training").as_uri(),
    )
    publish(made.store, made.plan, made.reports, made.census)
    return made


@pytest.fixture(scope="session")
def url(in_folder: Ingested) -> str:
    return f"{in_folder.store.url}/blood_normal"


@pytest.fixture(scope="session")
def cells(in_folder: Ingested) -> Cells:
    return Cells(anndata.concat([in_folder.read(chunk) for chunk in in_folder.plan.chunks], merge="same"))


@pytest.fixture(scope="session")
def in_s3(in_folder: Ingested, s3_endpoint: str) -> StoreLocator:
    settings = replace(S3_SETTINGS, endpoint_url=s3_endpoint)
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )
    client.create_bucket(Bucket="training")
    folder = Path(in_folder.store.url.removeprefix("file://"))
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "training", f"store/{file.relative_to(folder).as_posix()}")
    return StoreLocator(url="s3://training/store", s3=settings)


def joinids(loader: Batches | list[Batch]) -> list[int]:
    """soma_joinids of all cells that are handed out, in order."""
    return [joinid for batch in loader for joinid in batch.joinids.tolist()]
