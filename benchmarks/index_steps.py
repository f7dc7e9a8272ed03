"""The two steps over all obs of a release, each as a program: the index, and the filter over it."""

import argparse
import json
import time
from pathlib import Path

from cxg_assets.ingest.index import CensusIndex, write_index
from cxg_assets.ingest.release import read_release
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.subset import write_subset

ORGANISM = "homo_sapiens"
VALUE_FILTER = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"


def index(census_uri: str, folder: Path) -> dict[str, float]:
    """Writes the index."""
    release = read_release("benchmark", census_uri, None, {})
    with release.locator({}).open() as census:
        began = time.monotonic()
        made = write_index(census, release, ORGANISM, folder / "index.feather")
        seconds = time.monotonic() - began
    (folder / "index.json").write_bytes(made.to_json())
    return {"n_obs": made.n_obs, "seconds": seconds, "n_bytes": made.n_bytes}


def select(census_uri: str, folder: Path) -> dict[str, float]:
    """Filters the index."""
    made = CensusIndex.from_json((folder / "index.json").read_bytes())
    with made.release.locator({}).open() as census:
        var, layers = census.var(ORGANISM), census.layers(ORGANISM)
    spec = SubsetSpec(name="benchmark", organism=ORGANISM, value_filter=VALUE_FILTER)
    began = time.monotonic()
    files = [folder / name for name in ("obs.feather", "var.feather")]
    subset = write_subset(spec, made, folder / "index.feather", var, layers, *files)
    return {"n_obs": subset.n_obs, "seconds": time.monotonic() - began, "n_obs_before": subset.n_obs_before}


def main() -> None:
    """Runs one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["index", "filter"])
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    step = index if options.step == "index" else select
    options.json.write_text(json.dumps(step(options.census_uri, options.folder)))


if __name__ == "__main__":
    main()
