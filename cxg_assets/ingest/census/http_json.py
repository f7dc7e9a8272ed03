"""JSON objects from the web, in a time that has a limit."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cxg_assets import __version__
from cxg_assets.ingest.errors import CxgError

LIMIT_S = 120.0
"""How long to wait for all that is asked for at once, with everything that is tried again."""

TIMEOUT_S = (10.0, 30.0)
"""Of one attempt: to connect to one address, and from one packet of the answer to the next."""

RETRIES = 4

BACKOFF_S = 0.5
"""The retries wait 0, 2, 4 and 8 times this; all but the first also a random part of it."""


def fetch_objects(urls: Sequence[str]) -> list[Mapping[str, Any]]:
    """Gets JSON objects, one after the other over one connection, within two minutes (`LIMIT_S`).

    Connection errors and the statuses 429, 500, 502, 503 and 504 are tried again. The environment variables of
    `requests` count: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE.

    It runs in a thread that is left behind when it takes too long: the timeouts of `requests` begin anew with every
    address of a host and every packet, so they alone set no limit.

    Args:
        urls: Where they are.

    Raises:
        CxgError: One cannot be had, or is not a JSON object. The message begins with its URL.
    """
    found: Future[list[Mapping[str, Any]]] = Future()

    def fetch() -> None:
        try:
            with requests.Session() as session:
                session.headers["User-Agent"] = f"cxg_assets/{__version__}"
                session.mount("https://", HTTPAdapter(max_retries=_retry()))
                found.set_result([_fetch_object(session, url) for url in urls])
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            found.set_exception(error)

    threading.Thread(target=fetch, name="fetch-json", daemon=True).start()
    try:
        return found.result(LIMIT_S)
    except TimeoutError as error:
        raise CxgError(f"{' and '.join(urls)}: no whole answer within {LIMIT_S:g} s; try again later") from error


def _retry() -> Retry:
    return Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_S,
        backoff_jitter=BACKOFF_S,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,  # so that the message can name the last status
        respect_retry_after_header=False,  # it may ask for hours
    )


def _fetch_object(session: requests.Session, url: str) -> Mapping[str, Any]:
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
