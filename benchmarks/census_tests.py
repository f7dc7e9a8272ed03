"""Runs the Census's own tests against a demo census, behind a stand-in of the public service.

    python -m benchmarks.census_tests CHECKOUT [--census PATH] [OPTIONS OF PYTEST]

CHECKOUT is a clone of chanzuckerberg/cellxgene-census. See docs/reference/census-tests.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo import build_demo, build_once
from cxg_assets_tests.servers.counted_s3 import upload
from cxg_assets_tests.servers.public_census import (
    BUCKET,
    EMBEDDINGS,
    EMBEDDINGS_BUCKET,
    EMBEDDINGS_BUILD,
    PublicCensus,
    serve_public_census,
)

TESTS = "api/python/cellxgene_census/tests"
OLD = "2023-12-15"
"""A release that some tests ask for: it has embeddings of cells inside, and one of genes is hosted for it."""

INSIDE, OF_GENES = ("scvi", "geneformer"), "nmf"
HUMAN, N_FEATURES = "homo_sapiens", 10

FILES = ("test_acceptance.py", "test_get_anndata.py", "test_get_helpers.py", "test_lts_compat.py")


def main() -> int:
    """Runs them, and returns what pytest returned."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.census_tests", description=__doc__)
    parser.add_argument("checkout", type=Path, help="a clone of chanzuckerberg/cellxgene-census")
    parser.add_argument("--census", type=Path, help="a demo census (default: one that is built, as by cxg-assets demo)")
    options, arguments = parser.parse_known_args()
    tests = options.checkout.absolute() / TESTS
    if missing := [name for name in FILES if not (tests / name).exists()]:
        parser.error(f"{tests} has no {' and no '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        census = options.census or Path(folder) / "census"
        build_once(census, build_demo)
        return _run(tests, census, Path(folder), arguments)


def _run(tests: Path, census: Path, folder: Path, arguments: list[str]) -> int:
    with serve_public_census(census, folder) as public:
        _add_old_release(public, census, folder)
        # The tests open the Census themselves: TileDB learns of the stand-in from the environment.
        tiledb = {f"TILEDB_{name.upper().replace('.', '_')}": value for name, value in public.tiledb_config.items()}
        others = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        # Without the settings of this project's own pytest, and of the clone's.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "-rfE", "--tb=short"]
        environment = others | public.environment | tiledb
        return subprocess.run([*command, *FILES, *arguments], cwd=tests, env=environment, check=False).returncode


def _add_old_release(public: PublicCensus, census: Path, folder: Path) -> None:
    """Serves a copy of the census as that release."""
    old, hosted = folder / "old", folder / "old-hosted"
    shutil.copytree(census, old, ignore=shutil.ignore_patterns("embeddings"))
    with soma.Collection.open(str(old)) as opened:
        rna: Any = opened["census_data"][HUMAN].ms["RNA"]  # pyright: ignore[reportIndexIssue]
        uri, n_obs, n_vars = rna.uri, rna.X["raw"].shape[0], rna.var.count
    with soma.Measurement.open(uri, "w") as rna, rna.add_new_collection("obsm") as obsm:
        for name in INSIDE:
            with obsm.add_new_sparse_ndarray(name, type=pa.float32(), shape=(n_obs, N_FEATURES)) as array:
                array.write(_numbers(n_obs))
    about = {
        "id": "CxG-demo-of-genes", "embedding_name": OF_GENES, "data_type": "var_embedding", "experiment_name": HUMAN,
        "measurement_name": "RNA", "census_version": OLD, "submission_date": OLD,
    }  # fmt: skip
    place = hosted / OLD / about["id"]
    place.parent.mkdir(parents=True)
    with soma.SparseNDArray.create(str(place), type=pa.float32(), shape=(n_vars, N_FEATURES)) as array:
        array.metadata["CxG_embedding_info"] = json.dumps(about)
        array.write(_numbers(n_vars))
    upload(old, public.endpoint_url, BUCKET, f"cell-census/{OLD}/soma", acl="public-read")
    upload(hosted, public.endpoint_url, EMBEDDINGS_BUCKET, EMBEDDINGS, acl="public-read")
    described = json.dumps(public.releases[EMBEDDINGS_BUILD]).replace(EMBEDDINGS_BUILD, OLD)
    public.releases[OLD] = json.loads(described)
    public.directory.files["contributions.json"][about["id"]] = about


def _numbers(n_rows: int) -> pa.Table:
    """Any numbers, for each of so many cells or genes."""
    values = np.random.default_rng(0).normal(size=n_rows * N_FEATURES).astype(np.float32)
    rows, columns = np.divmod(np.arange(len(values)), N_FEATURES)
    return pa.table({"soma_dim_0": rows, "soma_dim_1": columns, "soma_data": values})


if __name__ == "__main__":
    sys.exit(main())
