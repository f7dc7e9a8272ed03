"""obsm of chunks: hosted embeddings and obsm layers are what `get_anndata` returns, in every order and format."""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import cellxgene_census._get_anndata
import cellxgene_census.experimental._embedding
import h5py
import numpy as np
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.demo.hosted.embeddings import MISSING_EVERY, N_FEATURES
from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk, read_report
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.embeddings.obsm import find_obsm
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.pools.pieces import remove_pieces
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets.resources.census import CensusResource
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested
from cxg_assets_tests.servers.public_census import PublicCensus

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
HUMAN = "homo_sapiens"
NAMES = ("scvi", "tf-sapiens")
OLD = "geneformer"

WAYS: dict[str, dict[str, Any]] = {
    "h5ad": {"compression": "gzip", "obsm_layers": (OLD,)},
    "shuffled": {"compression": "none", "order": "shuffled"},
    "two passes": {"order": "fully_shuffled", "further_layers": {"normalized": "normalized"}},
    "zarr": {"order": "shuffled", "format": "zarr", "obsm_layers": (OLD,)},
}


@pytest.fixture(scope="module")
def own_census(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo census that has an obsm layer of its own, as older releases do; a few cells lack it."""
    path = tmp_path_factory.mktemp("embeddings") / "census"
    shutil.copytree(census_uri, path)
    with soma.Experiment.open(f"{path}/census_data/{HUMAN}") as human:
        n_obs = human.obs.count
    joinids = np.arange(0, n_obs, 2)
    with (
        soma.Measurement.open(f"{path}/census_data/{HUMAN}/ms/RNA", "w") as rna,
        rna.add_new_collection("obsm") as obsm,
        obsm.add_new_sparse_ndarray(OLD, type=pa.float32(), shape=(n_obs, 3)) as array,
    ):
        values = np.random.default_rng(0).normal(size=len(joinids)).astype(np.float32)
        array.write(pa.table({"soma_dim_0": joinids, "soma_dim_1": joinids % 3, "soma_data": values}))
    return path


@pytest.fixture(scope="module")
def client(own_census: Path) -> Iterator[Callable[..., Any]]:
    """The Census's own `get_anndata`, for which the public service is on this machine."""
    release = read_release("own", str(own_census), None, {})
    hosted = own_census / "embeddings"
    handler = functools.partial(_Quiet, directory=str(hosted))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    library, embedding = cellxgene_census._get_anndata, cellxgene_census.experimental._embedding
    url = f"http://127.0.0.1:{server.server_port}/contributions.json"
    described = {"release_build": release.build}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("NO_PROXY", "127.0.0.1")
        patched.setattr(embedding, "CELL_CENSUS_EMBEDDINGS_MANIFEST_URL", url)
        patched.setattr(embedding, "get_census_version_description", lambda _: described)
        patched.setattr(embedding, "open_soma", lambda **_: soma.open(str(own_census)))
        patched.setattr(library, "_extract_census_version", lambda _: release.build)
        patched.setattr(library, "get_census_version_directory", lambda: {release.build: described})
        patched.setattr(library, "CENSUS_EMBEDDINGS_LOCATION_BASE_URI", f"{hosted}/soma/")
        with soma.Collection.open(str(own_census)) as census:
            yield functools.partial(get_anndata, census, HUMAN)
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module", params=WAYS)
def made(
    ingest: Ingest,
    spec: Callable[..., SubsetSpec],
    own_census: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Ingested:
    """Some 130 cells in files of 60, with embeddings."""
    way = dict(WAYS[request.param])
    order = Order(kind=way.pop("order", "census"), seed=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 400_000)
        patched.setattr(cutting, "PIECE_NNZ", 1)
        wanted = spec(max_obs=130, chunk_size=60, order=order, obs_embeddings=NAMES, **way)
        made = ingest(wanted, tmp_path_factory.mktemp("made").as_uri(), uri=str(own_census), n_workers=2)
    assert not made.failures
    if made.job.pieces is not None:
        remove_pieces(made.store, made.job.pieces)
    return made


def test_obsm_is_what_the_census_returns(made: Ingested, client: Callable[..., Any]) -> None:
    n_missing = 0
    for chunk in made.plan.chunks:
        adata: Any = fetch_chunk(made.store, made.plan.header, chunk).read()
        joinids = adata.obs["soma_joinid"].to_numpy()
        n_missing += int((joinids % MISSING_EVERY == 0).sum())
        expected = client(
            obs_coords=joinids,
            var_coords=[0],
            obs_embeddings=made.spec.obs_embeddings,
            obsm_layers=made.spec.obsm_layers,
        )
        rows = np.searchsorted(np.sort(joinids), joinids)
        assert set(adata.obsm) == set(expected.obsm) == {*made.spec.obs_embeddings, *made.spec.obsm_layers}
        for name in expected.obsm:
            assert adata.obsm[name].dtype == expected.obsm[name].dtype == np.float32
            np.testing.assert_array_equal(adata.obsm[name], expected.obsm[name][rows])
        assert np.isnan(adata.obsm["scvi"]).all(axis=1).tolist() == (joinids % MISSING_EVERY == 0).tolist()
        assert adata.uns["cxg_assets"]["obs_embeddings"] == "scvi (CxG-demo-1), tf-sapiens (CxG-demo-2)"
    assert n_missing


def test_verify_compares_obsm_with_the_census(made: Ingested) -> None:
    dataset = publish(made.store, made.plan, made.reports, made.census)

    assert verify(made.store, dataset, made.census) == []


def test_a_changed_value_is_found(
    ingest: Ingest, spec: Callable[..., SubsetSpec], own_census: Path, store_url: str
) -> None:
    wanted = spec(max_obs=30, obs_embeddings=NAMES[:1], compression="none")
    made = ingest(wanted, store_url, uri=str(own_census))
    [chunk] = made.plan.chunks
    with h5py.File(made.file(chunk), "r+") as opened:
        file: Any = opened
        file["obsm/scvi"][7, 3] += 1
    dataset = publish(made.store, made.plan, [read_report(made.store, made.plan.header, chunk)], made.census)

    [finding] = verify(made.store, dataset, made.census)

    assert "obsm/scvi differs from the Census" in finding.what


@pytest.fixture(scope="module")
def locator(own_census: Path) -> CensusLocator:
    return read_release("own", str(own_census), None, {}).locator({})


def test_names_that_are_not_there_are_refused_with_those_that_are(
    locator: CensusLocator, spec: Callable[..., SubsetSpec]
) -> None:
    for wanted, said in (
        (spec(obs_embeddings=("scvii",)), "obs_embeddings: scvii is not hosted for homo_sapiens of 2025-01-01; there "
         "are scvi, tf-sapiens"),
        (spec(organism="mus_musculus", genes=None, obs_embeddings=("scvi",)), "obs_embeddings: scvi is not hosted for "
         "mus_musculus of 2025-01-01; there are none; CXG_CENSUS_EMBEDDINGS_MANIFEST and"),
        (spec(obsm_layers=("emb",)), r"obsm_layers: census .* has no obsm emb for homo_sapiens; it has geneformer"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            check_subset(wanted, locator)


def test_of_two_of_one_name_the_newer_counts_and_one_of_another_build_is_refused(
    locator: CensusLocator, tmp_path: Path
) -> None:
    assert locator.embeddings is not None
    manifest = json.loads(Path(locator.embeddings.manifest).read_text())
    manifest["other"] = {**manifest["CxG-demo-2"], "embedding_name": "scvi", "submission_date": "2025-03-01"}
    file = tmp_path / "contributions.json"
    file.write_text(json.dumps(manifest))
    place = replace(locator.embeddings, manifest=str(file))

    found = find_obsm(replace(locator, embeddings=place), HUMAN, ("scvi",), ())

    assert (found["scvi"].hosted_id, found["scvi"].n_features) == ("CxG-demo-2", N_FEATURES["tf-sapiens"])
    for entry in manifest.values():
        entry["census_version"] = "2024-01-01"
    file.write_text(json.dumps(manifest))
    arrays = tmp_path / "soma"
    shutil.copytree(f"{locator.embeddings.arrays}/2025-01-01", arrays / "2024-01-01")
    other = replace(place, build="2024-01-01", arrays=str(arrays))
    with pytest.raises(BadInput, match="is of homo_sapiens of 2025-01-01, and not of homo_sapiens of 2024-01-01"):
        find_obsm(replace(locator, embeddings=other), HUMAN, ("scvi",), ())


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (None, BadInput, "this Census has none: .*contributions.json is not there; CXG_CENSUS_EMBEDDINGS_MANIFEST and"),
        ("[]", CxgError, "is JSON, but not an object"),
        ("{", CxgError, "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_named(
    locator: CensusLocator, tmp_path: Path, text: str | None, kind: type[Exception], said: str
) -> None:
    assert locator.embeddings is not None
    file = tmp_path / "contributions.json"
    if text is not None:
        file.write_text(text)
    place = replace(locator.embeddings, manifest=str(file))
    with pytest.raises(kind, match=said):
        find_obsm(replace(locator, embeddings=place), HUMAN, ("scvi",), ())


def test_those_of_the_public_census_are_found_by_its_manifest_and_read_without_keys(
    public: PublicCensus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resource = CensusResource(version="stable")
    census = resource.locator(resource.release())

    found = find_obsm(census, HUMAN, NAMES, ())

    assert [array.uri for array in found.values()] == [
        f"s3://cellxgene-contrib-public/contrib/cell-census/soma/2025-11-08/CxG-demo-{number}" for number in (1, 2)
    ]
    assert public.refused == []
    monkeypatch.setenv("CXG_CENSUS_EMBEDDINGS_MANIFEST", str(tmp_path / "contributions.json"))
    monkeypatch.setenv("CXG_CENSUS_EMBEDDINGS_URI", "s3://mirror/soma")
    mirrored = resource.locator(resource.release()).embeddings
    assert mirrored is not None
    assert (mirrored.manifest, mirrored.uri("a")) == (
        str(tmp_path / "contributions.json"),
        "s3://mirror/soma/2025-11-08/a",
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"obs_embeddings": ("a/b",)}, "obs_embeddings: 'a/b' cannot be a name in obsm; take it out"),
        ({"obs_embeddings": ("a", "a")}, "obs_embeddings: 'a' is listed twice for obsm; take one out"),
        ({"obs_embeddings": ("a",), "obsm_layers": ("a",)}, "obsm_layers: 'a' is listed twice for obsm; take one out"),
    ],
)
def test_names_that_cannot_be_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        SubsetSpec(name="a", organism="b", **given)
    assert str(refused.value) == says
