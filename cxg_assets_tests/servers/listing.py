"""The keys of a bucket, sorted, and what ListObjectsV2 says of them."""

from bisect import bisect_left, insort
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """The parameters of one ListObjectsV2."""

    prefix: str
    delimiter: str
    max_keys: int
    after: str


class Keys:
    """The objects of one bucket: a folder's files, looked up once, and what is put and deleted later."""

    def __init__(self, folder: Path) -> None:
        self._sizes = {
            path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()
        }
        self._sorted = sorted(self._sizes)

    def add(self, key: str, size: int) -> None:
        """An object was put."""
        if key not in self._sizes:
            insort(self._sorted, key)
        self._sizes[key] = size

    def remove(self, key: str) -> None:
        """An object was deleted."""
        if self._sizes.pop(key, None) is not None:
            del self._sorted[bisect_left(self._sorted, key)]

    def list_xml(self, bucket: str, request: ListRequest) -> str:
        """The answer to ListObjectsV2."""
        contents: list[str] = []
        prefixes: list[str] = []
        last = ""
        truncated = False
        at = bisect_left(self._sorted, max(request.prefix, request.after + "\0" if request.after else ""))
        while at < len(self._sorted) and self._sorted[at].startswith(request.prefix):
            key = self._sorted[at]
            if len(contents) + len(prefixes) >= request.max_keys:
                truncated = True
                break
            cut = key.find(request.delimiter, len(request.prefix)) if request.delimiter else -1
            if cut < 0:
                contents.append(key)
                last, at = key, at + 1
                continue
            prefix = key[: cut + len(request.delimiter)]
            prefixes.append(prefix)
            # The last character of Unicode: the key after every key below this prefix.
            last = prefix + "\U0010ffff"
            at = bisect_left(self._sorted, last)
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(request.prefix)}</Prefix>"
            f"<Delimiter>{escape(request.delimiter)}</Delimiter><MaxKeys>{request.max_keys}</MaxKeys>"
            f"<KeyCount>{len(contents) + len(prefixes)}</KeyCount><IsTruncated>{str(truncated).lower()}</IsTruncated>"
            + (f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if truncated else "")
            + "".join(self._content_xml(key) for key in contents)
            + "".join(f"<CommonPrefixes><Prefix>{escape(p)}</Prefix></CommonPrefixes>" for p in prefixes)
            + "</ListBucketResult>"
        )

    def _content_xml(self, key: str) -> str:
        modified = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{self._sizes[key]}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
