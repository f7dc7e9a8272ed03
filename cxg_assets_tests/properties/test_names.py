"""Nothing in a YAML or on the command line leads out of the project's folders; no two subsets collide."""

import re
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxg_assets.cli.project import load_subset
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets_tests.cli.command import cxg_assets, declare, files_below, move_to
from cxg_assets_tests.properties.profile import PROPERTY

SECRET = "TOP-SECRET"


@pytest.fixture(autouse=True)
def _nothing_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index and no Census: `new` does not know which labels there are."""
    move_to(tmp_path / "empty", "", monkeypatch)


def test_subsets_of_awkward_names_live_side_by_side() -> None:
    names = ["a", "a_chunks", "a_prepare", "a_missing", "a_missing_chunks", "a_publish", "a__dataset", "homo_sapiens"]
    names += ["observe", "default", "config", "type", "dataset", "dagster", "int", "class", "census_release", "a" * 63]
    subsets = [
        subset_definitions(SubsetSpec(name=name, organism="homo_sapiens"), f"s3://bucket/{name}") for name in names
    ]

    repository = complete(dg.Definitions.merge(*subsets)).get_repository_def()

    jobs = Counter(job.name for job in repository.get_all_jobs())
    assert max(jobs.values()) == 1
    chunks = [repository.asset_graph.get(dg.AssetKey([name, "h5ad_chunks"])).partitions_def for name in names]
    assert len({part.name for part in chunks if isinstance(part, dg.DynamicPartitionsDefinition)}) == len(names)
    assert len(repository.asset_graph.get_all_asset_keys()) == 4 * len(names) + 2


@pytest.fixture
def guarded(defs: Path) -> Path:
    """The folder of a subset with links in it, and secrets all around."""
    folder = defs / "sample"
    (defs.parent / "secret.txt").write_text(SECRET)
    (defs / "other").mkdir()
    (defs / "other" / "genes.txt").write_text(SECRET)
    declare(defs)
    (folder / "genes.txt").write_text("ENSG00000081237\n")
    (folder / "link.txt").symlink_to("genes.txt")
    (folder / "out.txt").symlink_to(defs.parent / "secret.txt")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "out").symlink_to(defs.parent)
    return folder


def with_gene_file(folder: Path, file: str) -> None:
    attributes = {"name": "sample", "organism": "homo_sapiens", "genes": {"file": file}}
    (folder / "defs.yaml").write_text(yaml.safe_dump({"type": "cxg_assets.CensusSubset", "attributes": attributes}))


@pytest.mark.parametrize("file", ["genes.txt", "./genes.txt", "link.txt", "../sample/genes.txt"])
def test_a_gene_file_in_the_folder_of_its_yaml_is_read(guarded: Path, file: str) -> None:
    with_gene_file(guarded, file)

    assert load_subset("sample").spec.genes == GeneSelection(feature_ids=("ENSG00000081237",))


@pytest.mark.parametrize(
    "file",
    ["../other/genes.txt", "../../secret.txt", "{root}/secret.txt", "out.txt", "out/secret.txt", "..", "/etc/passwd"],
)
def test_a_gene_file_elsewhere_is_refused_and_its_content_not_shown(guarded: Path, file: str) -> None:
    file = file.format(root=guarded.parents[1])
    with_gene_file(guarded, file)

    outside = re.escape(f"genes.file: {file!r} is outside of the folder of its YAML, {guarded.resolve()}")
    with pytest.raises(BadInput, match=rf"defs\.yaml:\d+.*{outside}") as refusal:
        load_subset("sample")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("file", ["loop.txt", "a\0b"])
def test_a_gene_file_that_is_no_file_is_refused(guarded: Path, file: str) -> None:
    with_gene_file(guarded, file)

    with pytest.raises(BadInput, match=r"defs\.yaml:\d+.*genes\.file: .* is not the name of a file"):
        load_subset("sample")


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": ".."}, {"name": "index"}, {"name": "a/b"}, {"name": "sam\nple"}, {"organism": "../mus_musculus"},
        {"organism": "/etc"}, {"organism": "homo\0sapiens"}, {"destination": "file:///a/../b"},
        {"destination": "file:///"}, {"destination": "s3://b/%2e%2e"}, {"layer": "../raw"}, {"layer": "r\naw"},
        {"obs_columns": ["../x"]}, {"obs_columns": ["a\0b"]}, {"obs_columns": ["_index"]}, {"obs_columns": [""]},
        {"genes": {"feature_ids": ["../x"]}}, {"genes": {"feature_ids": ["a\nb"]}}, {"compression": "gz\nip"},
    ],
    ids=str,
)  # fmt: skip
def test_a_yaml_whose_value_could_lead_elsewhere_is_refused_with_its_line(defs: Path, attributes: dict) -> None:
    declare(defs, **attributes)

    attribute = next(iter(attributes))
    with pytest.raises(BadInput, match=rf"sample/defs\.yaml:\d+: {attribute}"):
        load_subset("sample")


@pytest.mark.parametrize("name", ["../sample", "sample/", "./sample", "..", "", "sample\n", "%2e%2e", "Sample", "/etc"])
def test_only_a_subset_of_the_project_is_found(defs: Path, home: Path, name: str) -> None:
    declare(defs)
    declare(defs.parent)  # one that lies beside defs/

    for command in ("ingest", "verify", "status"):
        outcome = cxg_assets(command, name)
        assert outcome.exit_code == 2
        assert f"there is no subset {name!r}" in outcome.stderr
    assert not (home / "store").exists()


@pytest.mark.parametrize(
    "name", ["..", "../x", "/tmp/x", "a/b", "a\\b", "a\n", "\uff41", "%2e%2e", "index", "subset", "census", "-"]
)
def test_new_writes_nothing_under_a_name_that_is_none(defs: Path, name: str) -> None:
    before = files_below(defs.parent.parent)

    outcome = cxg_assets("new", "--value-filter", "nnz > 1", "--", name)

    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: name: {name!r} is ")
    assert files_below(defs.parent.parent) == before


def test_new_does_not_write_through_links(defs: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (defs / "folder").symlink_to(tmp_path / "elsewhere")
    (defs / "file").mkdir()
    (defs / "file" / "defs.yaml").symlink_to(tmp_path / "elsewhere" / "defs.yaml")

    for name, reason in (("folder", "is a link to another place"), ("file", "exists; edit it, or choose another name")):
        outcome = cxg_assets("new", name, "--value-filter", "nnz > 1")
        assert outcome.exit_code == 2
        assert reason in outcome.stderr
    assert files_below(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("template", ["{{ open('{path}', 'w') }}", "{% set a = 1 %}", "{# nothing #}"])
@pytest.mark.parametrize("option", ["--value-filter", "--destination"])
def test_new_refuses_what_the_yaml_would_evaluate(defs: Path, tmp_path: Path, option: str, template: str) -> None:
    text = template.replace("{path}", str(tmp_path / "sang"))
    options = {"--value-filter": "sex == 'a'", "--destination": "s3://bucket/a"}
    options[option] = f"sex == '{text}'" if option == "--value-filter" else f"s3://bucket/{text}"

    outcome = cxg_assets("new", "evaluated", *(part for pair in options.items() for part in pair))

    assert outcome.exit_code == 2
    assert not (tmp_path / "sang").exists()
    assert list(defs.iterdir()) == []


@settings(PROPERTY, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_a_new_yaml_means_what_the_option_said_or_is_not_written(defs: Path, label: str) -> None:
    value_filter = f"cell_type == {label!r}"
    file = defs / "any_label" / "defs.yaml"
    file.unlink(missing_ok=True)

    outcome = cxg_assets("new", "any_label", "--value-filter", value_filter)

    if outcome.exit_code:
        assert not file.exists()
        assert any(opening in label for opening in ("{{", "{%", "{#"))
    else:
        assert load_subset("any_label").spec.value_filter == value_filter


@pytest.mark.parametrize("organism", ["../homo_sapiens", "homo_sapiens/ms", "", "..", "/etc", "homo_sapiens\n", "%2e"])
def test_index_makes_nothing_for_an_organism_that_is_none(home: Path, tmp_path: Path, organism: str) -> None:
    outcome = cxg_assets("index", "--", organism, str(tmp_path / "obs.feather"))

    assert outcome.exit_code == 2
    assert repr(organism) in outcome.stderr or organism in outcome.stderr
    assert not (tmp_path / "obs.feather").exists()
    assert files_below(home) == {}


@pytest.mark.parametrize("genes", ["../x", "ENSG1,../x", "/etc/passwd", "a b", "ENSG1\n,x\0y", "%2e%2e/x", "", ","])
def test_a_gene_filter_of_what_is_no_feature_id_is_refused(defs: Path, home: Path, genes: str) -> None:
    declare(defs)

    outcome = cxg_assets("ingest", "sample", "--gene-filter", genes)

    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("cxg-assets: genes.feature_ids: ")
    assert files_below(home) == {}


@pytest.mark.parametrize("url", ["file:///a/../b", "file:///", "s3://bucket/%2e%2e/x", "s3://a/b", "file:x", "s3:/a"])
def test_a_destination_that_could_lead_elsewhere_is_refused_by_every_command(defs: Path, home: Path, url: str) -> None:
    declare(defs)

    for arguments in (("ingest", "sample"), ("new", "other", "--value-filter", "nnz > 1")):
        outcome = cxg_assets(*arguments, "--destination", url)
        assert outcome.exit_code == 2
        assert outcome.stderr.startswith(f"cxg-assets: destination: {url!r} ")
    assert not (defs / "other").exists()
