"""An S3 server over a folder: each folder in it is a bucket. Enough of S3 for TileDB, boto3 and obstore.

Why not moto: it is Flask, keeps objects in memory and takes milliseconds of a core for each request, on the same two
cores that are measured. This one sends files with `sendfile`. It checks no signature, so it only listens on 127.0.0.1.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape, unescape

from aiohttp import web

from cxg_assets_tests.servers.counts import RequestCounts
from cxg_assets_tests.servers.listing import Keys, ListRequest

PART_BYTES = 2**20


class S3Folder:
    """The buckets and the uploads under way."""

    def __init__(self, root: Path, counts: RequestCounts) -> None:
        self._root = root
        self._parts = root / ".parts"
        self._counts = counts
        self._keys = {path.name: Keys(path) for path in root.iterdir() if path.is_dir() and path != self._parts}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        self._counts.add(request.method, request.raw_path)
        bucket, _, key = unquote(request.rel_url.raw_path).lstrip("/").partition("/")
        keys = self._keys.get(bucket)
        if keys is None:
            return _error(404, "NoSuchBucket")
        path = self._root / bucket / key
        if ".." in path.parts:
            return _error(400, "InvalidURI")
        match request.method:
            case "GET" | "HEAD" if key:
                return web.FileResponse(path) if path.is_file() else _error(404, "NoSuchKey")
            case "GET" | "HEAD":
                return self._list(request, bucket, keys)
            case "PUT":
                return await self._put(request, keys, path, key)
            case "POST":
                return await self._post(request, keys, path, bucket, key)
            case "DELETE":
                return self._delete(request, keys, path, key)
        return _error(405, "MethodNotAllowed")

    def _list(self, request: web.BaseRequest, bucket: str, keys: Keys) -> web.Response:
        if "location" in request.query:
            return _xml("<LocationConstraint>us-west-2</LocationConstraint>")
        query = ListRequest(
            prefix=request.query.get("prefix", ""),
            delimiter=request.query.get("delimiter", ""),
            max_keys=int(request.query.get("max-keys", 1_000)),
            after=request.query.get("continuation-token") or request.query.get("start-after", ""),
        )
        return _xml(keys.list_xml(bucket, query))

    async def _put(self, request: web.BaseRequest, keys: Keys, path: Path, key: str) -> web.Response:
        upload = request.query.get("uploadId")
        if upload is not None:
            path = self._parts / upload / f"{int(request.query['partNumber']):05d}"
        aside = self._parts / uuid.uuid4().hex
        with aside.open("wb") as file:
            async for part in request.content.iter_chunked(PART_BYTES):
                file.write(part)
        if "aws-chunked" in request.headers.get("Content-Encoding", ""):
            return _error(501, "NotImplemented")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, path)
        if upload is None:
            keys.add(key, path.stat().st_size)
        return web.Response(headers={"ETag": _etag(path)})

    async def _post(self, request: web.BaseRequest, keys: Keys, path: Path, bucket: str, key: str) -> web.Response:
        if "uploads" in request.query:
            upload = uuid.uuid4().hex
            (self._parts / upload).mkdir(parents=True)
            return _xml(
                f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        if "delete" in request.query:
            return await self._delete_many(request, keys, self._root / bucket)
        folder = self._parts / request.query["uploadId"]
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(_join, folder, path)
        keys.add(key, path.stat().st_size)
        return _xml(
            f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{_etag(path)}</ETag>"
            "</CompleteMultipartUploadResult>"
        )

    async def _delete_many(self, request: web.BaseRequest, keys: Keys, folder: Path) -> web.Response:
        deleted = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", await request.text(), re.DOTALL)]
        for key in deleted:
            (folder / key).unlink(missing_ok=True)
            keys.remove(key)
        answers = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in deleted)
        return _xml(f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{answers}</DeleteResult>')

    def _delete(self, request: web.BaseRequest, keys: Keys, path: Path, key: str) -> web.Response:
        upload = request.query.get("uploadId")
        if upload is not None:
            shutil.rmtree(self._parts / upload, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
            keys.remove(key)
        return web.Response(status=204)


def _join(folder: Path, path: Path) -> None:
    """Makes one file of the parts of an upload."""
    parts = sorted(folder.iterdir())
    with parts[0].open("ab") as target:
        for part in parts[1:]:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, PART_BYTES)
    os.replace(parts[0], path)
    shutil.rmtree(folder)


def _etag(path: Path) -> str:
    status = path.stat()
    return '"' + hashlib.md5(f"{status.st_size}-{status.st_mtime_ns}".encode(), usedforsecurity=False).hexdigest() + '"'


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    return web.Response(
        status=status,
        text=f"<Error><Code>{code}</Code><Message>{code}</Message></Error>",
        content_type="application/xml",
    )


async def serve(root: Path, port_file: Path, counts_file: Path) -> None:
    """Serves for ever; writes its port when it listens."""
    (root / ".parts").mkdir(exist_ok=True)
    counts = RequestCounts(counts_file)
    server = web.Server(S3Folder(root, counts).handle, access_log=None, handler_cancellation=False)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port_file.write_text(str(listening.sockets[0].getsockname()[1]))
    await counts.write_for_ever()


def main() -> None:
    """Runs the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--counts-file", type=Path, required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.root, options.port_file, options.counts_file))


if __name__ == "__main__":
    main()
