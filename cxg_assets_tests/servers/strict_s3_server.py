"""The process behind `strict_s3`: moto, with a front that refuses what Amazon S3 refuses."""

import base64
import hashlib
import io
import json
import logging
import pickle
import re
import sys
import time
from calendar import timegm
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cxg_assets_tests.servers.strict_s3 import BUCKET, DELETE, GET, LIST, PUT, REGION, Asked, Rules

_WRITTEN_DOWN = ("content-length", "if-none-match", "range", "x-amz-checksum-", "x-amz-content-sha256", "x-amz-meta-")
_WRITTEN_DOWN += ("x-amz-server-side-encryption", "x-amz-storage-class")
_CREDENTIAL = re.compile(r"Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=(\w+)")
_FOR_MOTO = f"AWS4-HMAC-SHA256 Credential=moto/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str = "", **more: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code
        told = {"Code": code, "Message": message} | {name.replace("_", "-"): text for name, text in more.items()}
        fields = "".join(
            f"<{name}>{text}</{name}>" for name, text in (told | {"RequestId": "R", "HostId": "H"}).items()
        )
        self.body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{fields}</Error>' if code else "<html></html>"


class _Request:
    """One request: `path` and `query` as they are on the wire, bucket and key wherever they are said."""

    def __init__(self, environ: dict[str, Any]) -> None:
        from werkzeug.wrappers import Request

        request = Request(environ)
        wire = urlsplit(environ["RAW_URI"])
        self.method, self.host, self.path, self.wire_query = request.method, request.host, wire.path, wire.query
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.query = dict(parse_qsl(wire.query, keep_blank_values=True))
        self.body = request.get_data()
        bucket, virtual, _ = self.host.partition(".s3.")
        self.place = f"/{bucket}{request.path}" if virtual else request.path
        self.has_key = len(self.place.strip("/").split("/")) > 1
        self.presigned = "X-Amz-Signature" in self.query
        signed = tuple(self.query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature"))
        if not self.presigned:
            match = _CREDENTIAL.search(self.headers.get("authorization", ""))
            signed = ("", "", "") if match is None else match.groups()
        self.credential, self.signed_headers, self.signature = signed
        told = {name.lower(): value for name, value in self.query.items()} if self.presigned else self.headers
        self.date, self.token = told.get("x-amz-date", ""), told.get("x-amz-security-token")

    def right_signature(self, secret: str, region: str) -> str | bytes:
        from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        signer = (S3SigV4QueryAuth if self.presigned else S3SigV4Auth)(Credentials("", secret), "s3", region)
        query = "&".join(pair for pair in self.wire_query.split("&") if not pair.startswith("X-Amz-Signature="))
        headers = {name: self.headers.get(name, "") for name in self.signed_headers.split(";")}
        if "x-amz-content-sha256" in self.headers:
            headers["x-amz-content-sha256"] = self.headers["x-amz-content-sha256"]
        request = AWSRequest(self.method, f"http://{self.host}{self.path}?{query}", headers)
        request.context["timestamp"] = self.date
        return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)

    def action(self) -> str:
        if not self.has_key:
            return {"GET": LIST, "HEAD": LIST}.get(self.method, "")
        aborts = "uploadId" in self.query
        return {"GET": GET, "HEAD": GET, "DELETE": PUT if aborts else DELETE}.get(self.method, PUT)


class _Front:
    """The checks, as a WSGI app before moto's."""

    def __init__(self, moto: Any, folder: Path) -> None:
        self._moto, self._folder = moto, folder
        self._serial, self._done = None, Counter[Any]()
        self._log = (folder / "requests").open("a")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        from werkzeug.wrappers import Response

        asked, code = _Request(environ), ""
        try:
            response = self._answer(asked, environ, self._rules())
        except _Refused as refused:
            body = "" if asked.method == "HEAD" else refused.body
            response, code = Response(body, refused.status, mimetype="application/xml"), refused.code
        told = Asked(
            method=asked.method,
            host=asked.host,
            path=asked.path,
            query={name: value for name, value in asked.query.items() if not name.startswith("X-Amz-S")},
            headers={name: value for name, value in asked.headers.items() if name.startswith(_WRITTEN_DOWN)},
            scope=asked.credential,
            status=response.status_code,
            code=code,
        )
        self._log.write(json.dumps(asdict(told)) + "\n")
        self._log.flush()
        return response(environ, start_response)

    def _rules(self) -> Rules:
        serial, rules = pickle.loads((self._folder / "rules").read_bytes())
        if serial != self._serial:
            self._serial, self._done = serial, Counter()
        return rules

    def _is_left(self, name: Any, times: int) -> bool:
        self._done[name] += 1
        return self._done[name] <= times

    def _answer(self, asked: _Request, environ: dict[str, Any], rules: Rules) -> Any:
        from werkzeug.wrappers import Response

        for failure in rules.failures:
            fits = (not failure.methods or asked.method in failure.methods) and failure.query in asked.wire_query
            if fits and self._is_left(failure, failure.times):
                if failure.done:
                    Response.from_app(self._moto, _for_moto(asked, environ, rules))
                raise _Refused(failure.status, failure.code, failure.message)
        denied = _check_credentials(asked, rules)
        if asked.action() in denied:
            raise _Refused(403, "AccessDenied", "Access Denied")
        if "delete" in asked.query and DELETE in denied:
            told = "<Code>AccessDenied</Code><Message>Access Denied</Message>"
            keys = re.findall(r"<Key>.*?</Key>", asked.body.decode())
            errors = "".join(f"<Error>{key}{told}</Error>" for key in keys)
            return Response(f"<DeleteResult>{errors}</DeleteResult>", 200, mimetype="application/xml")
        if asked.method == "PUT" and asked.body and self._is_left("damage", rules.damaged_puts):
            asked.body = bytes([asked.body[0] ^ 1]) + asked.body[1:]
        _check_content(asked, rules)
        response = Response.from_app(self._moto, _for_moto(asked, environ, rules))
        if response.status_code == 404 and asked.action() == GET and LIST in denied:
            raise _Refused(403, "AccessDenied", "Access Denied")  # who may not list is not told what is not there
        return response


