"""The command line: help everywhere, usage errors with status 2."""

from __future__ import annotations

import argparse

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
        "demo",
        "agent",
        "central",
        "central backup",
        "central restore",
        "outbox",
        "outbox show",
        "outbox release",
        "outbox put-aside",
        "ca",
        "ca init",
        "ca crl",
        "device",
        "doctor",
        "device invite",
        "device enrol",
        "device rotate",
        "device revoke",
        "device list",
        "device access",
        "fleet",
        "fleet simulate",
        "rf campaign",
        "rf month",
        "rf learn-sms",
        "rf learn",
        "face calibrate",
        "face evaluate",
        "face camera",
        "face compare",
        "face enrol",
        "face extras",
        "face serve-templates",
        "rf",
        "rf replay",
        "rf watch",
        "rf scan",
        "devices",
        "face",
        "face verify",
        "assertion",
        "assertion serve",
        "assertion verify",
        "atm",
        "atm open",
        "atm simulate",
        "bench",
    }


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_sub_command_explains_itself(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: qianshao" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["rf"], ["agent"], ["nothing"], ["bench", "speed"]])
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
