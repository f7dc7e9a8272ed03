"""Which labels of a column look like one that somebody wrote, and how a message names labels."""

import difflib
from collections.abc import Sequence

from cxg_assets.ingest.errors import shown

N_NEAREST = 3
"""Labels that a message proposes for one that is not there."""

N_LISTED = 5
"""Labels that a message lists before it only counts."""

SHORTEST_PART = 3
"""Characters of a label that is near because it is a part of the other: shorter ones are parts of everything."""


def nearest_labels(label: str, labels: Sequence[str]) -> list[str]:
    """The other labels that somebody may have meant, the likeliest first, at most `N_NEAREST`.

    Equal but for case and blanks comes first, then what is spelt alike, then what is a part of the other.

    Args:
        label: What was written.
        labels: Those that there are.
    """
    wanted = label.strip().casefold()
    if not wanted:
        return []
    folded: dict[str, list[str]] = {}
    for known in labels:
        folded.setdefault(known.strip().casefold(), []).append(known)
    parts = [known for known in folded if min(len(known), len(wanted)) >= SHORTEST_PART and _share(known, wanted)]
    parts.sort(key=lambda known: abs(len(known) - len(wanted)))
    alike = difflib.get_close_matches(wanted, folded, n=N_NEAREST)
    found = [known for key in (wanted, *alike, *parts) for known in folded.get(key, ())]
    return [known for known in dict.fromkeys(found) if known != label][:N_NEAREST]


def unknown_label(noun: str, column: str, label: str, labels: Sequence[str]) -> str:
    """Says that a label is nowhere, and which are near it.

    Args:
        noun: What has labels: `cell` or `gene`.
        column: The column that was asked for it.
        label: What was written.
        labels: The column's labels.
    """
    nearest = nearest_labels(label, labels)
    remedy = f"the nearest: {quoted(nearest)}" if nearest else f"{column} has {quoted(labels) or 'no label at all'}"
    return f"no {noun} has {column} {shown(label)} ({remedy})"


def quoted(labels: Sequence[str]) -> str:
    """Labels as a filter spells them, the first `N_LISTED` of them."""
    more = f" and {len(labels) - N_LISTED:,} more" if len(labels) > N_LISTED else ""
    return ", ".join(shown(label) for label in labels[:N_LISTED]) + more


def _share(one: str, other: str) -> bool:
    return one in other or other in one
