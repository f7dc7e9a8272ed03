"""What pages tell people to click: all that stands in *italics* in the pages that lead through the UI."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

TUTORIAL, RETRY = "docs/tutorial.md", "docs/how-to/retry.md"

PAGES = (
    "README.md",
    "cxg_assets/cli/new/project_files/README.md",
    *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs" / "how-to").glob("*.md")),
    "docs/reference/command.md",
    "docs/reference/metadata.md",
    "docs/reference/yaml.md",
    "docs/tutorial.md",
)


@cache
def names_on(page: str) -> frozenset[str]:
    """Names of buttons, tabs, menus and marks of the UI on a page."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    return frozenset(re.findall(r"(?<![*\w])\*([^*\s][^*\n]*)\*(?!\*)", text))


class Told:
    """Which of these names tests have used, by page."""

    def __init__(self) -> None:
        """Begins with none."""
        self.used: defaultdict[str, set[str]] = defaultdict(set)

    def __call__(self, page: str, name: str) -> str:
        """A name that a page tells, to be clicked or looked for."""
        assert name in names_on(page), f"{page} tells nobody of *{name}*; it has {sorted(names_on(page))}"
        self.used[page].add(name)
        return name
