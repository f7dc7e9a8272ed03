"""The address of a cluster: a Ray answers there, or one error says at once what to set."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.resources import ray_address
from cxg_assets.resources.ray_address import require_cluster
from cxg_assets.resources.ray_cluster import RunRay
from cxg_assets.resources.ray_executor import RayPoolExecutor

WAYS_OUT = "; unset RAY_ADDRESS for a Ray of the run's own, or start one with `ray start --head`"


@pytest.fixture
def no_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine's Rays, where none runs: those of other tests on this machine are not seen."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)
    return tmp_path / "ray"


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """An address at which somebody takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refusal(address: str = "") -> str:
    with pytest.raises(BadInput) as caught:
        require_cluster(address)
    return str(caught.value)


def test_the_address_of_a_ray_that_runs_is_right(ray_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    where = ray.get_runtime_context().gcs_address
    assert require_cluster(where) == where
    monkeypatch.setenv("RAY_ADDRESS", where)
    assert require_cluster() == where


def test_a_machine_that_is_no_node_is_told_the_two_ways_to_join(
    ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    where = ray.get_runtime_context().gcs_address
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)
    host = where.rpartition(":")[0]
    assert refusal(where) == (
        f"this machine is no node of the Ray at {where}: set RAY_ADDRESS=ray://{host}:10001, the port of Ray's client, "
        f"or make it one: `ray start --address={where} --num-cpus=0`"
    )


@pytest.mark.parametrize("value", ["", "local"])
def test_a_ray_of_the_runs_own_is_asked_nothing(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", value)
    assert require_cluster() is None


def test_a_cluster_that_has_ended_is_named_with_the_ways_out(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", closed)
    said = refusal()
    assert said.startswith(f"no Ray answers at RAY_ADDRESS={closed}")
    assert said.endswith(": Connection refused" + WAYS_OUT)


def test_the_note_of_a_ray_that_has_ended_leads_to_the_same_error(
    no_ray: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private.utils import write_ray_address

    no_ray.mkdir()
    write_ray_address(closed, str(no_ray))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    said = refusal()
    assert said.startswith("no Ray answers at RAY_ADDRESS=auto (")
    assert said.endswith(f":{closed.partition(':')[2]}): Connection refused" + WAYS_OUT)


def test_without_any_ray_auto_finds_none(no_ray: Path) -> None:
    assert refusal("auto") == "no Ray answers at auto: none runs on this machine" + WAYS_OUT


def test_the_server_of_rays_client_that_is_not_there_is_named(closed: str) -> None:
    assert refusal(f"ray://{closed}") == f"no Ray answers at ray://{closed}: Connection refused" + WAYS_OUT


def test_a_name_that_does_not_resolve_is_named() -> None:
    said = refusal("head.invalid:6379")
    assert said.startswith("no Ray answers at head.invalid:6379: ")
    assert said.endswith(WAYS_OUT)


def test_who_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray_address.ANSWER_SECONDS <= 10
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 1.0)
    with silent() as where:
        # By Ray's client, whose address is taken as it is; another loopback address becomes the machine's own.
        assert refusal(f"ray://{where}") == f"no Ray answers at ray://{where}: nothing came within 1 s" + WAYS_OUT


def test_a_web_server_is_no_ray(s3_endpoint: str) -> None:
    address = s3_endpoint.replace("http://", "ray://")
    assert refusal(address).startswith(f"no Ray answers at {address}: ")


@pytest.mark.parametrize("address", ["head", "head:port", "ray://", ":6379", "x" * 5_000])
def test_what_is_no_address_is_told_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    said = refusal()
    assert said.startswith(f"RAY_ADDRESS={address:.200} is not the address of a Ray: give host:port, ")
    assert len(said) < 500


def test_a_ray_that_asks_for_a_token_says_what_to_set(ray_session: None) -> None:
    import ray

    # As Ray's client gives it: `host:port` on loopback becomes the machine's own, where this Ray does not listen.
    where = f"ray://{ray.get_runtime_context().gcs_address}"
    program = "from cxg_assets.resources.ray_address import require_cluster; require_cluster()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["RAY_ADDRESS"] = where
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert f"BadInput: the Ray at RAY_ADDRESS={where} refuses this process: it requires a token" in done.stderr
    assert "; set RAY_AUTH_MODE=token, " in done.stderr


def test_a_step_that_finds_no_cluster_is_not_begun_again(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    executor = RayPoolExecutor(ray=RunRay(address=closed))
    with pytest.raises(dg.Failure) as caught, as_failure(), executor.launch(None, 1, dg.build_op_context()):  # type: ignore[arg-type]
        pass
    assert not caught.value.allow_retries
    assert (caught.value.description or "").startswith(f"no Ray answers at {closed}")
