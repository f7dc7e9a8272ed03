"""Parts of Dagster that it calls beta or preview, and that this package uses knowing that.

Dagster warns of each use, some 160 times for the subsets of a checkout. Whoever imports the definitions can do nothing
about them, and would miss the warnings that are theirs.
"""

import contextlib
import warnings
from collections.abc import Iterator

from dagster_shared.utils.warnings import BetaWarning, PreviewWarning


@contextlib.contextmanager
def known_previews() -> Iterator[None]:
    """Keeps quiet of beta and preview in the block, or in a function that is decorated with it; of nothing else.

    Dagster's own use of what it has deprecated, and of deprecated parts of pydantic, counts as well. The filters are
    the user's again afterwards.
    """
    with warnings.catch_warnings():
        for category in (BetaWarning, PreviewWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"dagster\b")
        yield
