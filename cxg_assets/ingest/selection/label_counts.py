"""How many cells carry each label of a column of obs."""

from collections import Counter
from collections.abc import Sequence

from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource


def count_labels(obs: FeatherSource, columns: Sequence[str]) -> dict[str, Counter[str]]:
    """Counts cells by label, batch by batch.

    Args:
        obs: A subset's obs file, or a census index.
        columns: Columns of text.

    Returns:
        For each of the columns that obs has, the cells of each label that occurs.
    """
    with FeatherFile(obs) as whole:
        present = [column for column in columns if column in whole.schema.names]
    counts: dict[str, Counter[str]] = {column: Counter() for column in present}
    if not present:
        return counts
    with FeatherFile(obs, columns=present) as counted:
        for batch in counted.batches():
            for column in present:
                for item in batch[column].value_counts().to_pylist():
                    counts[column][str(item["values"])] += item["counts"]
    return counts
