"""What an error of an S3 client means, what to do, and whether it may pass by itself.

S3 names a cause by a code (Amazon S3 API reference, "Error responses"); the clients put it into their texts, each in
its own way. The words below are those of obstore 0.12 and of the TileDB in tiledbsoma 2.3.
"""

import re
from dataclasses import dataclass

_CODE = re.compile(r"<Code>([\w.]+)</Code>|\[Exception: ([\w.]+)\]")
_STATUS = re.compile(r"non-2xx status code: (\d{3})|\[HTTP Response Code: (\d{3})\]")
_RIGHT_REGION = re.compile(r"expecting '([\w-]+)'|'x-amz-bucket-region' = '([\w-]+)'")


@dataclass(frozen=True)
class _Cause:
    """One cause: the codes or words by which it is known, and what is told of it."""

    signs: tuple[str, ...]
    told: str
    is_transient: bool = False


_CONFLICT = "ConditionalRequestConflict"
_KEYS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"
_REGION = "the bucket is in another region; set AWS_REGION (for the Census: CXG_CENSUS_REGION)"
_PERMISSION = "S3 does not permit it; the policy of the keys must allow to list, read, write and delete there"
_BUSY = "S3 is overloaded or out of order"

_BY_CODE = (
    _Cause(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"), f"S3 does not know the keys; check {_KEYS}"
    ),
    _Cause(("ExpiredToken", "TokenRefreshRequired"), "the keys have expired; log in again"),
    _Cause(("RequestTimeTooSkewed",), "the clock of this machine is wrong; set it"),
    _Cause(("PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect"), _REGION),
    _Cause(("NoSuchBucket",), "there is no such bucket; create it, or check its name and AWS_ENDPOINT_URL"),
    _Cause(("AccessDenied",), _PERMISSION),
    _Cause(
        ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"),
        "what arrived was damaged on the way",
        is_transient=True,
    ),
    _Cause(("NotImplemented",), "this S3 does not support this request"),
    _Cause((_CONFLICT,), "another run writes there at this moment", is_transient=True),
    _Cause(
        ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests"),
        _BUSY,
        is_transient=True,
    ),
)

_BY_WORDS = (
    _Cause(("Received redirect without LOCATION",), _REGION),
    _Cause(
        ("dns error", "Could not resolve host", "failed to lookup address"),
        "the name of the S3 server is not known; check AWS_ENDPOINT_URL and the network",
        is_transient=True,
    ),
    _Cause(
        ("InvalidContentType", "InvalidCertificate", "SSL connect error", "SSL peer certificate"),
        "no secure connection to the S3 server; check that https in AWS_ENDPOINT_URL is correct, and the "
        "server's certificate",
    ),
    _Cause(
        ("Connection refused", "Could not connect", "ConnectError"),
        "the S3 server cannot be reached; check AWS_ENDPOINT_URL and the network",
        is_transient=True,
    ),
    _Cause(("HTTP error", "[Error Type: 99]"), "the connection to S3 broke off", is_transient=True),
)

_BY_STATUS = (
    _Cause(("301", "307"), _REGION),
    _Cause(("401", "403"), _PERMISSION),
    _Cause(("429", "500", "502", "503", "504"), _BUSY, is_transient=True),
)


def explain(error: BaseException) -> str:
    """What an error means and what to do, in one line; its own words where that is not known.

    May hold keys that S3 repeats: see `S3Settings.redact`.
    """
    text = str(error).strip() or type(error).__name__
    cause, code = _cause(text), _first_match(_CODE, text)
    # obstore appends S3's XML, and a dump of the request; TileDB puts the headers before what S3 said.
    words = text.split("\n\nDebug source")[0].split("<?xml")[0].rsplit("] : ")[-1]
    words = " ".join(words.split()).rstrip(": ")
    told = words if cause is None else cause.told
    told = f"{told} ({code})" if code and code not in told else told
    region = _first_match(_RIGHT_REGION, text)
    return f"{told}: it is {region}" if cause and cause.told == _REGION and region else told


def is_known(error: BaseException) -> bool:
    """Whether an error is one of S3 or of the way to it, which `explain` has words for."""
    return _cause(str(error)) is not None


def is_conflict(error: BaseException) -> bool:
    """Whether a conditional write came in the way of another; nobody knows yet which of the two is stored."""
    return _first_match(_CODE, str(error)) == _CONFLICT


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later: the network or the server failed, not the request."""
    cause = _cause(str(error))
    return cause is not None and cause.is_transient


def _cause(text: str) -> _Cause | None:
    code, status = _first_match(_CODE, text), _first_match(_STATUS, text)
    found = (
        *(cause for cause in _BY_CODE if code in cause.signs),
        *(cause for cause in _BY_WORDS if any(word in text for word in cause.signs)),
        *(cause for cause in _BY_STATUS if status in cause.signs),
    )
    return next(iter(found), None)


def _first_match(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return "" if match is None else next(group for group in match.groups() if group)
