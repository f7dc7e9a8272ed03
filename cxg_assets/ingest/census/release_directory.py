"""The directory of the public Census: which releases there are, and where each one lies.

cellxgene_census 1.18 reads the same two files, but without a timeout or a second try. It drops an alias that leads
nowhere, never comes back from aliases that lead in a circle, and does not say which mirror is the default. Here each of
these is an error that says so.
"""

import difflib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urljoin, urlparse

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cxg_assets.ingest.errors import BadInput, CxgError, shown

DIRECTORY_URL = "https://census.cellxgene.cziscience.com/cellxgene-census/v1/"
"""Where `release.json` and `mirrors.json` are (source: `_release_directory.py` of cellxgene_census 1.18)."""

LIMIT_S = 120.0
"""How long to wait for all that is asked for at once, with everything that is tried again."""

TIMEOUT_S = (10.0, 30.0)
"""Of one attempt: to connect to one address, and from one packet of the answer to the next."""

RETRIES = 4

BACKOFF_S = 0.5
"""The retries wait 0, 2, 4 and 8 times this; all but the first also a random part of it."""

Entries = Mapping[str, Any]
"""A JSON object of the directory."""

_INSTEAD = "or give the URI of a Census instead (CXG_CENSUS_URI)"
_IN_RELEASES = f"census_version: {DIRECTORY_URL}release.json"
_IN_MIRRORS = f"census_mirror: {DIRECTORY_URL}mirrors.json"


@dataclass(frozen=True, kw_only=True)
class ReleaseAddress:
    """Where a release of the public Census is, as the directory says; the fields are those of `Release`."""

    name: str
    build: str
    uri: str
    region: str | None
    flags: tuple[str, ...]


def resolve_release(name: str, mirror: str = "") -> ReleaseAddress:
    """Looks up an alias (`stable`, `V5`) or a build (`2025-11-08`), in the default mirror or another.

    Takes two GET requests and two minutes at most (see `fetch_objects`, also for proxies and certificates).

    Raises:
        BadInput: The release is unknown or retracted, or an alias without a build; or the mirror is unknown, not in S3,
            or a default that is not listed.
        CxgError: The directory cannot be read, or does not have the format that we know.
    """
    try:
        releases, mirrors = fetch_objects([f"{DIRECTORY_URL}release.json", f"{DIRECTORY_URL}mirrors.json"])
    except CxgError as error:
        raise CxgError(f"census_version: {error}, {_INSTEAD}") from error
    build = _find_build(name, releases)
    uri, region = _locate(build, releases[build], _find_mirror(mirror, mirrors))
    return ReleaseAddress(name=name, build=build, uri=uri, region=region, flags=_flags(build, releases))


def find_retraction(build: str) -> str | None:
    """When and why a build was retracted, and what to use instead; empty when it was not, None when it is not listed.

    Takes one GET request.

    Raises:
        CxgError: The directory cannot be read, or does not have the format that we know.
    """
    [releases] = fetch_objects([f"{DIRECTORY_URL}release.json"])
    return _retraction(build, releases) if build in releases else None


def _find_build(name: str, releases: Entries) -> str:
    """The build that a name leads to."""
    path = _follow(name, releases)
    build, told = path[-1], " -> ".join(path)
    if name not in releases:
        raise BadInput(
            f"census_version: there is no release {shown(name)}; {_did_you_mean(name, releases)}{_choice(releases)}"
        )
    if build in path[:-1]:
        raise BadInput(f"census_version: {told} is a circular alias; {_choice(releases)}")
    if build not in releases:
        raise BadInput(f"census_version: {told}, which the directory of the Census does not list; {_choice(releases)}")
    retraction = _retraction(build, releases)
    if retraction:
        raise BadInput(f"census_version: {told} was {retraction}")
    return build


def _retraction(build: str, releases: Entries) -> str:
    """When and why a build was retracted, and what to use instead; empty when it was not."""
    if "retracted" not in _flags(build, releases):
        return ""
    retraction = _get_optional(releases[build], "retraction", dict, f"{_IN_RELEASES}: {build}") or {}
    date, reason, url, successor = (
        " ".join(str(retraction.get(key) or "").split()) for key in ("date", "reason", "info_url", "replaced_by")
    )
    why = "".join((f" on {date}" if date else "", f": {reason}" if reason else "", f" ({url})" if url else ""))
    advice = f"use {successor} instead" if successor else _choice(releases)
    return f"retracted{why}; {advice}"


def _follow(name: str, releases: Entries) -> list[str]:
    """All names from an alias to its build; if there is none, to a name that is not listed or was there before."""
    path = [name]
    while path[-1] not in path[:-1] and isinstance(target := releases.get(path[-1]), str):
        path.append(target)
    return path


def _flags(build: str, releases: Entries) -> tuple[str, ...]:
    """The flags that are set."""
    description = _get(releases, build, dict, _IN_RELEASES)
    flags = _get_optional(description, "flags", dict, f"{_IN_RELEASES}: {build}") or {}
    return tuple(sorted(flag for flag, is_set in flags.items() if is_set))


def _names(releases: Entries) -> list[str]:
    """The names that lead to a build which was not retracted: aliases before builds, newer before older."""
    builds = {name: _follow(name, releases)[-1] for name in releases}
    listed = {name for name, build in builds.items() if isinstance(releases.get(build), dict)}
    names = [name for name in listed if "retracted" not in _flags(builds[name], releases)]
    return sorted(names, key=lambda name: (isinstance(releases[name], str), name), reverse=True)


