"""What can be typed: every command with its arguments, options and help.

What a command does lies in a file of its own, which is imported when the command is called, so that help comes at once.
"""

import sys
from pathlib import Path
from typing import Any

import click

from cxg_assets import __version__
from cxg_assets.cli.parameters import (
    ANY_SUBSET,
    CENSUS_URI,
    CENSUS_VERSION,
    DESTINATION,
    POOL,
    STORE_PLACE,
    SUBSET,
    Age,
)
from cxg_assets.cli.terminal.help import GroupedCommands
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.ingest.dataset.retention import SHORT_RETENTION_RISK
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_ORGANISM

LOADING = "loading"
"""The first that is said of a command that works for some time."""


def example(*commands: str) -> str:
    """What help says last: commands as they are typed, and what they do."""
    return "\b\nExamples:\n" + "\n".join(f"  cxg-assets {command}" for command in commands)


@click.group(
    cls=GroupedCommands,
    groups={
        "Begin": ("init", "new", "demo", "census", "doctor"),
        "Make": ("count", "diff", "index", "ingest"),
        "Look after": ("status", "verify", "prune", "ui", "schema"),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def commands() -> None:
    """Slices of the CELLxGENE Census as verified h5ad chunk files."""
    if not {"-h", "--help"}.isdisjoint(sys.argv):
        return
    from cxg_assets import settings

    if settings.is_home_elsewhere():
        click.echo(f"cxg-assets: working in {settings.home()}, {settings.how_home_was_found()}", err=True)


@commands.group("census")
def census_group() -> None:
    """Demo censuses, in the layout of the public Census."""


@census_group.command("build", epilog=example("census build big-census --n-obs 500000"))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--n-obs", default=20_000, show_default=True, help="Number of human cells.")
@click.option("--n-mouse-obs", type=int, help="Number of mouse cells. [default: a twentieth, at most 1,000]")
@click.option("--n-primate-obs", default=0, help="Number of cells of macaque, marmoset and chimpanzee each.")
@click.option("--n-spots", default=0, help="Number of spots of human and mouse each in census_spatial_sequencing.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
def build(path: Path, seed: int, **sizes: Any) -> None:
    """Builds a demo census at PATH by resampling real reference cells."""
    from cxg_assets.cli.demo import build_with_bar

    build_with_bar(path, sizes=sizes, seed=seed)
    click.echo(f"{path}: a census of {sizes['n_obs']:,} human cells; use it with --census-uri or CXG_CENSUS_URI")


@commands.command("demo", epilog=example("demo", "demo -p local  # without Ray"))
@POOL
def demo(pool: str | None) -> None:
    """Builds the demo census unless it exists, and writes the example subsets from it."""
    with telling("demo", LOADING):
        from cxg_assets.cli.demo import run_demo

    run_demo(pool or "")


@commands.command("doctor", epilog=example("doctor", "doctor lung_normal  # before a long ingest"))
@ANY_SUBSET
def doctor(subset: str | None) -> None:
    """Checks this machine, the Census and the default store; with SUBSET also its selection, destination and plan.

    Without SUBSET, reads the YAML of every subset. Leaves nothing behind. Exit code 1 if a check failed; warnings do
    not count.
    """
    from cxg_assets.cli.doctor.command import run_doctor

    run_doctor(subset)


@commands.command("count", epilog=example("count lung_normal", "count lung_normal --census-version stable"))
@SUBSET
@CENSUS_URI
@CENSUS_VERSION
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def count(**options: Any) -> None:
    """Counts what SUBSET would be, before anything is made: cells, donors, datasets, parts, files, bytes, time."""
    with telling(options["subset"], LOADING):
        from cxg_assets.cli.census.index import count_subset

    count_subset(**options)


@commands.command(
    "diff", epilog=example("diff lung_normal", "diff lung_normal --from 2025-01-30 --to 2025-11-08")
)
@SUBSET
@click.option("--from", "before", help="Earlier release, by name or URI. Default: that of the published dataset.")
@click.option("--to", "after", help="Later release, by name or URI. Default: the one that an ingest takes.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, with all datasets and labels.")
def diff(**options: Any) -> None:
    """Compares SUBSET in two releases of the Census: cells new, gone and changed, datasets, genes."""
    with telling(options["subset"], LOADING):
        from cxg_assets.cli.census.diff import diff_subset

    diff_subset(**options)


@commands.command(
    "index",
    epilog=example("index homo_sapiens lung.feather --value-filter \"tissue == 'lung'\""),
    groups={"What": ("value_filter", "columns"), "From where": ("census_uri", "census_version")},
)
@click.argument("organism")
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--value-filter", help="SOMA filter over obs. Default: every cell.")
@click.option("--columns", help="obs columns, separated by commas. Default: all.")
@CENSUS_URI
@CENSUS_VERSION
def index(**options: Any) -> None:
    """Writes obs of ORGANISM to OUTPUT, a feather file for pandas.read_feather."""
    with telling("index", LOADING):
        from cxg_assets.cli.census.index import write_index

    write_index(**options)


@commands.command(
    "ingest",
    epilog=example(
        "ingest lung_normal --dry-run  # what it would be, and nothing is written",
        "ingest lung_normal --max-obs 1000  # a quick try",
        "ingest lung_normal --census-version stable --destination s3://my-lab/census",
    ),
    groups={
        "What": ("max_obs", "chunk_size", "value_filter", "gene_filter"),
        "From where, to where": ("census_uri", "census_version", "destination"),
        "How": ("workers", "pool", "dry_run", "json_file"),
    },
)
@SUBSET
@click.option("-n", "--max-obs", type=int, help="Limit to the first N cells.")
@click.option("-c", "--chunk-size", type=int, help="Cells per file.")
@click.option("-d", "--workers", type=click.IntRange(min=1), help="Worker processes. Default: one for each CPU.")
@POOL
@click.option("--value-filter", help="SOMA filter over obs.")
@click.option("--gene-filter", help="Keep only these genes: feature_ids or names, separated by commas.")
@CENSUS_URI
@CENSUS_VERSION
@click.option("--destination", type=STORE_PLACE, help="s3://bucket/prefix or a folder.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the summary here.")
@click.option("--dry-run", is_flag=True, help="Tell what it would be, as count does; no chunk is written.")
def ingest(**options: Any) -> None:
    """Writes the missing chunks of SUBSET and publishes the dataset. Options override the subset's YAML."""
    with telling(options["subset"], LOADING):
        from cxg_assets.cli.ingest import ingest_subset

    ingest_subset(**options)


@commands.command("init", epilog=example("init my-slices"))
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Makes FOLDER a project of your own, with one subset to begin with.

    Commands find the project from any folder in it.
    """
    from cxg_assets.cli.new.project import write_project

    write_project(folder)


@commands.command(
    "new",
    epilog=example("new lung_normal --value-filter \"tissue_general == 'lung'\""),
    groups={"What": ("value_filter", "organism", "chunk_size"), "To where": ("destination",)},
)
@click.argument("name")
@click.option("--value-filter", required=True, help="SOMA filter over obs.")
@click.option("--organism", default=DEFAULT_ORGANISM, show_default=True)
@click.option(
    "--destination", default="", type=STORE_PLACE, help="s3://bucket/prefix or a folder. Default: the default store."
)
@click.option("--chunk-size", default=DEFAULT_CHUNK_SIZE, show_default=True, help="Cells per file.")
def new(**options: Any) -> None:
    """Writes defs/NAME/defs.yaml.

    Organism, columns and labels are checked before, where a census index is in the default store or a Census on this
    machine.
    """
    from cxg_assets.cli.new.subset import write_subset_yaml

    write_subset_yaml(**options)


@commands.command(
    "prune",
    epilog=example("prune lung_normal  # lists, and removes nothing", "prune lung_normal --older-than 30d --yes"),
    groups={"What": ("keep", "older_than", "unreferenced"), "Where": ("destination",), "How": ("yes",)},
)
@SUBSET
@click.option(
    "--keep",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Number of recent plans to keep besides the published one and the one on record.",
)
@click.option(
    "--older-than",
    default="7d",
    show_default=True,
    type=Age(),
    help=f"Keep what is younger: 7d, 12h, 30m. Less than 7d is a risk: {SHORT_RETENTION_RISK}.",
)
@click.option("--unreferenced", is_flag=True, help="Remove unreferenced objects regardless of their age.")
@click.option("--yes", is_flag=True, help="Remove what is listed. Without it, nothing is removed.")
@DESTINATION
def prune(**options: Any) -> None:
    """Lists old plans of SUBSET, subsets that no plan uses, and unreferenced objects; with --yes removes them.

    The plan that dataset.json points to is always kept, and so is a plan that a run on any machine is writing. Census
    indexes are shared and kept too.
    """
    from cxg_assets.cli.prune import prune_subset

    prune_subset(**options)


@commands.command("schema", epilog=example("schema > subset.schema.json"))
def schema() -> None:
    """Prints the JSON schema of a subset's YAML, for editors that do not find cxg_assets/defs/subset.schema.json."""
    from cxg_assets.cli.new.subset import schema_text

    click.echo(schema_text())


@commands.command(
    "status",
    epilog=example("status", "status lung_normal --links", "status --json"),
    groups={"Where": ("destination",), "What is told": ("links", "hours", "as_json")},
)
@ANY_SUBSET
@DESTINATION
@click.option("--links", is_flag=True, help="Print a presigned URL of each stored chunk.")
@click.option(
    "--hours", default=1.0, show_default=True, help="How long presigned URLs are valid.", type=click.FloatRange(0)
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def status(**options: Any) -> None:
    """Shows stored and missing chunks, their size and the last run's throughput, of SUBSET or of every subset.

    Assets that the UI shows as Unsynced are listed with causes and edited attributes of the YAML. Nothing is written.

    Without SUBSET, subsets with an invalid YAML are named on stderr and do not change the exit code.
    """
    from cxg_assets.cli.status import show_status

    show_status(**options)


@commands.command("ui", epilog=example("ui", "ui -p 3001"))
@click.option("-p", "--port", default=3000, show_default=True, help="Port on 127.0.0.1.", type=click.IntRange(1, 65535))
def ui(port: int) -> None:
    """Serves the Dagster UI with its daemon, on this machine only. Ctrl-C ends it."""
    from cxg_assets.cli.ui.command import serve_ui

    serve_ui(port)


@commands.command("verify", epilog=example("verify lung_normal", "verify lung_normal --deep --repair"))
@SUBSET
@click.option("--deep", is_flag=True, help="Read every cell from the Census again and compare.")
@click.option("--repair", is_flag=True, help="Write damaged and missing chunks again, and publish again.")
@DESTINATION
def verify(**options: Any) -> None:
    """Checks sizes and checksums of all chunks of SUBSET as published, and that nothing is unreferenced."""
    with telling(f"verify {options['subset']}", LOADING):
        from cxg_assets.cli.verify import verify_subset

    verify_subset(**options)
