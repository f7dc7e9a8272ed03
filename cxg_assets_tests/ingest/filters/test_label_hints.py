"""A label that is not there is answered with those that are near it."""

import pytest

from cxg_assets.ingest.filters.label_hints import nearest_labels, quoted, unknown_label

TISSUES = ["adipose tissue", "blood", "bone marrow", "lung", "lung parenchyma", "small intestine", "spleen"]


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("lungs", ["lung"]),
        ("Lung ", ["lung", "lung parenchyma"]),
        ("BLOOD", ["blood"]),
        ("intestine", ["small intestine"]),
        ("bloud", ["blood"]),
        ("marrow", ["bone marrow"]),
        ("xyz", []),
        ("n", []),
        ("", []),
    ],
)
def test_the_likeliest_label_comes_first(written: str, nearest: list[str]) -> None:
    assert nearest_labels(written, TISSUES)[: len(nearest) or None] == nearest


def test_the_label_itself_is_no_answer() -> None:
    assert nearest_labels("lung", TISSUES) == ["lung parenchyma"]


def test_at_most_three_labels_are_near() -> None:
    assert len(nearest_labels("cell", [f"cell {number}" for number in range(50)])) == 3


def test_where_nothing_is_near_some_labels_are_listed() -> None:
    assert unknown_label("cell", "tissue", "xyz", TISSUES) == (
        "no cell has tissue 'xyz' (tissue has 'adipose tissue', 'blood', 'bone marrow', 'lung', 'lung parenchyma' "
        "and 2 more)"
    )
    assert unknown_label("cell", "tissue", "xyz", []) == "no cell has tissue 'xyz' (tissue has no label at all)"


def test_of_what_was_given_no_more_than_200_characters_are_repeated() -> None:
    assert len(unknown_label("cell", "tissue", "b" * 5_000, TISSUES)) < 350
    assert len(quoted(["c" * 5_000])) == 200
