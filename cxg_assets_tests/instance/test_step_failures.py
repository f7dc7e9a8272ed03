"""Which failures let Dagster begin a step again."""

import dagster as dg
import pytest

from cxg_assets.ingest.errors import BadInput, CxgError, StoreError, Unreachable
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.resources.workers import LaunchError


@pytest.mark.parametrize(
    ("error", "may_be_over"),
    [
        (LaunchError("Ray has died"), True),
        (Unreachable("s3://lab/x does not answer"), True),
        (StoreError("s3://lab/x: the bucket is gone"), False),
        (CxgError("the chunk is damaged"), False),
        (BadInput("workers: -1"), False),
        (FileNotFoundError("s3://lab/x/plan.parquet"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_is_begun_again_for_what_may_be_over_by_then(error: Exception, may_be_over: bool) -> None:
    with pytest.raises(dg.Failure) as caught, as_failure():
        raise error
    assert (caught.value.description, caught.value.allow_retries) == (str(error), may_be_over)
