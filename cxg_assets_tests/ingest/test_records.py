"""A record comes back from its JSON as it was; what is none is named with file, attribute and remedy."""

from dataclasses import dataclass, field

import pytest

from cxg_assets.ingest.errors import WrongRecord
from cxg_assets.ingest.records import decode, encode


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a record."""

    names: tuple[str, ...] = ()
    by_name: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A record."""

    part: Part
    number: int
    text: str | None


WHOLE = Whole(part=Part(names=("a", "ü\n"), by_name={"a": "b"}), number=2**62, text=None)


def test_a_record_and_its_parts_come_back() -> None:
    assert decode(Whole, encode(WHOLE), path="a.json", remedy="") == WHOLE


def test_what_a_file_does_not_tell_has_its_default() -> None:
    assert decode(Whole, b'{"part": {}, "number": 1, "text": "a"}', path="a.json", remedy="").part == Part()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "the whole: Invalid JSON"),
        (b"[]", "the whole: Input should be an object, not "),
        (b'{"part": {}, "number": 1}', "text: Field required"),
        (b'{"part": {}, "number": "1", "text": null}', "number: Input should be a valid integer, not '1'"),
        (b'{"part": {"other": 1}, "number": 1, "text": null}', "part.other: Unexpected keyword argument, not 1"),
        (b'{"part": {"names": [1]}, "number": 1, "text": null}', "part.names.0: Input should be a valid string, not 1"),
    ],
)
def test_what_is_no_such_record_is_named_with_file_attribute_and_remedy(text: bytes, problem: str) -> None:
    with pytest.raises(WrongRecord) as raised:
        decode(Whole, text, path="s3://lab/a.json", remedy="make it again")

    said = str(raised.value)
    assert said.startswith(f"s3://lab/a.json is not of this version of cxg_assets: {problem}")
    assert said.endswith("; make it again")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"number": 1}'])
def test_damage_is_named_also_where_earlier_versions_had_other_fields(text: bytes) -> None:
    with pytest.raises(WrongRecord, match=r"a\.json is not of this version of cxg_assets: "):
        decode(Whole, text, path="a.json", remedy="", upgrade=lambda fields: {"part": {}} | fields)


def test_an_earlier_version_is_read_through_its_upgrade() -> None:
    old = b'{"names": ["a"], "number": 1, "text": null}'

    found = decode(Whole, old, path="a.json", remedy="", upgrade=lambda f: {"part": {"names": f.pop("names")}, **f})

    assert found == Whole(part=Part(names=("a",)), number=1, text=None)
