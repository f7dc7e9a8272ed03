"""Which X layers of the Census a chunk has, and where: one is its X, others may be in its `layers`."""

from collections.abc import Mapping
from dataclasses import dataclass

from cxg_assets.ingest.errors import BadInput, shown

LAYERS = ("raw", "normalized")
"""X layers that a Census can have."""

X = "X"
"""Where the one layer goes; the others go to `layers/NAME`."""

_FOLDER = "layers/"
_EXAMPLE = "write it like {raw: X, normalized: layers/normalized}"


@dataclass(frozen=True, kw_only=True)
class FurtherLayer:
    """A layer that chunks have beside X: which one of the Census, and the URI of its array."""

    layer: str
    uri: str


def placed(layers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The layer that goes to X, and those that go to `layers`, by their names there, sorted.

    Args:
        layers: For each layer of the Census its place: `X` or `layers/NAME`.

    Raises:
        BadInput: There is no such layer or place, or not one for X.
    """
    further: dict[str, str] = {}
    of_x = [layer for layer, place in layers.items() if place == X]
    for layer, place in layers.items():
        if layer not in LAYERS:
            raise BadInput(f"layers: {shown(layer)} is unknown; choose among {', '.join(LAYERS)}")
        if place == X:
            continue
        name = place.removeprefix(_FOLDER)
        if not place.startswith(_FOLDER) or not is_name(name):
            raise BadInput(f"layers.{layer}: {shown(place)} is no place for a layer; {_EXAMPLE}")
        if name in further:
            raise BadInput(f"layers.{layer}: {shown(place)} is the place of {further[name]} as well; choose another")
        further[name] = layer
    if len(of_x) != 1:
        has = "none goes" if not of_x else f"{' and '.join(of_x)} go"
        raise BadInput(f"layers: {has} to X, and one has to; {_EXAMPLE}")
    return of_x[0], dict(sorted(further.items()))


def is_name(name: str) -> bool:
    """Whether an element of AnnData's `layers` or `obsm` can be called so in a file."""
    return name not in ("", ".", "..") and name.isprintable() and "/" not in name


def further_in_words(further: Mapping[str, str]) -> str:
    """Layers beside X, for a person and for `uns`: `normalized in layers/normalized`."""
    return ", ".join(f"{layer} in {_FOLDER}{name}" for name, layer in sorted(further.items()))


def in_words(layer: str, further: Mapping[str, str]) -> str:
    """All layers of chunks, for a person: that of X alone, or `raw in X, normalized in layers/normalized`."""
    return f"{layer} in {X}, {further_in_words(further)}" if further else layer
