"""The cluster that a run joins: its address, and whether a Ray answers there.

Ray itself is not left to find that out: it tries 20 times for 41 seconds, writes a line every few seconds, and is ended
by a signal only (seen with Ray 2.60).
"""

import os
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from cxg_assets.ingest.errors import BadInput

if TYPE_CHECKING:
    import grpc

ANSWER_SECONDS = 10.0
"""A Ray that runs answers within milliseconds, one at the other end of the world within a second."""

_QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""What Ray's own driver asks first. Who does not know this and says so answers too."""

_CLIENT_QUESTION = "/ray.rpc.RayletDriver/ClusterInfo"
"""The same of the server of `ray://`: to a question that it does not know it would not say that it wants a token."""

_NO_TOKEN = "it requires a token that this process does not have"
_WAYS_OUT = "unset RAY_ADDRESS for a Ray of the run's own, or start one with `ray start --head`"


class NoRay(BadInput):
    """No Ray answers at an address, or none yet."""


def require_cluster(address: str = "") -> str | None:
    """Makes sure, within `ANSWER_SECONDS`, that the cluster to join is there and lets this process in.

    Args:
        address: `host:port`, `ray://host:port`, or `auto`: the Ray of this machine, or the one that was started last.
            Empty for `RAY_ADDRESS`.

    Returns:
        The address; None for a Ray of the run's own.

    Raises:
        BadInput: The address is none; it requires a token that this process does not have.
        NoRay: No Ray answers there.
    """
    given = address or os.environ.get("RAY_ADDRESS", "")
    if given in ("", "local"):
        return None
    shown = f"{'' if address else 'RAY_ADDRESS='}{given:.200}"
    where = _host_and_port(given, shown)
    known_as = shown if where in shown else f"{shown} ({where})"
    silence = _ask(where, _QUESTION)
    if given.startswith("ray://"):
        silence = silence or _ask(where, _CLIENT_QUESTION)
    # Ray looks for a token too where it looks for a cluster.
    if silence == _NO_TOKEN and given != "auto":
        raise BadInput(
            f"the Ray at {known_as} refuses this process: {silence}; set RAY_AUTH_MODE=token, with the cluster's token "
            "in ~/.ray/auth_token or RAY_AUTH_TOKEN"
        )
    if silence and silence != _NO_TOKEN:
        raise NoRay(f"no Ray answers at {known_as}: {silence}; {_WAYS_OUT}")
    if not given.startswith("ray://"):
        _require_node(where, shown)
    return given


def _require_node(where: str, shown: str) -> None:
    """Makes sure that some Ray runs on this machine: without one, Ray ends a process that joins by `host:port`.

    Raises:
        BadInput: None does.
    """
    from ray._private import services

    if not services.find_gcs_addresses():
        host = where.rpartition(":")[0]
        raise BadInput(
            f"this machine is no node of the Ray at {shown}: set RAY_ADDRESS=ray://{host}:10001, the port of Ray's "
            f"client, or make it one: `ray start --address={where} --num-cpus=0`"
        )


def _ask(where: str, question: str) -> str:
    """Asks a Ray at `host:port` whether it is there.

    Returns:
        What kept it from answering; empty when it has answered.
    """
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
    from ray.exceptions import AuthenticationError

    try:
        with cast("grpc.Channel", init_grpc_channel(where, GLOBAL_GRPC_OPTIONS)) as channel:
            channel.unary_unary(question)(b"", timeout=ANSWER_SECONDS)
    except AuthenticationError:
        return _NO_TOKEN
    except grpc.RpcError as error:
        return _silence(cast("grpc.Call", error))
    return ""


def _silence(call: "grpc.Call") -> str:
    """What a call that failed says of a Ray: nothing where it has reached one."""
    from grpc import StatusCode

    code, details = call.code(), call.details() or ""
    if code is StatusCode.UNAUTHENTICATED:
        return _NO_TOKEN
    if code is StatusCode.DEADLINE_EXCEEDED:
        return f"nothing came within {ANSWER_SECONDS:.0f} s"
    # Ray's client would first have said who it is.
    if code in (StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION, StatusCode.INVALID_ARGUMENT):
        return ""
    # A web server that speaks HTTP/2 gets the same code, by its 404.
    if code is StatusCode.UNIMPLEMENTED and "http2" not in details:
        return ""
    # The last of the causes says what has happened to the connection.
    return details.rpartition(": ")[2].rstrip("]") or code.name


def _host_and_port(address: str, shown: str) -> str:
    """Where a Ray is, as Ray itself finds it.

    Raises:
        BadInput: The address is none, or there is no Ray to be found.
    """
    from ray._private import services

    is_client = address.startswith("ray://")
    where = urlsplit(address).netloc if is_client else address
    host, _, port = where.rpartition(":")
    if address != "auto" and not (host and port.isdigit()):
        raise BadInput(f"{shown} is not the address of a Ray: give host:port, ray://host:port or auto; {_WAYS_OUT}")
    if is_client:
        return where
    try:
        return services.canonicalize_bootstrap_address(where) or ""
    except (ConnectionError, ValueError) as error:
        raise BadInput(f"no Ray answers at {shown}: none runs on this machine; {_WAYS_OUT}") from error
