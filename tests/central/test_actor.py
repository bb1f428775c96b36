"""Who may do what: roles held, and areas covered by administrative code."""

from __future__ import annotations

import pytest

from central.actor import Actor, Role


@pytest.mark.parametrize(
    ("own", "area", "covered"),
    [
        ("530102", "530102", True),
        ("530102", "530103", False),
        ("530100", "530102", True),
        ("530100", "530402", False),
        ("530000", "530402", True),
        ("530000", "370102", False),
        ("000000", "370102", True),
    ],
)
def test_a_code_covers_what_lies_below_it(own: str, area: str, covered: bool) -> None:
    assert Actor("Li", frozenset(), frozenset({own})).covers(area) is covered


def test_no_area_covers_nothing_and_no_role_is_no_role() -> None:
    nobody = Actor("Li", frozenset())
    assert not nobody.covers("530102")
    assert not nobody.has(*Role)


def test_one_of_several_roles_is_enough() -> None:
    assert Actor("Li", frozenset({Role.REVIEWER})).has(Role.COMMANDER, Role.REVIEWER)
