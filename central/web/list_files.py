"""The lists over HTTPS, for enrolled machines alone: ``GET /lists/manifest``, ``/lists/VERSION``,
and the way from an earlier version, ``/lists/VERSION/from/EARLIER``.

A machine shows the certificate that it was enrolled with. One that was revoked since is refused,
whatever its certificate still says.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from central.lists.keeper import ListKeeper
from central.store.interface import StoreUnavailableError
from central.store.sql import SqlStore
from central.web.machine_port import machine_of, problem


class ListRoutes:
    """The routes; ``keeper`` knows the list in force."""

    def __init__(self, keeper: ListKeeper, store: SqlStore) -> None:
        self._keeper = keeper
        self._store = store

    def routes(self) -> list[Route]:
        """Return them for the application of the port."""
        return [
            Route("/lists/manifest", self._manifest, methods=["GET"]),
            Route("/lists/{version:int}", self._whole, methods=["GET"]),
            Route("/lists/{version:int}/from/{older:int}", self._way, methods=["GET"]),
        ]

    async def _manifest(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer_manifest, request)

    async def _whole(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer_whole, request)

    async def _way(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer_way, request)

    def _answer_manifest(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            manifest = self._keeper.manifest()
        except StoreUnavailableError as error:
            return problem(503, error.problem)
        if manifest is None:
            return problem(404, "there is no list yet")
        return Response(manifest, media_type="application/cose")

    def _answer_whole(self, request: Request) -> Response:
        refused = self._refused(request)
        path = self._keeper.files.whole(request.path_params["version"])
        return refused or _file(path)

    def _answer_way(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        newest, wanted = self._keeper.files.newest, request.path_params["version"]
        if newest is None or newest.manifest.version != wanted:
            return problem(404, "this version is not in force")
        try:
            return _file(self._keeper.files.way(request.path_params["older"]))
        except StoreUnavailableError as error:
            return problem(503, error.problem)

    def _refused(self, request: Request) -> Response | None:
        """Let in an enrolled machine with a certificate that nobody has revoked."""
        machine = machine_of(request, self._store)
        return machine if isinstance(machine, Response) else None


def _file(path: Any) -> Response:
    if path is None or not path.exists():
        return problem(HTTPStatus.NOT_FOUND, "it is not here: ask for the manifest again")
    return FileResponse(path, media_type="application/octet-stream")
