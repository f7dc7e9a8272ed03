"""Which URLs a store may have, and which paths below it: nothing that could be read as another place.

Programs differ in what they make of `..`, of an empty segment or of `%2e`, and Python's own parser drops line breaks
without a word. So these are refused, not resolved.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from cxg_assets.ingest.errors import MAX_SHOWN, BadInput, shown, shown_path, shown_text

_MAX_PART = 70
"""Characters of a URL's part that a message shows beside the URL."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_FOUR_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


def as_url(place: str, folder: Path = Path()) -> str:
    """The URL of a store: a URL as it is, that of a path as `absolute_path` follows it from a folder."""
    if not place or "://" in place or _SCHEME.match(place):
        return place
    return absolute_path(place, folder).as_uri()


def absolute_path(path: str, folder: Path = Path()) -> Path:
    """An absolute path without `~` and `..`, relative to a folder; links stay, but where a `..` comes after one.

    Raises:
        BadInput: The path cannot be followed.
    """
    try:
        absolute = (folder / Path(path).expanduser()).absolute()
        return absolute.resolve() if ".." in absolute.parts else absolute
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no user of that name, a NUL
        raise BadInput(f"{shown(path)} is not a path on this machine: {shown_text(str(error))}") from error


def check_url(url: str) -> None:
    """Checks the URL of a store.

    Raises:
        BadInput: It is not `s3://bucket/prefix` or `file:///folder`, or could be read as another place.
    """
    given = shown(url, MAX_SHOWN - _MAX_PART)
    if "@" in url.split("://", 1)[-1].split("/", 1)[0]:
        raise BadInput("destination: the URL has an @ before its bucket; keys belong in the AWS_* variables")
    if "?" in url or "#" in url:
        raise BadInput(f"destination: {given} has a ? or #, which URLs do not allow in names; choose another")
    if not url.isprintable() or "\\" in url:
        raise BadInput(f"destination: {given} has a backslash or a character that cannot be seen; take it out")
    supported = "give s3://bucket/prefix or the path of a folder"
    if not url.startswith(("s3://", "file:///")):
        raise BadInput(f"destination: {given} is not supported; {supported}")
    bucket, _, path = url.split("://", 1)[1].partition("/")
    if url.startswith("s3://") and (not _BUCKET.fullmatch(bucket) or _FOUR_NUMBERS.fullmatch(bucket)):
        rule = "3 to 63 small letters, digits, hyphens and single dots"
        problem = f"{shown(bucket, _MAX_PART)} is not a bucket name ({rule})"
        raise BadInput(f"destination: {given} is not supported: {problem}; {supported}")
    if url.startswith("file:///") and not path.strip("/"):
        raise BadInput(f"destination: {given} is the root of this machine, not a folder in it; {supported}")
    # One slash at the end changes nothing.
    for segment in path.removesuffix("/").split("/") if path else ():
        if not _is_plain(_decoded(segment)):
            raise BadInput(
                f"destination: {given} has the segment {shown(segment, _MAX_PART)}, which may lead to another place; "
                "write the place itself, without . and .. and double slashes"
            )


def check_path(path: str, url: str) -> None:
    """Checks the path of an object or a folder, relative to the URL of its store; it may be that URL itself.

    Raises:
        BadInput: It could lie outside.
    """
    inner = path.removeprefix("/").removesuffix("/")
    if inner and not all(_is_plain(segment) for segment in inner.split("/")):
        raise BadInput(
            f"{shown(path)} is not a path below {shown_path(url)}: it has . or .. in it, or a double slash, "
            "or is not text"
        )


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return ""  # of a name that is not UTF-8 nothing is known


def _is_plain(segment: str) -> bool:
    return segment not in ("", ".", "..") and segment.isprintable() and "/" not in segment and "\\" not in segment
