"""The API against its own OpenAPI document: whatever the document allows is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from central.hub import Hub
from central.places import Place
from central.web import create_app
from contract.words import Presence
from tests.central import kit
from tests.central.kit import Central, Station, a_health, an_attack
from tests.central.signing import sign_in
from tests.samples import a_detection

EXAMPLES = 12
"""Of each operation; more by ``make soak`` would find nothing that a parameter does not name."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    central = Central(tmp_path_factory.mktemp("central"))
    van, atm = central.enrol(Station()), central.enrol(Station(device="atm-1", seed=5))
    central.take(van.state_topic, van.state(Presence.ONLINE))
    central.take(van.topic(), van.next(a_detection()), van.next(a_health()))
    central.take(atm.topic(), atm.next(an_attack()))
    places = {"van-1": Place(25.04, 102.71)}
    chosen = kit.settings(central.path.parent, places=places)
    yield create_app(central.store, Hub(), chosen, lambda: central.ingest.status)
    central.store.close()


def headers_of(app: FastAPI) -> dict[str, str]:
    cookie, visitor = sign_in(app)
    return {"cookie": f"session={cookie}", "x-csrf-token": visitor.csrf, "host": "127.0.0.1"}


def test_the_api_answers_as_its_document_says(app: FastAPI) -> None:
    headers = headers_of(app)
    document = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=headers)
    asked: Counter[int] = Counter()
    for result in document.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Case[Any]) -> None:
            # A schema cannot say "not in the future": such an alarm is refused, with its field.
            is_intake = case.operation.path == "/api/alarms"
            unasked: list[Any] = [positive_data_acceptance] if is_intake else []
            answer = case.call_and_validate(headers=headers, excluded_checks=unasked)
            asked[answer.status_code] += 1

        ask()
    assert asked[200] >= 20
    assert asked[404] + asked[422] >= 20
    assert not [status for status in asked if status >= 500 or status in {401, 403}]
