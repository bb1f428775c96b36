"""The command line: help everywhere, usage errors with status 2."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from qianshao.__main__ import build_parser, main


def commands(
    parser: argparse.ArgumentParser, prefix: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    """Every sub-command, found in the parser itself."""
    found: list[tuple[str, ...]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found += [(*prefix, name), *commands(child, (*prefix, name))]
    return found


ALL = commands(build_parser())


def test_the_sub_commands_are_those_that_exist() -> None:
    assert {" ".join(words) for words in ALL} == {
        "agent",
        "agent backup",
        "agent restore",
        "assertion",
        "assertion serve",
        "assertion verify",
        "atm",
        "atm open",
        "atm simulate",
        "bench",
        "ca",
        "ca crl",
        "ca init",
        "central",
        "central admin",
        "central admin create",
        "central admin key",
        "central admin link",
        "central admin list",
        "central admin password",
        "central admin reset-second-factor",
        "central admin unit",
        "central audit",
        "central audit verify",
        "central backup",
        "central keys",
        "central keys begin",
        "central keys retire",
        "central keys show",
        "central keys switch",
        "central officers",
        "central officers add",
        "central officers list",
        "central officers remove",
        "central restore",
        "demo",
        "device",
        "device access",
        "device area",
        "device enrol",
        "device invite",
        "device link-key",
        "device list",
        "device revoke",
        "device rotate",
        "devices",
        "doctor",
        "face",
        "face calibrate",
        "face camera",
        "face compare",
        "face enrol",
        "face enrol-camera",
        "face evaluate",
        "face extras",
        "face serve-templates",
        "face templates",
        "face verify",
        "feed",
        "feed send",
        "fleet",
        "fleet simulate",
        "order",
        "order keygen",
        "order show",
        "order sign",
        "outbox",
        "outbox put-aside",
        "outbox release",
        "outbox show",
        "report",
        "report audit",
        "report daily",
        "report monthly",
        "rf",
        "rf campaign",
        "rf learn",
        "rf learn-sms",
        "rf month",
        "rf replay",
        "rf scan",
        "rf sign-baseline",
        "rf watch",
    }


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_sub_command_explains_itself(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: qianshao" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["rf"], ["agent", "backup"], ["nothing"], ["bench", "speed"]]
)
def test_a_wrong_call_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: qianshao" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("qianshao 0.")


@pytest.mark.parametrize("name", ["agent", "outbox", "doctor", "demo"])
def test_who_asks_for_one_command_does_not_load_the_others(name: str) -> None:
    """An agent's bare install has no web server, and nobody waits for imports he has no use for."""
    code = (
        "import sys; from qianshao.__main__ import build_parser; "
        f"build_parser({name!r}); print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    foreign = {"sqlalchemy", "fastapi", "numpy", "cv2", "reportlab", "central.app"}
    assert not foreign & set(done.stdout.split())