def _check_credentials(asked: _Request, rules: Rules) -> tuple[str, ...]:
    """Which actions are denied to who asks."""
    if not asked.credential:
        return (PUT, DELETE, "") if rules.public else (LIST, GET, PUT, DELETE, "")
    key_id, _, region, *_ = asked.credential.split("/")
    key = next((key for key in rules.keys if key.id == key_id), None)
    if key is None:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise _Refused(403, "InvalidAccessKeyId", message, AWSAccessKeyId=key_id)
    if key.token != asked.token:
        raise _Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if key.expired:
        raise _Refused(400, "ExpiredToken", "The provided token has expired.", Token_0=asked.token or "")
    if region != rules.region:
        message = f"The authorization header is malformed; the region '{region}' is wrong; expecting '{rules.region}'"
        raise _Refused(400, "AuthorizationHeaderMalformed", message, Region=rules.region)
    age = time.time() + rules.clock_seconds - timegm(time.strptime(asked.date, "%Y%m%dT%H%M%SZ"))
    if asked.presigned and age > int(asked.query["X-Amz-Expires"]):
        raise _Refused(403, "AccessDenied", "Request has expired")
    if not asked.presigned and abs(age) > 900:
        message = "The difference between the request time and the current time is too large."
        raise _Refused(403, "RequestTimeTooSkewed", message)
    if asked.signature != asked.right_signature(key.secret, region):
        message = "The request signature we calculated does not match the signature you provided."
        raise _Refused(403, "SignatureDoesNotMatch", message, AWSAccessKeyId=key_id)
    return key.denied


def _check_content(asked: _Request, rules: Rules) -> None:
    refused = rules.checksums == "refused" or (rules.checksums == "refused_in_puts" and asked.has_key)
    if refused and any(name.startswith("x-amz-checksum-") for name in asked.headers):
        raise _Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
    if asked.method == "PUT" and "if-none-match" in asked.headers and rules.conditions == "refused":
        raise _Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
    digest = hashlib.sha256(asked.body)
    if asked.headers.get("x-amz-content-sha256", "UNSIGNED") not in (
        digest.hexdigest(),
        "UNSIGNED",
        "UNSIGNED-PAYLOAD",
    ):
        raise _Refused(400, "XAmzContentSHA256Mismatch", "The provided header does not match what was computed.")
    told = base64.b64encode(digest.digest()).decode()
    if asked.method == "PUT" and asked.headers.get("x-amz-checksum-sha256", told) != told:
        raise _Refused(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")


def _for_moto(asked: _Request, environ: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """The request with a path address and as moto lets everybody in."""
    query = "&".join(pair for pair in asked.wire_query.split("&") if not pair.startswith("X-Amz-"))
    changed = {
        "HTTP_HOST": f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}",
        "PATH_INFO": asked.place,
        "QUERY_STRING": query,
        "RAW_URI": asked.place + ("?" + query if query else ""),
        "HTTP_AUTHORIZATION": _FOR_MOTO,
        "CONTENT_LENGTH": str(len(asked.body)),
        "wsgi.input": io.BytesIO(asked.body),
    }
    changed["REQUEST_URI"] = changed["RAW_URI"]
    unknown = ("werkzeug.request", "HTTP_IF_NONE_MATCH" if rules.conditions == "ignored" else "")
    return {name: value for name, value in (environ | changed).items() if name not in unknown}


def _serve(folder: Path) -> None:
    """Serves for ever; says its port when it listens."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3_backends["123456789012"]["global"].create_bucket(BUCKET, REGION)
    server = make_server("127.0.0.1", 0, _Front(DomainDispatcherApplication(create_backend_app), folder), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
