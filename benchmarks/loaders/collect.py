"""Makes annbatch's own collection of the chunks of a dataset, with its defaults."""

import argparse
import glob


def main() -> None:
    """Writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="of the subset")
    parser.add_argument("output")
    options = parser.parse_args()
    import zarr
    import zarrs  # noqa: F401
    from annbatch import DatasetCollection

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    files = sorted(glob.glob(f"{options.folder}/*/*.h5ad"))
    DatasetCollection(options.output).add_adatas(adata_paths=files, shuffle=True)


if __name__ == "__main__":
    main()
