"""Links of the pages lead somewhere, as they are read in the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for place in (ROOT.glob("*.md"), *((ROOT / folder).rglob("*.md") for folder in (".github", "benchmarks", "docs")))
    for page in place
)


def prose(page: Path) -> str:
    """A page without its code, where brackets mean something else."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link can name on a page: its headings, spelled as a web page's address."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """The relative links and pictures of a page."""
    return re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose(page))


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def test_the_pages_have_links() -> None:
    assert {"README.md", "docs/index.md"} <= {page for page in PAGES if links(ROOT / page)}


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    page = ROOT / name
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n\n[a](other.md) [b](#one-heading) [c](#another) `[d](code.md)` ![e](picture.png)\n")
    assert [link for link in links(page) if not leads_somewhere(page, link)] == ["other.md", "#another", "picture.png"]


def test_pages_of_docs_link_only_to_what_is_below_docs() -> None:
    docs = ROOT / "docs"
    outside = [
        (name, link)
        for name in PAGES if name.startswith("docs/")
        for link in links(ROOT / name)
        if not (ROOT / name).parent.joinpath(link.partition("#")[0]).resolve().is_relative_to(docs)
    ]  # fmt: skip
    assert outside == []


def is_named(named: str, file: str) -> bool:
    """Whether a page means a file: by its end or, as tests lie in folders of the code's, with folders left out."""
    if not named.rpartition("/")[2].startswith("test_"):
        return f"/{file}".endswith(f"/{named}")
    folders = iter(file.split("/"))
    return file.endswith(named.rpartition("/")[2]) and all(part in folders for part in named.split("/"))


def test_every_python_file_that_a_page_names_is_there() -> None:
    """Some are named by their whole path, others from the package's folder, or by their name alone."""
    folders = [ROOT / name for name in ("cxg_assets", "cxg_assets_tests", "benchmarks", "deploy", "docs", "scripts")]
    files = [path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*.py")]
    missing = [
        (name, path)
        for name in PAGES
        if not re.search("recipes|comparison|census-tests", name)  # which name files of others
        for path in re.findall(r"`([\w/]+\.py)`", (ROOT / name).read_text())
        if not any(is_named(path, file) for file in files)
    ]
    assert missing == []


def test_where_to_look_names_two_files_at_most_for_each_question() -> None:
    _, _, table = (ROOT / "docs" / "architecture.md").read_text().partition("## Where to look")
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", table, flags=re.MULTILINE)
    assert len(rows) > 20
    assert [question for question, answer in rows if len(set(re.findall(r"`([\w/]+\.py)`", answer))) > 2] == []


def test_the_page_of_tests_names_files_of_every_folder_of_tests() -> None:
    named = re.findall(r"`(\w+)/test_\w+\.py`", (ROOT / "docs" / "testing.md").read_text())
    folders = {
        path.relative_to(ROOT / "cxg_assets_tests").parts[0]
        for path in (ROOT / "cxg_assets_tests").glob("*/**/test_*.py")
    }
    assert folders - set(named) == {"demo"}  # which makes the data of the tests
