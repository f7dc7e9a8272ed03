"""What `load_subset` says of YAML that Dagster cannot load: file, line, and what is wrong; never a component tree."""

from pathlib import Path

import pytest

from cxg_assets.cli.project import load_subset
from cxg_assets.ingest.errors import BadInput
from cxg_assets_tests.cli.command import declare_text
from cxg_assets_tests.wrong_yaml import HOW

HEAD = "type: cxg_assets.CensusSubset\nattributes:\n  name: sample\n  organism: homo_sapiens\n"


def what_is_said(defs: Path, text: str) -> list[str]:
    """Lines of the error that loading the YAML raises; the file's path is left out."""
    file = declare_text(defs, text)
    with pytest.raises(BadInput) as caught:
        load_subset("sample")
    return [line.removeprefix(str(file)) for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "  chunk_size: lots\n", ":5: chunk_size: 'lots' is wrong: input should be a valid integer, unable to "
         "parse string as an integer"),
        (HEAD + "  obs_columns: assay\n", ":5: obs_columns: 'assay' is wrong: input should be a valid list"),
        (HEAD.replace("homo_", "homo "), ":4: organism: 'homo sapiens' is not allowed; use small letters, digits and "
         "underscores, starting with a letter, at most 63"),
        (HEAD.replace("  organism: homo_sapiens\n", ""), ":2: organism: it is missing; every subset has one, or "
         "organisms, a list of several"),
        (HEAD + "  genes:\n    value_fliter: nnz > 5\n", ":6: there is no attribute 'genes.value_fliter'; did you mean "
         "value_filter? genes can have vocabulary, absent, value_filter, feature_ids, file, feature_type, measured_in, "
         "highly_variable"),
        (HEAD + "  genes:\n    highly_variable: {n_top_gene: 5}\n", ":6: genes.highly_variable: there is no "
         "attribute 'n_top_gene'; it can have n_top_genes, batch"),
        (HEAD + "  genes:\n    highly_variable:\n      n_top_genes: many\n", ":7: genes.highly_variable.n_top_genes: "
         "'many' is not a positive whole number"),
        (HEAD + "  genes: {highly_variable: {batch: donor_id}}\n", ":5: genes.highly_variable.n_top_genes: it is "
         "missing; say how many genes to keep"),
        (HEAD + "  genes: {highly_variable: {n_top_genes: 5, batch: [donor_id, 5]}}\n", ":5: genes.highly_variable."
         "batch: ['donor_id', 5] is neither the name of an obs column nor a list of names"),
        (HEAD + "  genes:\n    absent: drop\n", ":6: genes.absent: 'drop' is unknown; "
         "choose one of pad, refuse"),
        (HEAD + "  genes: {measured_in: most}\n", ":5: genes.measured_in: 'most' is unknown; it can be "
         "every_dataset"),
        (HEAD + "  genes: {feature_type: ['']}\n", ":5: genes.feature_type: '' is no type of genes (like "
         "protein_coding)"),
        (HEAD + "  owners: [bob]\n", ":5: owners: 'bob' is neither an e-mail address nor a team like "
         "team:cell-models"),
        (HEAD + "  owners: me@lab.org\n", ":5: owners: 'me@lab.org' is wrong: input should be a valid list"),
        (HEAD + "  tags: {project: blood bank}\n", ":5: tags: project: 'blood bank' cannot be the value of a tag; use "
         "letters, digits, `_`, `-` and `.`, at most 63"),
        (HEAD + "  tags:\n    dagster/kind: x\n", ":5: tags: 'dagster/kind' is one of Dagster's own tags; choose a "
         "name without dagster/"),
        (HEAD + "  tags: {year: 2026}\n", ":5: tags: 2026 is wrong: input should be a valid string"),
        (HEAD + "  genes: 5\n", ":5: genes: 5 is wrong: input should be an object"),
        (HEAD + "  genes: {}\n", ":5: genes: give vocabulary, or any of value_filter, feature_ids, file, "
         "feature_type, measured_in and highly_variable; leave genes out to keep all genes"),
        (HEAD + "  genes:\n    feature_ids: [ENSG00000167286]\n    file: genes.txt\n", ":5: genes: feature_ids and "
         "file are both given; keep one of the two lists"),
        (HEAD.replace("attributes:", "attributs:"), ":2: there is no 'attributs' beside type; the attributes go below "
         "`attributes:`"),
        ("attributes:\n  name: sample\n", ":1: type: it is missing; every subset has one"),
        ("- sample\n", ":1: the file: ['sample'] is wrong: input should be an object"),
        (HEAD + "  obs_columns: [assay\n", ":6: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        (HEAD.replace("CensusSubset", "CensusSubst"),
         f":1: type: Module `cxg_assets` has no attribute `CensusSubst`; {HOW}"),
        ("", f":1: the file is empty; {HOW}"),
        (HEAD.replace("sample", "simple"), ":3: name: 'simple' is not the name of its folder; rename one of the two"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line(defs: Path, text: str, said: str) -> None:
    assert what_is_said(defs, text) == [said]


def test_each_of_several_mistakes_has_its_line(defs: Path) -> None:
    assert what_is_said(defs, HEAD + "  layer: scaled\n  max_obs: few\n") == [
        ":5: layer: 'scaled' is wrong: input should be 'raw' or 'normalized'",
        ":6: max_obs: 'few' is wrong: input should be a valid integer, unable to parse string as an integer",
    ]


def test_a_wrong_template_is_shown_with_its_line(defs: Path) -> None:
    [said] = what_is_said(defs, HEAD + "  destination: \"{{ evn('CXG_STORE_URL') }}\"\n")
    assert said.startswith(":5: destination: UndefinedError: 'evn' not found in scope")
