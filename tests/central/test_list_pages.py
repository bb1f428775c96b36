"""The lists by plain forms: one proposes, another approves; what is refused, and to whom."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Role
from central.hub import Hub
from central.lists import ListKeeper, WireHolds
from central.web import create_app
from contract.keys import KeySigner
from tests.central.kit import CENTRAL_KEY, TENANT, Central, settings
from tests.central.signing import client_as

PAN = "6216261000000000018"
CSV = (
    "account,listed_for,from,ground,until,note\n"
    f"{PAN},sanction,2025-12-01,IDENTIFIED_BY_POLICE,,李\n7,watch,,,,\n"
)


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


def keeper(central: Central, folder: Path) -> ListKeeper:
    return ListKeeper(
        central.store,
        None,
        folder / "lists",
        tenant=TENANT,
        signer=KeySigner(CENTRAL_KEY),
        clock=central.clock,
        holds=WireHolds(central.store),
    )


def test_a_file_is_proposed_approved_and_found(
    app: FastAPI, central: Central, tmp_path: Path
) -> None:
    lists = keeper(central, tmp_path)
    lists.step()
    with (
        client_as(app, "lin", [Role.DUTY_OFFICER]) as lin,
        client_as(app, "qian", [Role.REVIEWER]) as qian,
    ):
        file = {"file": ("名单.csv", CSV.encode("gb18030"), "text/csv")}
        made = lin.post("/lists/file", data={"note": "110"}, files=file)
        assert made.status_code == 303, made.text
        change = made.headers["location"]
        page = lin.get(change).text
        assert 'data-refused-line="3"' in page
        assert "**** 0018" in page
        assert PAN not in page
        assert 'value="approve"' not in page  # a duty officer does not decide
        answer = {"answer": "approve"}
        assert lin.post(f"{change}/decide", data=answer).status_code == 403
        assert qian.post(f"{change}/decide", data=answer).status_code == 303
        assert qian.post(f"{change}/decide", data=answer).status_code == 409
        lists.step()
        assert 'data-version="2"' in lin.get("/lists").text
        found = lin.post("/lists/find", data={"number": f"{PAN[:6]} {PAN[6:]}"})
        assert found.status_code == 200
        assert 'data-found="1"' in found.text
        assert PAN not in found.text
        assert lin.post("/lists/find", data={"number": "12"}).status_code == 422
        back = lin.post("/lists/rollback", data={"version": 1, "note": "wrong file"})
        assert qian.post(f"{back.headers['location']}/decide", data=answer).status_code == 303
        lists.step()
        assert 'data-found="0"' in lin.post("/lists/find", data={"number": PAN}).text


def test_nobody_approves_their_own(app: FastAPI, central: Central) -> None:
    with client_as(app, "sun", [Role.COMMANDER]) as sun:
        made = sun.post("/lists/file", data={"rows": CSV, "note": "why"})
        page = sun.get(made.headers["location"], headers={"accept-language": "en"}).text
        assert "somebody else decides" in page
        said = sun.post(f"{made.headers['location']}/decide", data={"answer": "approve"})
        assert said.status_code == 422
        off = {"number": PAN, "reasons": ["sanction"], "note": "x"}
        assert sun.post("/lists/remove", data=off).status_code == 404  # it is not in force yet


@pytest.mark.parametrize("role", [Role.CARRIER, Role.BANK, Role.REGULATOR, Role.ADMINISTRATOR])
def test_accounts_are_none_of_the_business_of(role: Role, app: FastAPI) -> None:
    with client_as(app, f"x-{role.value[:5]}", [role]) as client:
        assert client.get("/lists").status_code == 403


@pytest.mark.parametrize("text", ["", "x", "account,listed_for\n", "\x00\n" * 3])
def test_what_is_no_list_is_refused_by_its_line(app: FastAPI, text: str) -> None:
    with client_as(app, "lin", [Role.DUTY_OFFICER]) as lin:
        said = lin.post("/lists/file", data={"rows": text, "note": "why"})
        assert said.status_code == 422
        assert re.search("line [0-9]", said.text)


def test_a_file_in_no_known_letters_is_refused(app: FastAPI) -> None:
    with client_as(app, "lin", [Role.DUTY_OFFICER]) as lin:
        file = {"file": ("x.csv", b"\xff\xff\xff", "text/csv")}
        said: httpx.Response = lin.post("/lists/file", data={"note": "why"}, files=file)
        assert said.status_code == 422
        assert "GB 18030" in said.text
