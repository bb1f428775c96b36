"""Parcels between machines over HTTPS: ``PUT /links/ORDER/MACHINE`` hands one over, ``GET /links``
says what waits, ``GET`` and ``DELETE /links/DIGEST`` fetch one and say that it was compared.

The sender is whoever's certificate the connection showed, never what a request says.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from central.link_desk import LinkDesk, LinkRefusedError
from central.store.interface import StoreUnavailableError
from central.store.sql import SqlStore
from central.web.machine_port import machine_of, problem
from contract.messages import ID_BYTES
from contract.visit_links import LINKS_PATH, MAX_PARCEL_BYTES

_DIGEST_BYTES = 32


class LinkRoutes:
    """The routes of one desk."""

    def __init__(self, desk: LinkDesk, store: SqlStore) -> None:
        self._desk = desk
        self._store = store

    def routes(self) -> list[Route]:
        """Return them for the application of the port."""
        return [
            Route(LINKS_PATH, self._waiting, methods=["GET"]),
            Route(f"{LINKS_PATH}/{{order}}/{{machine}}", self._put, methods=["PUT"]),
            Route(f"{LINKS_PATH}/{{digest}}", self._fetch, methods=["GET"]),
            Route(f"{LINKS_PATH}/{{digest}}", self._drop, methods=["DELETE"]),
        ]

    async def _put(self, request: Request) -> Response:
        # Who may not put is told so before anything is read.
        machine = await run_in_threadpool(machine_of, request, self._store)
        if isinstance(machine, Response):
            return machine
        parcel = bytearray()
        async for piece in request.stream():
            parcel += piece
            if len(parcel) > MAX_PARCEL_BYTES:
                return problem(413, "the parcel is too long")

        def put() -> Response:
            order_id = _bytes_of(request, "order", ID_BYTES)
            self._desk.put(machine, order_id, request.path_params["machine"], bytes(parcel))
            return Response(status_code=204)

        return await run_in_threadpool(_answered, put)

    async def _waiting(self, request: Request) -> Response:
        def waiting(machine: str) -> Response:
            rows = [
                {"digest": one.digest.hex(), "order": one.order_id.hex(), "from": one.sender}
                for one in self._desk.waiting(machine)
            ]
            return Response(json.dumps({"parcels": rows}), media_type="application/json")

        return await self._for_machine(request, waiting)

    async def _fetch(self, request: Request) -> Response:
        def fetch(machine: str) -> Response:
            digest = _bytes_of(request, "digest", _DIGEST_BYTES)
            return Response(
                self._desk.fetch(machine, digest), media_type="application/octet-stream"
            )

        return await self._for_machine(request, fetch)

    async def _drop(self, request: Request) -> Response:
        def drop(machine: str) -> Response:
            self._desk.drop(machine, _bytes_of(request, "digest", _DIGEST_BYTES))
            return Response(status_code=204)

        return await self._for_machine(request, drop)

    async def _for_machine(self, request: Request, answer: Callable[[str], Response]) -> Response:
        def answered() -> Response:
            machine = machine_of(request, self._store)
            return machine if isinstance(machine, Response) else answer(machine)

        return await run_in_threadpool(_answered, answered)


def _answered(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except LinkRefusedError as error:
        return problem(error.status, str(error))
    except StoreUnavailableError as error:
        return problem(503, error.problem)


def _bytes_of(request: Request, name: str, length: int) -> bytes:
    """A name of the path that stands for bytes; raises LinkRefusedError."""
    try:
        value = bytes.fromhex(request.path_params[name])
    except ValueError:
        value = b""
    if len(value) != length:
        raise LinkRefusedError(404, f"the path names no {name}")
    return value
