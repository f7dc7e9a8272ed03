"""A gene file as people write it and as spreadsheets save it gives the same genes; a mistake has its line."""

import os
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import MAX_SHOWN, BadInput
from cxg_assets.ingest.selection.list_files import read_gene_file

GENES = ("ENSG00000081237", "ENSG00000156738", "ERCC-00002")


@pytest.mark.parametrize(
    "text",
    [
        "# markers\nENSG00000081237\n\n  ENSG00000156738  # MS4A1\nERCC-00002",
        "feature_id\nENSG00000081237\nENSG00000156738\nERCC-00002\n",
        "\n# from a spreadsheet\nFeature_ID \nENSG00000081237\nENSG00000156738\nERCC-00002\n",
        '"feature_id"\n"ENSG00000081237"\n\'ENSG00000156738\'\nERCC-00002\n',
        "feature_id,feature_name\nENSG00000081237,PTPRC\nENSG00000156738,MS4A1\nERCC-00002,\n",
        '"feature_name";"FEATURE_ID"\n"PTPRC; CD45";"ENSG00000081237"\nMS4A1;ENSG00000156738\n;ERCC-00002\n',
        "feature_id\tnote\nENSG00000081237\t\nENSG00000156738\ta, b\nERCC-00002\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_same_genes_are_read_however_they_are_written(
    tmp_path: Path, text: str, encoding: str, newline: str
) -> None:
    file = tmp_path / "genes.txt"
    file.write_bytes(text.replace("\n", newline).encode(encoding))
    assert read_gene_file(file) == GENES


def test_a_table_with_a_column_for_each_organism_is_read_at_that_of_one(tmp_path: Path) -> None:
    file = tmp_path / "orthologs.csv"
    file.write_text("group,mus_musculus,homo_sapiens\n1,ENSMUSG00000032094,ENSG00000167286\n2,,ENSG00000090382\n")
    assert read_gene_file(file, organism="homo_sapiens") == ("ENSG00000167286", "ENSG00000090382")
    assert read_gene_file(file, organism="mus_musculus") == ("ENSMUSG00000032094",)
    assert read_gene_file(file, "genes.vocabulary", "homo_sapiens") == ("ENSG00000167286", "ENSG00000090382")
    # In a vocabulary each gene has its place, which is that of its orthologues in the other organisms.
    with pytest.raises(BadInput, match=r"genes.vocabulary: .*:3: no gene of mus_musculus is there; take the line out"):
        read_gene_file(file, "genes.vocabulary", "mus_musculus")
    with pytest.raises(BadInput, match=":1: 'group,mus_musculus,homo_sapiens' is not a feature_id"):
        read_gene_file(file, organism="macaca_mulatta")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ENSG00000081237\n\nCD3D;CD4\n", ":3: 'CD3D;CD4' is not a feature_id (like ENSG00000081237)"),
        ("feature_id\ntwo words\n", ":2: 'two words' is not a feature_id (like ENSG00000081237)"),
        ("gene\nfeature_id\n\u00e4\n", ":3: '\u00e4' is not a feature_id (like ENSG00000081237)"),
        ("name,feature_id\nCD4\n", ":2: 'CD4' is not a feature_id (like ENSG00000081237)"),
        ("feature_name,gene\nCD4,ENSG00000081237\n", ":1: 'feature_name,gene' is not a feature_id (like "
         "ENSG00000081237)"),
        ("feature_id\n", " has no genes; leave genes out to keep all genes"),
        ("", " has no genes; leave genes out to keep all genes"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_gene_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "genes.txt"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_gene_file(file)
    assert str(caught.value) == f"genes.file: {file}{said}"


@pytest.mark.parametrize("table", ["", "feature_id,note\n"])
@pytest.mark.parametrize("n_characters", [300, 300_000])
def test_a_long_line_is_not_shown_whole(tmp_path: Path, table: str, n_characters: int) -> None:
    file = tmp_path / "genes.txt"
    file.write_text(f"{table}{'x!' * (n_characters // 2)}\n")
    with pytest.raises(BadInput) as caught:
        read_gene_file(file)
    said = str(caught.value).removeprefix(f"genes.file: {file}:{1 + bool(table)}: ")
    assert said.startswith("'x!x!")
    assert len(said.removesuffix(" is not a feature_id (like ENSG00000081237)")) == MAX_SHOWN


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"ENSG00000081237\nM\xfcller\n")
    (tmp_path / "half").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in {
        "none": "No such file or directory",
        "pipe": "it is not a file",
        "latin": "line 2 is not text in UTF-8; save it as text or CSV in UTF-8",
        "half": "line 1 is not text in UTF-16; save it as text or CSV in UTF-8",
    }.items():
        with pytest.raises(BadInput) as caught:
            read_gene_file(tmp_path / name)
        assert str(caught.value) == f"genes.file: cannot read {tmp_path / name}: {reason}"
