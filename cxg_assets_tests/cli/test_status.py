"""`cxg-assets status`: stored and missing chunks, what is Unsynced and why, what is published, and links."""

import json
import shutil
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import urlopen

import pytest

from cxg_assets.cli.project import dagster_instance, default_store, load_subset
from cxg_assets.components.defs_folder import PACKAGE_DEFS
from cxg_assets.ingest.quantities import size
from cxg_assets.names import h5ad_chunks_key
from cxg_assets_tests.cli.command import cxg_assets, files_below
from cxg_assets_tests.cli.conftest import SUBSET, Finished
from cxg_assets_tests.servers.strict_s3 import Key, StrictS3


def test_a_finished_subset_shows_its_counts_and_that_this_plan_is_published(
    finished: Finished, finished_home: Path
) -> None:
    summary = finished.summary
    outcome = cxg_assets("status", SUBSET)
    assert outcome.exit_code == 0, outcome.stderr
    home, plan, counts, unsynced, in_sync, speed, published = outcome.stdout.splitlines()
    assert home == f"home: {finished_home}, as CXG_HOME says"
    assert plan.startswith(f"{SUBSET}: plan ")
    assert plan.endswith(f", {summary['n_obs']:,} cells in {summary['n_files']:,} chunks")
    assert counts == f"  stored {summary['n_files']:,}, missing 0, {size(summary['total_bytes'])}"
    # The ingest was told another chunk size than the YAML has.
    assert unsynced == (
        f"  chunk_plan: Unsynced (1): {SUBSET}/chunk_plan has a new code version "
        "(the YAML was edited: chunk_size was 300, is now 1,000)"
    )
    assert in_sync == "  in sync: filtered_subset, h5ad_chunks, dataset"
    assert speed.startswith(f"  last run that wrote: {summary['n_files']:,} chunks, {summary['n_obs']:,} cells, ")
    assert f": {summary['cells_per_second']:,.0f} cells/s, " in speed
    assert published.startswith("  published ")
    assert published.endswith(f": this plan, {summary['n_obs']:,} cells")


def test_each_organism_of_one_yaml_is_a_subset(home: Path, defs: Path) -> None:
    yaml = defs / "immune" / "defs.yaml"
    yaml.parent.mkdir()
    yaml.write_text(
        "type: cxg_assets.CensusSubset\nattributes:\n  name: immune\n  organisms: [homo_sapiens, mus_musculus]\n"
    )
    names = ["immune_homo_sapiens", "immune_mus_musculus"]
    shown = [line.split()[0] for line in cxg_assets("status").stdout.splitlines() if line.startswith("immune")]
    assert shown[:2] == names
    assert load_subset(names[1]).spec.organism == "mus_musculus"
    outcome = cxg_assets("status", "immune")
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(f"there is no subset 'immune' in {defs}; the subsets are: {', '.join(names)}\n")

    text = yaml.read_text()
    yaml.write_text(text.replace("[homo_sapiens, mus_musculus]", '"{{ [\'homo_sapiens\', \'mus_musculus\'] }}"'))
    says = f"{yaml}: organisms: write the list itself; a template hides how the subsets are named"
    assert cxg_assets("status", "immune").stderr == f"cxg-assets: {says}\n"

    yaml.write_text(text + "  chunk_size: 0\n")
    outcome = cxg_assets("status")
    assert outcome.stderr.count(f"{yaml}:5: chunk_size: 0 is not a positive whole number") == 1


def test_after_an_edit_of_the_yaml_it_is_told_what_is_unsynced_and_which_attribute_was_edited(
    finished_home: Path, defs: Path
) -> None:
    yaml = defs / SUBSET / "defs.yaml"
    yaml.parent.mkdir()
    text = (PACKAGE_DEFS / SUBSET / "defs.yaml").read_text().replace("chunk_size: 1000", "chunk_size: 300")
    yaml.write_text(text)
    in_sync = "  in sync: filtered_subset, chunk_plan, h5ad_chunks, dataset"
    assert in_sync in cxg_assets("status", SUBSET).stdout.splitlines()

    edited = text.replace("'blood'", "'lung'").replace("tissue, ", "").replace("gzip", "lzf")
    yaml.write_text(edited + "  order: shuffled\n")

    shown = cxg_assets("status", SUBSET).stdout.splitlines()
    assert shown[3:6] == [
        f"  filtered_subset: Unsynced (1): {SUBSET}/filtered_subset has a new code version (the YAML was edited: "
        "value_filter was `tissue_general == 'blood' and disease == 'normal' and is_pri…`, is now `tissue_general == "
        "'lung' and disease == 'normal' and is_prim…`; obs_columns: tissue taken out)",
        f"  chunk_plan: Unsynced (1): {SUBSET}/chunk_plan has a new code version (the YAML was edited: compression was "
        "gzip, is now lzf; order was census, is now shuffled, seed 0)",
        "  in sync: h5ad_chunks, dataset",
    ]


