"""Where the embeddings are that the Census hosts beside its releases."""

from dataclasses import dataclass

PUBLIC_MANIFEST = "https://contrib.cellxgene.cziscience.com/contrib/cell-census/contributions.json"
"""What is hosted (source: `experimental/_embedding.py` of cellxgene_census 1.18)."""

PUBLIC_ARRAYS = "s3://cellxgene-contrib-public/contrib/cell-census/soma/"
"""Where the arrays are: `<build>/<id>` below it (source: `_get_anndata.py` of cellxgene_census 1.18)."""

BESIDE = "embeddings"
"""Folder of a Census on a disk that has the same: `contributions.json`, and `soma/` with the arrays."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingsPlace:
    """Where the hosted embeddings of a build are.

    Attributes:
        manifest: URL or path of the JSON that lists them; empty where none is known.
        arrays: URI that `<build>/<id>` of each is below.
        build: The build.
    """

    manifest: str
    arrays: str
    build: str

    def uri(self, embedding_id: str) -> str:
        """Where the array of an embedding is."""
        return f"{self.arrays.rstrip('/')}/{self.build}/{embedding_id}"


def usual_place(uri: str, region: str | None, build: str) -> EmbeddingsPlace:
    """Where they are when nobody says otherwise: those of the public Census, or of a Census on a disk inside it.

    Args:
        uri: SOMA URI of the build.
        region: AWS region of a public bucket; None for any other place.
        build: The build.
    """
    if region is not None:
        return EmbeddingsPlace(manifest=PUBLIC_MANIFEST, arrays=PUBLIC_ARRAYS, build=build)
    folder = f"{uri.removeprefix('file://').rstrip('/')}/{BESIDE}"
    if "://" in folder:
        return EmbeddingsPlace(manifest="", arrays="", build=build)
    return EmbeddingsPlace(manifest=f"{folder}/contributions.json", arrays=f"{folder}/soma", build=build)
