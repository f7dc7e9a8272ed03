"""Which pool a materialization is given."""

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.executor import LocalPoolExecutor
from cxg_assets.resources.executors import build_executor, require_pool
from cxg_assets.resources.ray_executor import RayPoolExecutor


def test_a_pool_is_of_ray_unless_the_environment_or_the_caller_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXG_POOL", raising=False)
    assert isinstance(build_executor(), RayPoolExecutor)
    monkeypatch.setenv("CXG_POOL", "local")
    assert isinstance(build_executor(), LocalPoolExecutor)
    assert isinstance(build_executor("ray"), RayPoolExecutor)


def test_an_unknown_pool_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match=r"'dask' is unknown.*choose one of ray, local"):
        build_executor("dask")


def test_a_pool_of_this_machines_processes_needs_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "no address")
    monkeypatch.setenv("CXG_POOL", "local")
    require_pool()
    monkeypatch.delenv("CXG_POOL")
    with pytest.raises(BadInput, match="RAY_ADDRESS=no address"):
        require_pool()


def test_the_number_of_workers_is_the_one_asked_for_then_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXG_WORKERS", "32")
    assert build_executor("local").workers == 32
    assert build_executor("local", 3).workers == 3
    for wrong in ("0", "-1", "many", "1.5", "9" * 9):
        monkeypatch.setenv("CXG_WORKERS", wrong)
        with pytest.raises(BadInput, match=f"CXG_WORKERS: '{wrong}' is not a number of workers above 0"):
            build_executor("local")
