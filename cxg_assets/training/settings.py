"""What decides which cells come when."""

from dataclasses import dataclass

from cxg_assets.ingest.errors import BadInput, shown


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides which cells come when; a state fits a loader with equal ones.

    Attributes:
        split: Part of the split; None for all.
        batch_size: Cells of a batch.
        seed: Of order and draws.
        shuffle: Mix cells; else they come in the order of the files.
        drop_last: Full batches only.
        buffer_size: Cells that are mixed at a time.
        run_size: Cells that are read side by side.
        world_size: Ranks that share an epoch.
        weights: Digest of the weights; empty without.
    """

    split: str | None
    batch_size: int
    seed: int
    shuffle: bool
    drop_last: bool
    buffer_size: int
    run_size: int
    world_size: int
    weights: str = ""

    def __post_init__(self) -> None:
        for name in ("batch_size", "buffer_size", "run_size", "world_size"):
            require_number(name, getattr(self, name), 1)
        require_number("seed", self.seed, 0)


def require_number(name: str, value: object, least: int) -> None:
    """Refuses (BadInput) what is no whole number from the least one on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name}: {shown(value)} is not a whole number from {least} on")
