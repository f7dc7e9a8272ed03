"""How many cells of what a demo census has."""

from dataclasses import dataclass

from cxg_assets.demo.studies import Organism

HUMAN, MOUSE = "homo_sapiens", "mus_musculus"

_MOUSE_SHARE = 20
_MOUSE_MIN_OBS = 60
_MOUSE_MAX_OBS = 1_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """Numbers of cells, copies included.

    Attributes:
        n_obs: Of human.
        n_mouse_obs: Of mouse; None is a twentieth of the human ones, at least 60 and at most 1,000.
        n_primate_obs: Of each of the other primates; 0 leaves them out.
        n_spots: Spots of human and of mouse each in `census_spatial_sequencing`; 0 leaves it out.
    """

    n_obs: int
    n_mouse_obs: int | None = None
    n_primate_obs: int = 0
    n_spots: int = 0

    @property
    def name(self) -> str:
        """Tells one size from another."""
        mouse = "" if self.n_mouse_obs is None else f"-mouse{self.n_mouse_obs}"
        primates = f"-primates{self.n_primate_obs}" if self.n_primate_obs else ""
        return f"n{self.n_obs}{mouse}{primates}" + (f"-spots{self.n_spots}" if self.n_spots else "")

    def of(self, organism: Organism) -> int:
        """Number of cells or spots of an experiment; 0 where there is none."""
        if organism.is_spatial:
            return self.n_spots
        if organism.name == HUMAN:
            return self.n_obs
        if organism.name != MOUSE:
            return self.n_primate_obs
        if self.n_mouse_obs is not None:
            return self.n_mouse_obs
        return min(max(self.n_obs // _MOUSE_SHARE, _MOUSE_MIN_OBS), _MOUSE_MAX_OBS)