def _choice(releases: Entries) -> str:
    return f"choose one of {', '.join(_names(releases))}"


def _did_you_mean(name: str, releases: Entries) -> str:
    names = {known.casefold(): known for known in _names(releases)}
    close = difflib.get_close_matches(name.casefold(), names)
    return f"did you mean {' or '.join(names[match] for match in close)}? If not, " if close else ""


def _find_mirror(name: str, mirrors: Entries) -> tuple[str, str]:
    """Base URI and region of the mirror of that name; for an empty name of the default one."""
    choice = f"choose one of {', '.join(key for key in mirrors if key != 'default')}"
    if name and (name == "default" or name not in mirrors):
        raise BadInput(f"census_mirror: there is no mirror {shown(name)}; {choice}")
    chosen = name or _get(mirrors, "default", str, _IN_MIRRORS)
    if chosen not in mirrors:
        raise BadInput(f"census_mirror: the default mirror {chosen} is not in the directory of the Census; {choice}")
    mirror = _get(mirrors, chosen, dict, _IN_MIRRORS)
    where = f"{_IN_MIRRORS}: {chosen}"
    if (provider := _get(mirror, "provider", str, where)) != "S3":
        raise BadInput(
            f"census_mirror: {chosen} has the unknown provider {shown(provider)}; upgrade cxg_assets, or {choice}"
        )
    return _get(mirror, "base_uri", str, where), _get(mirror, "region", str, where)


def _locate(build: str, description: Entries, mirror: tuple[str, str]) -> tuple[str, str | None]:
    """URI and region, as `_resolve_census_locator` and `_uri_join` of cellxgene_census 1.18 find them."""
    locator = _get(description, "soma", dict, f"{_IN_RELEASES}: {build}")
    where = f"{_IN_RELEASES}: {build}: soma"
    relative = _get_optional(locator, "relative_uri", str, where)
    if not relative:
        return _get(locator, "uri", str, where), _get_optional(locator, "s3_region", str, where)
    base_uri, region = mirror
    base, target = urlparse(base_uri), urlparse(relative)
    if target.netloc:
        return relative, region
    # urljoin does not know s3://, so it joins the paths alone.
    joined = target._replace(scheme=base.scheme, netloc=base.netloc, path=urljoin(base.path, target.path))
    return joined.geturl(), region


def _get(entries: Entries, key: str, kind: type, where: str) -> Any:
    if not isinstance(entries.get(key), kind):
        problem = f"{key!r} is not {'an object' if kind is dict else 'a text'}" if key in entries else f"no {key!r}"
        raise CxgError(f"{where}: {problem}; the directory has changed: upgrade cxg_assets, {_INSTEAD}")
    return entries[key]


def _get_optional(entries: Entries, key: str, kind: type, where: str) -> Any:
    return None if entries.get(key) is None else _get(entries, key, kind, where)


def fetch_objects(urls: Sequence[str]) -> list[Entries]:
    """Gets JSON objects, one after the other over one connection, within two minutes (`LIMIT_S`).

    Connection errors and the statuses 429, 500, 502, 503 and 504 are tried again. The environment variables of
    `requests` count: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE.

    It runs in a thread that is left behind when it takes too long: the timeouts of `requests` begin anew with every
    address of a host and every packet, so they alone set no limit.

    Raises:
        CxgError: One cannot be had, or is not a JSON object. The message begins with its URL.
    """
    found: Future[list[Entries]] = Future()
    retry = Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_S,
        backoff_jitter=BACKOFF_S,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,  # so that the message can name the last status
        respect_retry_after_header=False,  # it may ask for hours
    )

    def fetch() -> None:
        try:
            with requests.Session() as session:
                session.headers["User-Agent"] = f"cxg_assets/{version('cxg_assets')}"
                session.mount("https://", HTTPAdapter(max_retries=retry))
                found.set_result([_fetch_object(session, url) for url in urls])
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            found.set_exception(error)

    threading.Thread(target=fetch, name="fetch-json", daemon=True).start()
    try:
        return found.result(LIMIT_S)
    except TimeoutError as error:
        raise CxgError(f"{' and '.join(urls)}: no whole answer within {LIMIT_S:g} s; try again later") from error


def _fetch_object(session: requests.Session, url: str) -> Entries:
    try:
        response = session.get(url, timeout=TIMEOUT_S)
    except OSError as error:  # all errors of requests, and the plain one for a REQUESTS_CA_BUNDLE that is not there
        advice = "check the network, HTTPS_PROXY and REQUESTS_CA_BUNDLE"
        raise CxgError(f"{url}: no answer ({_root_cause(error)}); {advice}") from error
    if response.status_code != requests.codes.ok:
        raise CxgError(f"{url}: HTTP status {response.status_code}; try again later")
    try:
        value = response.json()
    except requests.JSONDecodeError as error:
        raise CxgError(f"{url}: the answer is not JSON; check whether a proxy answered in its place") from error
    if not isinstance(value, dict):
        raise CxgError(f"{url}: the answer is JSON, but not an object; check whether a proxy answered in its place")
    return value


def _root_cause(error: BaseException) -> str:
    """What the network, TLS or the proxy said: requests and urllib3 wrap it several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return " ".join(str(error).split()) or type(error).__name__