def test_a_look_at_the_status_makes_no_dagster_instance_and_no_store(home: Path) -> None:
    assert cxg_assets("status").exit_code == 0
    assert files_below(home) == {}


def test_a_look_at_the_status_writes_nothing(finished_home: Path) -> None:
    before = {path: path.read_bytes() for path in finished_home.rglob("*") if path.is_file()}
    assert cxg_assets("status").exit_code == 0
    after = {path: path.read_bytes() for path in finished_home.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert [path for path in before if after[path] != before[path]] == []


def test_on_a_machine_without_record_the_published_plan_is_shown_and_said_to_be_not_on_record(
    finished_home: Path,
) -> None:
    shutil.rmtree(finished_home / "dagster")

    shown = cxg_assets("status", SUBSET).stdout.splitlines()

    assert shown[1].startswith(f"{SUBSET}: plan ")
    assert shown[3] == "  not on record: there is no Dagster instance here"
    assert not (finished_home / "dagster").exists()


def test_a_file_that_was_lost_counts_as_missing(finished: Finished, finished_home: Path) -> None:
    lost = sorted((finished_home / "store").rglob("*.h5ad"))[0]
    left = finished.summary["total_bytes"] - lost.stat().st_size
    lost.unlink()
    counts = cxg_assets("status", SUBSET).stdout.splitlines()[2]
    assert counts == f"  stored {finished.summary['n_files'] - 1:,}, missing 1, {size(left)}"


def test_without_a_name_every_subset_is_shown_in_a_table_and_then_one_by_one(
    finished: Finished, finished_home: Path
) -> None:
    summary = finished.summary
    shown = cxg_assets("status").stdout
    _, headings, first, second, blank, *one_by_one = shown.splitlines()
    assert headings.split() == ["subset", "cells", "chunks", "missing", "size", "published"]
    n_obs, n_files, n_bytes = summary["n_obs"], summary["n_files"], size(summary["total_bytes"])
    assert first.split()[:6] == [SUBSET, f"{n_obs:,}", f"{n_files:,}", "0", *n_bytes.split()]
    assert second.split() == ["immune_markers", "-", "-", "-", "-", "-"]
    # Numbers end where their heading does.
    assert {line.index(" ", line.index(number)) for line, number in ((headings, "cells"), (first, f"{n_obs:,}"))} == {
        headings.index("cells") + len("cells")
    }
    assert (blank, one_by_one) == ("", cxg_assets("status", SUBSET).stdout.splitlines()[1:] + one_by_one[-1:])
    assert one_by_one[-1] == "immune_markers: not planned yet; cxg-assets ingest immune_markers makes it"


def test_as_json_the_same_figures_are_told(finished: Finished, finished_home: Path, defs: Path) -> None:
    shutil.copytree(PACKAGE_DEFS, defs, dirs_exist_ok=True)
    (defs / "broken").mkdir()
    (defs / "broken" / "defs.yaml").write_text("type: cxg_assets.CensusSubset\nattributes: {name: 1}\n")
    summary, files = finished.summary, sorted((finished_home / "store").rglob("*.h5ad"))

    outcome = cxg_assets("status", "--json", "--links")

    assert outcome.exit_code == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    assert told["home"] == str(finished_home)
    assert outcome.stderr.splitlines() == [f"cxg-assets: warning: {line}" for line in told["mistakes"]] != []
    made, never = told["subsets"]
    assert made["subset"] == SUBSET
    assert made["plan_id"] in {path.parent.name for path in files}
    figures = {"n_obs": summary["n_obs"], "n_chunks": len(files), "n_stored": len(files), "n_missing": 0}
    assert figures | {"n_bytes": summary["total_bytes"]} == {name: made[name] for name in (*figures, "n_bytes")}
    assert made["published"] == {
        "plan_id": made["plan_id"],
        "n_obs": summary["n_obs"],
        "published_at": json.loads((finished_home / "store" / SUBSET / "dataset.json").read_text())["published_at"],
    }
    assert made["assets"]["chunk_plan"] == {
        "n": 1,
        "n_never_materialized": 0,
        "unsynced": [{"n": 1, "causes": [f"{SUBSET}/chunk_plan has a new code version"]}],
        "edited": ["chunk_size was 300, is now 1,000"],
    }
    assert made["assets"]["h5ad_chunks"] == {
        "n": len(files),
        "n_never_materialized": 0,
        "unsynced": [],
        "edited": [],
    }
    assert made["last_run"]["n_obs"] == summary["n_obs"]
    assert made["last_run"]["cells_per_second"] == summary["cells_per_second"]
    assert made["links"] == [file.as_uri() for file in files]
    store = (finished_home / "store").as_uri()
    assert never == {
        "subset": "immune_markers", "store": store, "plan_id": None, "published": None, "links": [],
    }  # fmt: skip


def test_a_dataset_that_was_taken_back_is_not_published(finished_home: Path) -> None:
    (finished_home / "store" / SUBSET / "dataset.json").unlink()
    assert cxg_assets("status", SUBSET).stdout.splitlines()[-1] == "  nothing is published"


def test_an_unknown_subset_is_answered_with_those_there_are(home: Path) -> None:
    outcome = cxg_assets("status", "blood_norml")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("cxg-assets: there is no subset 'blood_norml' in ")
    assert "the subsets are: blood_normal, immune_markers" in outcome.stderr


@pytest.fixture
def finished_in_s3(finished_home: Path, server: StrictS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished subset in a bucket that nobody may read without keys."""
    server.use(monkeypatch, uuid.uuid4().hex)
    store = default_store().locator().open()
    for path in files_below(finished_home / "store" / SUBSET):
        store.put(f"{SUBSET}/{path}", finished_home / "store" / SUBSET / path)


def test_links_to_a_bucket_are_good_for_anybody_and_give_the_chunks(
    finished_in_s3: None, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = [file.read_bytes() for file in sorted((finished.home / "store").rglob("*.h5ad"))]

    outcome = cxg_assets("status", SUBSET, "--links", "--hours", "0.5")

    assert outcome.exit_code == 0, outcome.stderr
    links = [line for line in outcome.stdout.splitlines() if line.startswith("http")]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert [download(link) for link in links] == chunks
    queries = [dict(parse_qsl(urlsplit(link).query)) for link in links]
    assert {query["X-Amz-Expires"] for query in queries} == {"1800"}
    assert Key().secret not in outcome.stdout
    for wrong in (links[0].split("?")[0], links[0].replace("Expires=1800", "Expires=9999")):
        with pytest.raises(HTTPError, match="403"):
            download(wrong)


def test_only_chunks_that_are_stored_get_a_link(finished_in_s3: None, finished: Finished) -> None:
    store = default_store().locator().open()
    lost = next(path for path in store.sizes("") if path.endswith(".h5ad"))
    store.delete(lost)

    links = [line for line in cxg_assets("status", SUBSET, "--links").stdout.splitlines() if line.startswith("http")]

    assert len(links) == finished.summary["n_files"] - 1
    assert [link for link in links if Path(lost).name in link] == []


def test_links_of_a_folder_are_the_files_themselves(finished: Finished, finished_home: Path) -> None:
    files = [file.as_uri() for file in sorted((finished_home / "store").rglob("*.h5ad"))]

    shown = cxg_assets("status", SUBSET, "--links").stdout.splitlines()

    assert [line for line in shown if line.startswith("file://")] == files


def test_without_being_asked_for_there_are_no_links(finished_in_s3: None) -> None:
    assert "http" not in cxg_assets("status", SUBSET).stdout


def test_links_are_kept_nowhere(finished_in_s3: None, finished_home: Path) -> None:
    assert cxg_assets("status", SUBSET, "--links").exit_code == 0

    kept = [file for file in finished_home.rglob("*") if file.is_file() and b"X-Amz-" in file.read_bytes()]
    assert kept == []
    with dagster_instance() as instance:
        records = instance.fetch_materializations(h5ad_chunks_key(SUBSET), limit=1_000).records
    texts = [str(entry.value) for record in records for entry in record.asset_materialization.metadata.values()]  # type: ignore[union-attr]
    assert [text for text in texts if "http" in text] == []


def download(url: str) -> bytes:
    """What a browser gets that knows no keys."""
    with urlopen(url) as answer:
        return answer.read()
