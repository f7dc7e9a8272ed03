"""Long lists of values, from files that lie beside the YAML of a subset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class ValueList:
    """The values of a file, as text.

    Attributes:
        values: Each once, large_string.
        digest: `sha256:` and the digest of them: equal for files with the same values in any order.
    """

    values: "pa.Array"
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValueList) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


Lists = Mapping[str, ValueList]
"""The values of files, by the names by which a filter calls them."""
