"""`cxg-assets doctor`: a sound machine passes, and whatever is wrong is told beside what is right."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cxg_assets.cli.doctor import command as doctor
from cxg_assets.cli.doctor.machine import DiskNeed, Node, WorkerLoad, check_cpu, check_disk, check_memory
from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.finding import Finding, Severity
from cxg_assets_tests.cli.command import Outcome, cxg_assets, declare, files_below
from cxg_assets_tests.cli.conftest import SUBSET, Finished
from cxg_assets_tests.conftest import Bucket

GIB = 2**30

LOAD = WorkerLoad(
    n_chunks=100, chunk_nnz=20_000_000, chunk_size=10_000, n_vars=60_000, compression="gzip", known_from="plan 1"
)
"""A worker of these takes 1.1 GiB."""


pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.fixture
def in_s3(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket, reached as the environment says, with the default store in it."""
    for name, value in s3.environment("store").items():
        monkeypatch.setenv(name, value)
    return s3


def levels(outcome: Outcome) -> list[tuple[str, str]]:
    """Level and subject of each line."""
    return [(line.split()[0], line.split()[1]) for line in outcome.stdout.splitlines()]


def line_of(outcome: Outcome, subject: str) -> str:
    """The one line of a subject."""
    [line] = [line for line in outcome.stdout.splitlines() if line.split()[1] == subject]
    return line


def test_a_sound_machine_passes_and_nothing_is_left_there(home: Path, census_uri: str) -> None:
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 0, outcome.stdout
    subjects = ["home", "yaml", "cpu", "dagster", "ray", "destination", "census", "memory", "disk"]
    assert [subject for _, subject in dict.fromkeys(levels(outcome))] == subjects
    assert "FAILED" not in outcome.stdout
    assert line_of(outcome, "census").endswith(f" cells, {census_uri}")
    assert files_below(home) == {}


def test_a_subset_that_is_made_is_looked_at_with_its_plan(finished: Finished, finished_home: Path) -> None:
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 0, outcome.stdout
    assert line_of(outcome, "subset").startswith("ok ")
    assert line_of(outcome, "plan").endswith(f": {finished.summary['n_files']:,} chunks, 0 not stored")
    assert "300 cells a file" in line_of(outcome, "memory")


def test_a_chunk_that_was_lost_needs_room(finished: Finished, finished_home: Path) -> None:
    sorted((finished_home / "store").rglob("*.h5ad"))[0].unlink()
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 0, outcome.stdout
    assert line_of(outcome, "plan").endswith(", 1 not stored")
    assert "1 chunk, " in outcome.stdout


def test_a_subset_that_is_not_planned_is_no_fault(home: Path) -> None:
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 0, outcome.stdout
    assert f"{SUBSET} is not planned yet" in line_of(outcome, "plan")


def test_a_bucket_can_be_the_destination(home: Path, in_s3: Bucket) -> None:
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 0, outcome.stdout
    assert f"ok     destination  {in_s3.url}/store: " in outcome.stdout
    assert in_s3.client.list_objects_v2(Bucket=in_s3.name)["KeyCount"] == 0


