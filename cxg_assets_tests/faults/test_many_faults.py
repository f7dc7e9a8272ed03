"""Source and destination misbehave at once, in many ways, and a real pool has several requests under way."""

import dagster as dg

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources.executor import LocalPoolExecutor
from cxg_assets_tests.faults.network import Network, Planned
from cxg_assets_tests.servers.faults import Faults

SOURCE = Faults(
    rates={"slow_down": 0.05, "reset": 0.1, "truncate": 0.1, "lost_answer": 0.1, "stall": 0.05},
    seed=1,
    limit=6,  # one fewer than TileDB tries a request
    stall_seconds=1.0,
)
DESTINATION = Faults(
    rates=dict.fromkeys(("slow_down", "reset", "reset_request", "lost_answer", "corrupt", "truncate"), 0.1),
    seed=2,
    limit=8,
)


def test_a_pool_makes_everything_although_both_sides_misbehave(
    network: Network, planned: Planned, undisturbed: dict[str, bytes]
) -> None:
    network.source.set(SOURCE)
    network.destination.set(DESTINATION)
    spans = [Span(planned.plan.chunks[start : start + 2]) for start in range(0, len(planned.plan.chunks), 2)]
    executor = LocalPoolExecutor(workers=2)
    with executor.launch(planned.job, len(planned.plan.chunks), dg.build_op_context()) as pool:
        results = list(pool.run(spans))

    assert network.source.injected().total() >= 2
    assert network.destination.injected().total() >= 2
    assert pool.n_retries == 0  # workers repeat what failed; the pool is only asked when they cannot
    reports = [result for result in results if isinstance(result, ChunkReport)]
    planned.assert_complete(reports, undisturbed)
    assert sum(report.upload_retries for report in reports) > 0
