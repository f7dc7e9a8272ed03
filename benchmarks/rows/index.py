"""obs of ten million cells: the index, then a filter over it."""

import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import Finished, run_program
from benchmarks.obs_only_census import kept
from benchmarks.rows.bench import Bench
from benchmarks.table import Goal, RowResult

ROW = "index"
VALUE_FILTER = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"


def measure(bench: Bench) -> RowResult:
    """Measures the row, on a census made for it once and kept."""
    runner, n_obs = bench.runner, bench.n_index_obs
    census = kept(runner.census, n_obs, lambda line: runner.say(f"{ROW}: {line}"))
    steps: dict[str, list[Finished]] = {"index": [], "filter": []}
    for _ in range(runner.rounds):
        # A new one each time: what is in a store already is not made again.
        with tempfile.TemporaryDirectory(prefix="front-", dir=runner.work) as folder:
            for step, finished in steps.items():
                result_file = Path(folder) / f"{step}.json"
                arguments = ["-m", "benchmarks.front_steps", step, "--census-uri", census, "--folder", folder]
                arguments += ["--value-filter", VALUE_FILTER, "--json", result_file]
                finished.append(run_program(arguments, result_file))
                runner.say(f"{ROW}: {step}: {finished[-1].result}, {finished[-1].usage}")
    peaks = {
        step: statistics.median(one.usage.driver_peak_bytes for one in finished) / 2**30
        for step, finished in steps.items()
    }
    seconds = {step: statistics.median(one.result["seconds"] for one in finished) for step, finished in steps.items()}
    n_bytes = steps["index"][0].result["n_bytes"]
    n_kept = steps["filter"][0].result["n_obs"]
    return RowResult(
        goals=[
            *(
                Goal(
                    name=f"{step} of {n_obs:,} obs rows: peak memory",
                    value=peak,
                    target=1.5,
                    at_least=False,
                    unit=" GiB",
                )
                for step, peak in peaks.items()
            ),
            Goal(
                name=f"filter of {n_obs:,} obs rows: time", value=seconds["filter"], target=3, at_least=False, unit=" s"
            ),
        ],
        notes=[
            f"{ROW}: the index took {seconds['index']:.1f} s and has {n_bytes / 1e6:,.0f} MB; "
            f"the filter kept {n_kept:,} cells."
        ],
    )
