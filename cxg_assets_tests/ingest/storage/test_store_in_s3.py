"""What a store asks of S3, request by request: nothing is overwritten, nothing damaged is kept, no request too many."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import StoreError, Unreachable
from cxg_assets.ingest.storage import s3_store
from cxg_assets.ingest.storage.store import FINGERPRINT_ATTRIBUTE, Stored
from cxg_assets_tests.servers.strict_s3 import (
    ONCE,
    PUT,
    QUICKLY,
    Failure,
    Key,
    Rules,
    StrictS3,
)

MIB = 2**20


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of more than 6 MiB are stored in parts of 5, the least that S3 allows."""
    monkeypatch.setattr(s3_store, "MULTIPART_BYTES", 6 * MIB)
    monkeypatch.setattr(s3_store, "PART_BYTES", 5 * MIB)


def in_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_a_chunk_is_one_put_and_nothing_else(server: StrictS3) -> None:
    stored = server.locator().open(ONCE).put_chunk("plan/00000.h5ad", b"data", "f1ab")

    assert stored == Stored(created=True, retries=0)
    assert [asked.method for asked in server.requests()] == ["PUT"]


def test_a_chunk_that_is_there_stays(server: StrictS3) -> None:
    store = server.locator().open(ONCE)
    store.put_chunk("chunk", b"first", "f")

    assert store.put_chunk("chunk", b"second", "f") == Stored(created=False, retries=0)
    assert store.get("chunk") == b"first"
    assert [asked.headers["if-none-match"] for asked in server.requests("PUT")] == ["*", "*"]


def test_other_objects_are_overwritten(server: StrictS3) -> None:
    store = server.locator().open(ONCE)
    store.put("index", b"first")
    store.put("index", b"second")

    assert store.get("index") == b"second"
    assert not [asked for asked in server.requests() if "if-none-match" in asked.headers]


def test_without_conditional_writes_a_chunk_is_overwritten(server: StrictS3) -> None:
    server.obey(Rules(conditions="refused"))
    store = server.locator(conditional_create=False).open(ONCE)
    store.put_chunk("chunk", b"first", "f")

    assert store.put_chunk("chunk", b"second", "f").created
    assert store.get("chunk") == b"second"


def test_a_conflict_with_another_writer_is_not_taken_for_a_stored_chunk(server: StrictS3) -> None:
    # S3 says so when another request for the object is under way; of that it is not known yet whether it succeeds.
    conflict = Failure(status=409, code="ConditionalRequestConflict", methods=("PUT",), times=1)
    server.obey(Rules(failures=(conflict,)))
    store = server.locator().open(QUICKLY)

    assert store.put_chunk("chunk", b"data", "f") == Stored(created=True, retries=1)
    assert store.get("chunk") == b"data"


def test_a_lost_answer_leaves_one_whole_chunk(server: StrictS3) -> None:
    server.obey(Rules(failures=(Failure(status=500, code="InternalError", methods=("PUT",), times=1, done=True),)))
    store = server.locator().open(QUICKLY)

    assert store.put_chunk("chunk", b"data", "f").retries == 1
    assert store.get("chunk") == b"data"
    assert store.sizes("") == {"chunk": 4}


def test_the_checksum_of_a_chunk_is_sent(server: StrictS3) -> None:
    server.locator().open(ONCE).put_chunk("chunk", b"data", "f")

    (asked,) = server.requests("PUT")
    assert asked.headers["x-amz-checksum-sha256"] == in_base64(b"data")
    assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(b"data").hexdigest()


def test_no_checksum_is_sent_to_an_s3_that_does_not_know_it(server: StrictS3) -> None:
    server.obey(Rules(checksums="refused"))

    server.locator(checksums=False).open(ONCE).put_chunk("chunk", b"data", "f")

    (asked,) = server.requests("PUT")
    assert not [name for name in asked.headers if name.startswith("x-amz-checksum")]


def test_what_is_damaged_on_the_way_is_refused_and_sent_again(server: StrictS3) -> None:
    server.obey(Rules(damaged_puts=3))
    store = server.locator().open(QUICKLY)

    assert store.put_chunk("chunk", b"data", "f") == Stored(created=True, retries=3)
    assert store.get("chunk") == b"data"
    assert [asked.status for asked in server.requests("PUT")] == [400, 400, 400, 200]


def test_what_is_always_damaged_is_told_in_the_end(server: StrictS3) -> None:
    server.obey(Rules(damaged_puts=1_000))

    with pytest.raises(Unreachable, match=r"cannot write s3://.*/chunk: what arrived was damaged on the way"):
        server.locator().open(ONCE).put_chunk("chunk", b"data", "f")


@pytest.mark.usefixtures("small_parts")
def test_a_damaged_part_is_sent_again(server: StrictS3) -> None:
    server.obey(Rules(damaged_puts=2))
    content = os.urandom(12 * MIB)
    store = server.locator().open(QUICKLY)

    store.put_chunk("chunk", content, "f")

    assert store.get("chunk") == content


