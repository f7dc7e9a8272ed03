"""A run that is terminated while its driver waits for Ray."""

import os
import signal
import threading

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._utils.interrupts import raise_interrupts_as

from cxg_assets.resources.ray_cluster import RunRay
from cxg_assets.resources.ray_executor import RayPoolExecutor
from cxg_assets_tests.ingested import Ingested


@pytest.mark.usefixtures("ray_session")
def test_an_interrupt_is_one_also_when_it_comes_while_ray_waits(blood: Ingested) -> None:
    import ray

    def wait_for_ever() -> None:
        with executor.launch(blood.job, 1, dg.build_op_context()):
            never = ray.remote(num_cpus=100)(lambda: None).remote()
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            while True:
                ray.wait([never], timeout=1.0)

    executor = RayPoolExecutor(ray=RunRay(), workers=1)
    # More often than not Ray makes a SystemError of it.
    for _ in range(4):
        with raise_interrupts_as(DagsterExecutionInterruptedError), pytest.raises(DagsterExecutionInterruptedError):
            wait_for_ever()
