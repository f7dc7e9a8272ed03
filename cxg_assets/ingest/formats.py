"""The formats in which chunks can be written, and how a chunk of each lies at a destination.

All that lists, counts, checks or removes chunks asks this, so that it need not know the formats one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

H5AD, ZARR = "h5ad", "zarr"

_DEPTH = 4
"""Names in the path of a chunk that is a folder: subset, plan, collection, chunk."""


@dataclass(frozen=True, kw_only=True)
class ChunkFormat:
    """A format of chunks.

    Attributes:
        name: What a YAML calls it.
        of_chunk: What people call a chunk of it.
        compressions: How arrays can be compressed; the first one where nothing is said.
        chunk_size: Cells of a chunk where a YAML says nothing.
        marker: Of a chunk that is a folder of objects, the one that is stored last: where it lies, the chunk is whole.
            Empty where a chunk is one object.
    """

    name: str
    of_chunk: str
    compressions: tuple[str, ...]
    chunk_size: int
    marker: str = ""

    def marker_of(self, place: str) -> str:
        """The object whose presence says that the chunk of this place is stored."""
        return f"{place}/{self.marker}" if self.marker else place

    def place_of(self, path: str) -> str:
        """The place of the chunk that an object would belong to: a folder, or the object itself."""
        return "/".join(path.split("/")[:_DEPTH]) if self.marker else path


FORMATS: Mapping[str, ChunkFormat] = {
    H5AD: ChunkFormat(
        name=H5AD, of_chunk="h5ad file", compressions=("gzip", "lzf", "zstd", "none"), chunk_size=10_000
    ),
    # annbatch asks every dataset of a collection at each request, and reads many small ones 0.6 times as fast as two.
    ZARR: ChunkFormat(
        name=ZARR,
        of_chunk="zarr dataset",
        compressions=("lz4", "zstd", "none"),
        chunk_size=65_536,
        marker="zarr.json",
    ),
}
"""By name."""
