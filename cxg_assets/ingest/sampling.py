"""How the cells that pass a subset's filter are sampled, split and ordered: attributes of its YAML, checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from cxg_assets.ingest.errors import BadInput, shown

CENSUS_ORDER = "census"
FULLY_SHUFFLED = "fully_shuffled"
ORDERS = (CENSUS_ORDER, "shuffled", FULLY_SHUFFLED)

REST = "train"
"""The part of the cells that no list of `held_out` names."""

_PART = re.compile("[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Which of the cells that pass the filter are kept; what is given applies in the order of the attributes below.

    Attributes:
        by: obs columns whose combinations of values are the groups; a missing value is a value like any other.
        at_least: Leave out groups with fewer cells.
        min_donors: Leave out groups with fewer distinct values of `donor_id`; a missing one is none.
        at_most: Keep so many cells of each group.
        fraction: Keep this share of what is left, rounded to whole cells.
        n_obs: Keep so many cells of what is left, or all if there are fewer.
        seed: Decides which. With one seed and equal other attributes a smaller sample lies inside a larger one.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    by: tuple[str, ...] = ()
    at_least: int | None = None
    min_donors: int | None = None
    at_most: int | None = None
    fraction: float | None = None
    n_obs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        of_groups = {name: getattr(self, name) for name in ("at_least", "min_donors", "at_most")}
        for name, value in (*of_groups.items(), ("n_obs", self.n_obs)):
            if value is not None and (type(value) is not int or value < 1):
                raise BadInput(f"sample.{name}: {shown(value)} is not a positive whole number")
        if self.fraction is not None and not _is_share(self.fraction):
            raise BadInput(f"sample.fraction: {shown(self.fraction)} is not a number above 0 and up to 1")
        if self.fraction is not None and self.n_obs is not None:
            raise BadInput("sample.n_obs: give fraction or n_obs, not both")
        given = [name for name, value in of_groups.items() if value is not None]
        if given and not self.by:
            raise BadInput(f"sample.by: {given[0]} is for groups; name the obs columns that make them")
        if self.by and not given:
            raise BadInput(
                "sample.by: give at_most, at_least or min_donors with it; fraction and n_obs are of all cells"
            )
        if not given and self.fraction is None and self.n_obs is None:
            raise BadInput("sample: give fraction, n_obs, or by with at_most, at_least or min_donors")
        repeated = {column for column in self.by if self.by.count(column) > 1}
        if repeated:
            raise BadInput(f"sample.by: {shown(min(repeated))} is listed twice")
        require_seed("sample.seed", self.seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of obs that are read."""
        donors = ("donor_id",) if self.min_donors is not None else ()
        return tuple(dict.fromkeys(("soma_joinid", *self.by, *donors)))

    @property
    def canonical(self) -> "Sample":
        """The same for all that keep the same cells: where nothing is drawn, the seed is nobody's."""
        is_drawn = self.at_most is not None or self.fraction is not None or self.n_obs is not None
        return self if is_drawn else replace(self, seed=0)

    @property
    def in_words(self) -> str:
        """What is given, like `by cell_type and tissue, at_most 1000, seed 0`."""
        return _in_words(self)


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the cells of a subset are divided: by shares or by lists of values that are held out.

    Attributes:
        by: obs columns whose combinations of values stay together; with none, each cell is drawn by itself.
        shares: Part -> share of the cells; they sum to 1.
        held_out: Part -> values of the one column of `by` that make it; the other cells are `train`.
        stratify: obs column of which each part gets each value in the same shares, as far as groups allow.
        seed: Decides which groups or cells a part gets.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    by: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    held_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stratify: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.shares) == bool(self.held_out):
            raise BadInput("split.shares: give shares or held_out, one of them")
        attribute = "shares" if self.shares else "held_out"
        for part in self.parts:
            if not _PART.fullmatch(part):
                raise BadInput(f"split.{attribute}: {shown(part)} cannot name a part; use small letters and digits")
        if self.shares:
            for part, share in self.shares.items():
                if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                    raise BadInput(f"split.shares.{part}: {shown(share)} is not a number between 0 and 1")
            if not math.isclose(total := sum(self.shares.values()), 1, abs_tol=1e-9):
                raise BadInput(f"split.shares: they sum to {total:g}, not to 1")
        else:
            self._check_held_out()
        require_seed("split.seed", self.seed)

    def _check_held_out(self) -> None:
        if len(self.by) != 1:
            raise BadInput("split.by: held_out lists values of one obs column; name that column")
        if self.stratify is not None:
            raise BadInput("split.stratify: only shares can be stratified; take it out or give shares")
        if REST in self.held_out:
            raise BadInput(f"split.held_out.{REST}: {REST} is what no list names; name another part")
        part_of: dict[str, str] = {}
        for part, values in self.held_out.items():
            if not values:
                raise BadInput(f"split.held_out.{part}: the list is empty")
            for value in values:
                if part_of.setdefault(value, part) != part:
                    raise BadInput(f"split.held_out.{part}: {shown(value)} is in {part_of[value]} as well")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in the order of their numbers."""
        return tuple(self.shares) if self.shares else (REST, *self.held_out)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of obs that are read."""
        strata = () if self.stratify is None else (self.stratify,)
        return tuple(dict.fromkeys(("soma_joinid", *self.by, *strata)))

    @property
    def canonical(self) -> "Split":
        """The same for all that make the same parts: lists in one order, and no seed with them."""
        if not self.held_out:
            return self
        return replace(self, seed=0, held_out={part: tuple(sorted(set(v))) for part, v in self.held_out.items()})

    @property
    def in_words(self) -> str:
        """What is given, like `by cell_type and tissue, at_most 1000, seed 0`."""
        return _in_words(self)


@dataclass(frozen=True, kw_only=True)
class Order:
    """In which order the cells of a part, or of the whole subset, go to its chunks.

    Attributes:
        kind: `census`: by soma_joinid. `shuffled`: pools of random rows of X tiles, shuffled inside, so that each tile
            is still read once. `fully_shuffled`: as any permutation of the cells, by two passes.
        seed: Decides the order.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    kind: str = CENSUS_ORDER
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ORDERS:
            raise BadInput(f"order: {shown(self.kind)} is unknown; choose one of {', '.join(ORDERS)}")
        require_seed("seed", self.seed)

    @property
    def in_words(self) -> str:
        """What is given, like `shuffled, seed 0`."""
        return self.kind if self.kind == CENSUS_ORDER else f"{self.kind}, seed {self.seed}"


def _in_words(value: Sample | Split) -> str:
    given = []
    for name, item in asdict(value).items():
        if name == "held_out":
            item = {part: _some(values) for part, values in item.items()}
        if isinstance(item, dict):
            item = ", ".join(f"{part} {share}" for part, share in item.items())
        elif isinstance(item, tuple):
            item = " and ".join(item)
        if item not in (None, ""):
            given.append(f"{name} {item}")
    return ", ".join(given)


def _some(values: tuple[str, ...]) -> str:
    more = len(values) - 3
    return " and ".join(values[:3]) + (f" and {more:,} more" if more > 0 else "")


def require_seed(attribute: str, seed: int) -> None:
    """Refuse what is no seed.

    Raises:
        BadInput: It is not a whole number from 0 to 2**63 - 1.
    """
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise BadInput(f"{attribute}: {shown(seed)} is not a whole number from 0 to 2**63 - 1")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 < value <= 1
