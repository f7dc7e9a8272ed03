"""What a Kubernetes API server with KubeRay answers: create, get, status, list and delete of RayClusters.

Answers are those of the real one: objects with uid and resourceVersion, errors as a `Status` with message, reason and
code. What the operator would write into an object's status is said by the test.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

TOKEN = "of-a-service-account"
PATH = re.compile(r"/apis/ray\.io/v1/namespaces/([^/?]+)/rayclusters(?:/([^/?]+)(/status)?)?(?:\?.*)?")
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}


@dataclass
class KubernetesApi:
    """A server, and what it was asked.

    Attributes:
        url: Where it listens.
        status: What the operator says of every cluster.
        refusals: Answers to verbs instead of the right ones: code and message.
        clusters: Those that are there, by name.
        deeds: Verb and name of all that was done, in order.
        seen: Is given each cluster that is made.
    """

    url: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    deeds: list[tuple[str, str]] = field(default_factory=list)
    seen: Callable[[dict[str, Any]], None] = field(default=lambda _: None)

    def reset(self) -> None:
        """As it was first."""
        self.status, self.refusals = {}, {}
        self.clusters.clear()
        self.deeds.clear()
        self.seen = lambda _: None

    def kubeconfig(self, file: Path, token: str = TOKEN) -> Path:
        """Writes a kubeconfig that leads here."""
        cluster = {"name": "lab", "cluster": {"server": self.url}}
        user = {"name": "me", "user": {"token": token}}
        context = {"name": "lab", "context": {"cluster": "lab", "user": "me"}}
        told = {"apiVersion": "v1", "kind": "Config", "current-context": "lab"}
        file.write_text(json.dumps({**told, "clusters": [cluster], "users": [user], "contexts": [context]}))
        return file

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        """Code and body of an answer."""
        if token != f"Bearer {TOKEN}":
            return _status(401, "Unauthorized")
        found = PATH.fullmatch(path)
        if not found:
            return _status(404, "the server could not find the requested resource")
        name = found[2] or body.get("metadata", {}).get("name", "")
        verb = {"POST": "create", "DELETE": "delete", "GET": "get" if found[2] else "list"}.get(method, method)
        if verb in self.refusals:
            return _status(*self.refusals[verb])
        self.deeds.append((verb, name))
        if verb == "create":
            if name in self.clusters:
                return _status(409, f'rayclusters.ray.io "{name}" already exists')
            told = {"uid": str(uuid4()), "resourceVersion": "1", "generation": 1, "namespace": found[1]}
            self.clusters[name] = {**body, "metadata": {**body["metadata"], **told}}
            self.seen(self.clusters[name])
            return 201, self.clusters[name]
        if verb == "list":
            items = [self._seen(each) for each in self.clusters]
            return 200, {"apiVersion": "ray.io/v1", "kind": "RayClusterList", "metadata": {}, "items": items}
        if name not in self.clusters:
            return _status(404, f'rayclusters.ray.io "{name}" not found')
        if verb == "delete":
            del self.clusters[name]
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": name}}
        return 200, self._seen(name)

    def _seen(self, name: str) -> dict[str, Any]:
        return {**self.clusters[name], "status": self.status} if self.status else self.clusters[name]


def ready(client_port: int) -> dict[str, Any]:
    """What the operator says of a cluster that is ready."""
    return {
        "state": "ready",
        "endpoints": {"client": str(client_port), "dashboard": "8265", "gcs-server": "6379", "metrics": "8080"},
        "head": {"podIP": "10.0.0.7", "podName": "head", "serviceIP": "10.0.0.7", "serviceName": "cluster-head-svc"},
        "conditions": [{"type": "HeadPodReady", "status": "True", "reason": "HeadPodRunningAndReady", "message": ""}],
    }


@contextmanager
def serve_kubernetes() -> Iterator[KubernetesApi]:
    """Serves until the end of the block."""
    api = KubernetesApi()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size and self.command == "POST" else {}
            code, told = api.answer(self.command, self.path, body or {}, self.headers.get("Authorization") or "")
            data = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_PATCH = do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _status(code: int, message: str) -> tuple[int, dict[str, Any]]:
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, {**told, "message": message, "reason": REASONS.get(code, ""), "code": code}
