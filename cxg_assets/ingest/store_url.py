"""Which URLs a store may have, and which paths below it: nothing that could be read as another place.

Programs differ in what they make of `..`, of an empty segment or of `%2e`, and Python's own parser drops line breaks
without a word. So these are refused, not resolved.
"""

import re
from urllib.parse import unquote

from cxg_assets.ingest.errors import BadInput

__all__ = ["check_path", "check_url"]

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_FOUR_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


def check_url(url: str) -> None:
    """Checks the URL of a store.

    Raises:
        BadInput: It is not `s3://bucket/prefix` or `file:///folder`, or could be read as another place.
    """
    if "@" in url.split("://", 1)[-1].split("/", 1)[0]:
        raise BadInput("destination: the URL has an @ before its bucket; keys belong in the AWS_* variables")
    if "?" in url or "#" in url:
        raise BadInput(f"destination: {url!r} has a ? or #, which URLs do not allow in names; choose another")
    if not url.isprintable() or "\\" in url:
        raise BadInput(f"destination: {url!r} has a backslash or a character that cannot be seen; take it out")
    supported = "give s3://bucket/prefix or file:///folder"
    if not url.startswith(("s3://", "file:///")):
        raise BadInput(f"destination: {url!r} is not supported; {supported}")
    bucket, _, path = url.split("://", 1)[1].partition("/")
    if url.startswith("s3://") and (not _BUCKET.fullmatch(bucket) or _FOUR_NUMBERS.fullmatch(bucket)):
        rule = "3 to 63 small letters, digits, hyphens and single dots"
        raise BadInput(f"destination: {url!r} is not supported: {bucket!r} is no bucket name ({rule}); {supported}")
    if url.startswith("file:///") and not path.strip("/"):
        raise BadInput(f"destination: {url!r} is the root of this machine, not a folder in it; {supported}")
    # One slash at the end changes nothing.
    for segment in path.removesuffix("/").split("/") if path else ():
        if not _is_plain(_decoded(segment)):
            raise BadInput(
                f"destination: {url!r} has the segment {segment!r}, which may lead to another place; "
                "write the place itself, without . and .. and double slashes"
            )


def check_path(path: str, url: str) -> None:
    """Checks the path of an object or a folder, relative to the URL of its store; it may be that URL itself.

    Raises:
        BadInput: It could lie outside.
    """
    inner = path.removeprefix("/").removesuffix("/")
    if inner and not all(_is_plain(segment) for segment in inner.split("/")):
        raise BadInput(f"{path!r} is no path below {url}: it has . or .. in it, or a double slash, or what is no text")


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return ""  # of a name that is not UTF-8 nothing is known


def _is_plain(segment: str) -> bool:
    return segment not in ("", ".", "..") and segment.isprintable() and "/" not in segment and "\\" not in segment