def test_a_bucket_that_is_not_there_fails_and_the_other_checks_still_report(
    home: Path, in_s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXG_STORE_URL", "s3://no-such-bucket/store")
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 1
    assert [subject for level, subject in levels(outcome) if level == "FAILED"] == ["destination"]
    assert "s3://no-such-bucket/store" in line_of(outcome, "destination")
    assert line_of(outcome, "census").startswith("ok ")


def test_a_folder_that_cannot_be_written_fails_and_the_other_checks_still_report(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests may run as root, who can write everywhere, but not below a file.
    (tmp_path / "file").touch()
    monkeypatch.setenv("CXG_HOME", str(tmp_path / "file" / "home"))
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 1
    assert [subject for level, subject in levels(outcome) if level == "FAILED"] == ["dagster", "destination"]
    assert line_of(outcome, "census").startswith("ok ")
    assert line_of(outcome, "disk").startswith("ok ")


def test_a_census_that_is_not_there_fails_and_the_other_checks_still_report(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXG_CENSUS_URI", str(home / "no-census"))
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 1
    assert [subject for level, subject in levels(outcome) if level == "FAILED"] == ["census"]
    assert "no SOMA collection can be opened there" in line_of(outcome, "census")
    assert line_of(outcome, "memory").startswith("ok ")
    assert line_of(outcome, "disk").startswith("ok ")


def test_the_demo_census_is_not_built_to_look_at_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXG_CENSUS_URI")
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 0, outcome.stdout
    assert line_of(outcome, "census").startswith("warn ")
    assert files_below(home) == {}


def test_a_filter_that_does_not_fit_the_census_fails(home: Path, defs: Path) -> None:
    declare(defs, value_filter="tissu_general == 'blood'")
    outcome = cxg_assets("doctor", "sample")

    assert outcome.exit_code == 1
    assert line_of(outcome, "subset").startswith("FAILED ")
    assert "tissu_general" in line_of(outcome, "subset")


def test_what_the_filter_of_a_subset_overlooks_is_a_warning(home: Path, defs: Path, tmp_path: Path) -> None:
    declare(
        defs,
        value_filter="disease == 'type 2 diabetes mellitus'",
        genes={"value_filter": "feature_name == 'PRAMEF36P'"},
    )
    before = cxg_assets("doctor", "sample")
    cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather"))
    after = cxg_assets("doctor", "sample")

    assert (before.exit_code, after.exit_code) == (0, 0), before.stdout
    assert [level for level, subject in levels(after) if subject == "subset"] == ["ok", "warn", "warn"]
    assert "misses cells in which disease holds it among several values" in before.stdout
    assert "of 2,600 cells in which disease holds it among several values" in after.stdout
    assert "feature_name 'PRAMEF36P' stands for 2 genes" in after.stdout


def test_a_label_that_is_nowhere_fails_with_the_nearest(home: Path, defs: Path) -> None:
    declare(defs, value_filter="tissue_general == 'lungs'")
    outcome = cxg_assets("doctor", "sample")

    assert outcome.exit_code == 1
    assert "(the nearest: 'lung')" in line_of(outcome, "subset")


def test_a_dagster_instance_that_cannot_be_opened_fails(home: Path) -> None:
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("event_log_storage: {module: no_such_module, class: Nothing}\n")
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 1
    assert [subject for level, subject in levels(outcome) if level == "FAILED"] == ["dagster"]
    assert "no_such_module" in line_of(outcome, "dagster")


def test_an_unknown_subset_is_bad_input(home: Path) -> None:
    assert cxg_assets("doctor", "blood_norml").exit_code == 2


def test_without_avx2_the_census_is_not_opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_cpu", cpu_without_avx2)
    outcome = cxg_assets("doctor", SUBSET)

    assert outcome.exit_code == 1
    assert line_of(outcome, "cpu").startswith("FAILED cpu          this machine's CPU has no AVX2")
    assert line_of(outcome, "census").startswith("warn ")
    assert line_of(outcome, "destination").startswith("ok ")


def cpu_without_avx2() -> Finding:
    """The check on a CPU of 2010."""
    features: Mapping[str, bool] = {"sse4.2": True, "avx2": False}
    return check_cpu(lambda: require_cpu(lambda: features, lambda: "x86_64"))


def test_workers_that_all_fit_are_well() -> None:
    finding = check_memory(LOAD, [Node("this machine", 4, 8 * GIB)])

    assert finding.severity is Severity.OK


def test_where_fewer_workers_fit_it_says_how_many() -> None:
    finding = check_memory(LOAD, [Node("this machine", 8, 4 * GIB)])

    assert finding.severity is Severity.WARN
    assert finding.message.endswith(": 3 fit; cxg-assets ingest -d 3 starts that many")


def test_a_plan_of_few_chunks_needs_few_workers() -> None:
    few = WorkerLoad(
        n_chunks=2, chunk_nnz=20_000_000, chunk_size=10_000, n_vars=60_000, compression="gzip", known_from="plan 1"
    )

    assert check_memory(few, [Node("this machine", 8, 4 * GIB)]).severity is Severity.OK


def test_where_no_worker_fits_it_says_which_chunk_size_would() -> None:
    large = WorkerLoad(
        n_chunks=9, chunk_nnz=400_000_000, chunk_size=200_000, n_vars=60_000, compression="none", known_from="plan 1"
    )
    finding = check_memory(large, [Node("this machine", 2, 3 * GIB)])

    assert finding.severity is Severity.FAILED
    smaller = int(finding.message.removesuffix(" or less").rsplit(maxsplit=1)[1].replace(",", ""))
    assert 10_000 < smaller < 100_000


def test_where_nothing_fits_it_takes_another_machine() -> None:
    finding = check_memory(LOAD, [Node("this machine", 2, GIB // 2)])

    assert finding.severity is Severity.FAILED
    assert "a machine with more memory" in finding.message


def test_of_a_cluster_the_tightest_machine_is_told() -> None:
    finding = check_memory(LOAD, [Node("10.0.0.1", 4, 64 * GIB), Node("10.0.0.2", 8, 4 * GIB), Node("head", 0, GIB)])

    assert finding.severity is Severity.WARN
    assert "10.0.0.2 has 4.3 GB" in finding.message
    assert ": 7 fit; " in finding.message


def test_a_cluster_without_cpus_tells_nothing_of_memory() -> None:
    assert check_memory(LOAD, [Node("head", 0, GIB)]).severity is Severity.WARN


def test_folders_on_one_disk_share_its_room(tmp_path: Path) -> None:
    needs = [DiskNeed(tmp_path / "a" / "b", 3 * GIB, "9 chunks"), DiskNeed(tmp_path, 2 * GIB, "the index")]

    [enough] = check_disk(needs, lambda folder: 5 * GIB)
    [too_little] = check_disk(needs, lambda folder: 4 * GIB)

    assert (enough.severity, too_little.severity) == (Severity.OK, Severity.FAILED)
    assert "4.3 GB free, about 5.4 GB needed (9 chunks, 3.2 GB; the index, 2.1 GB)" in too_little.message