def test_a_busy_s3_is_asked_again(server: StrictS3) -> None:
    server.obey(Rules(failures=(Failure(status=503, code="SlowDown", times=2),)))
    store = server.locator().open(QUICKLY)

    assert store.put_chunk("chunk", b"data", "f") == Stored(created=True, retries=2)


@pytest.mark.parametrize("act", ["put", "get", "exists", "sizes", "delete"])
def test_every_request_is_repeated_while_s3_is_busy(server: StrictS3, act: str) -> None:
    store = server.locator().open(QUICKLY)
    store.put("a", b"1")
    server.obey(Rules(failures=(Failure(status=503, code="SlowDown", times=2),)))

    getattr(store, act)(*{"put": ("b", b"1"), "sizes": ("",)}.get(act, ("a",)))

    assert [asked.status for asked in server.requests()] == [503, 503, 204 if act == "delete" else 200]


@pytest.mark.usefixtures("small_parts")
def test_a_large_chunk_is_stored_in_parts_with_their_checksums(server: StrictS3) -> None:
    content = os.urandom(12 * MIB)
    store = server.locator().open(ONCE)

    assert store.put_chunk("chunk", content, "f1ab") == Stored(created=True, retries=0)

    parts = {asked.query["partNumber"]: asked.headers["x-amz-checksum-sha256"] for asked in server.requests("PUT")}
    cut = [content[begin : begin + 5 * MIB] for begin in (0, 5 * MIB, 10 * MIB)]
    assert parts == {str(number): in_base64(part) for number, part in enumerate(cut, start=1)}
    assert [asked.headers.get(f"x-amz-meta-{FINGERPRINT_ATTRIBUTE}") for asked in server.requests("POST")] == [
        "f1ab",
        None,
    ]
    assert store.get("chunk") == content
    with store.local_copy("chunk") as copy:
        assert copy.read_bytes() == content


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_is_stored_in_parts(server: StrictS3, tmp_path: Path) -> None:
    content = os.urandom(7 * MIB)
    (tmp_path / "file").write_bytes(content)
    store = server.locator().open(ONCE)

    store.put("file", tmp_path / "file")

    assert len(server.requests("PUT")) == 2
    assert store.get("file") == content


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "rules",
    [
        Rules(keys=(Key(denied=(PUT,)),)),
        Rules(failures=(Failure(status=507, code="StorageFull", methods=("PUT", "POST")),)),
    ],
    ids=["denied", "full"],
)
def test_an_older_large_object_of_the_same_size_is_not_taken_for_the_new_one(server: StrictS3, rules: Rules) -> None:
    store = server.locator().open(ONCE)
    store.put("object", bytes(7 * MIB))
    server.obey(rules)

    with pytest.raises(StoreError, match="cannot write"):
        store.put("object", b"1" * 7 * MIB)


@pytest.mark.usefixtures("small_parts")
def test_a_large_object_whose_last_answer_is_lost_is_stored(server: StrictS3) -> None:
    lost = Failure(status=500, code="InternalError", methods=("POST",), query="uploadId", times=1, done=True)
    server.obey(Rules(failures=(lost,)))
    store = server.locator().open(QUICKLY)

    store.put("object", bytes(7 * MIB))

    assert store.sizes("") == {"object": 7 * MIB}
    assert len(server.requests("PUT")) == 2


def test_encryption_is_asked_for_all_objects_and_storage_class_for_chunks(server: StrictS3) -> None:
    locator = server.locator(encryption="aws:kms", kms_key_id="key-1", storage_class="INTELLIGENT_TIERING")
    store = locator.open(ONCE)

    store.put_chunk("chunk", b"data", "f")
    store.put("manifest", b"data")

    for asked in server.requests():
        assert asked.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert asked.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
    assert [asked.headers.get("x-amz-storage-class") for asked in server.requests()] == ["INTELLIGENT_TIERING", None]


@pytest.mark.usefixtures("small_parts")
def test_encryption_and_storage_class_hold_for_large_chunks(server: StrictS3) -> None:
    locator = server.locator(encryption="AES256", storage_class="STANDARD_IA")

    locator.open(ONCE).put_chunk("chunk", bytes(7 * MIB), "f")

    begun = server.requests("POST")[0]
    assert begun.headers["x-amz-server-side-encryption"] == "AES256"
    assert begun.headers["x-amz-storage-class"] == "STANDARD_IA"


def test_nothing_is_asked_that_is_not_set(server: StrictS3) -> None:
    server.locator().open(ONCE).put_chunk("chunk", b"data", "f")

    (asked,) = server.requests()
    assert not [name for name in asked.headers if "encryption" in name or "storage-class" in name]
