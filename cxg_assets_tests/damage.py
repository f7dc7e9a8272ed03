"""Ways to break a Census on purpose."""

from pathlib import Path


def damage_fragment(census: Path, number: int) -> None:
    """Cuts off the values of one fragment of human X/raw, the first or the second that was written."""
    fragments = census / "census_data" / "homo_sapiens" / "ms" / "RNA" / "X" / "raw" / "__fragments"
    # By the files' times: both fragments can bear one timestamp in their names.
    values = sorted(fragments.glob("*/a0.tdb"), key=lambda file: file.stat().st_mtime_ns)[number]
    values.write_bytes(values.read_bytes()[:1000])
