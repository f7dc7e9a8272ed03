"""Dagster components: what a YAML file in `defs/` can declare."""

import contextlib
import warnings
from collections.abc import Iterator

from dagster_shared.utils.warnings import BetaWarning, PreviewWarning


@contextlib.contextmanager
def known_previews() -> Iterator[None]:
    """Keeps quiet, in a block or a decorated function, of what Dagster calls beta or preview, and of nothing else.

    This package uses those parts knowing that. Dagster warns of each use, some 160 times for the subsets of a checkout,
    among which whoever imports the definitions would miss the warnings that are theirs. Dagster's own use of what it
    has deprecated, and of deprecated parts of pydantic, counts as well.
    """
    with warnings.catch_warnings():
        for category in (BetaWarning, PreviewWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"dagster\b")
        yield
