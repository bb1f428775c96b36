"""People from the terminal, and the audit log's chain as a command."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qianshao.__main__ import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "central.toml"
    path.write_text('tenant = "demo"\nfolder = "central"\n', encoding="utf-8")
    return path


def create(
    config: Path, monkeypatch: pytest.MonkeyPatch, *words: str, password: str = "correct horse 9"
) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    command = ["central", "admin", "create", "--config", str(config), "--password-stdin"]
    return main([*command, *words])


def test_the_first_administrator_comes_from_the_terminal(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(config, monkeypatch, "li.wei", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made == {
        "name": "li.wei", "roles": ["administrator"], "areas": ["000000"], "unit": None,
    }  # fmt: skip
    assert main(["central", "admin", "list", "--config", str(config), "--json"]) == 0
    person = json.loads(capsys.readouterr().out)["people"][0]
    assert person["has_password"]
    assert not person["has_second_factor"]
    assert main(["central", "admin", "link", "li.wei", "--config", str(config)]) == 0
    assert "http://127.0.0.1:8470/sign-in/link/" in capsys.readouterr().out
    assert main(["central", "audit", "verify", "--config", str(config)]) == 0
    assert "2 rows, 0 seals, intact" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "password", "problem"),
    [
        (("li.wei",), "short", "at least 12 characters"),
        (("li.wei",), "x" * 20, "too easy to guess"),
        (("li.wei",), "li.wei is great", "too easy to guess"),
        (("Li Wei",), "correct horse 9", "a name has 2 to 40"),
        (("li.wei", "--area", "53"), "correct horse 9", "six-digit"),
        (("li.wei", "--role", "king"), "correct horse 9", "king"),
    ],
)
def test_what_cannot_be_is_said(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    password: str,
    problem: str,
) -> None:
    assert create(config, monkeypatch, *words, password=password) == 1
    assert problem in capsys.readouterr().err


def test_a_second_person_of_a_name_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(config, monkeypatch, "li.wei") == 0
    assert create(config, monkeypatch, "li.wei") == 1
    assert "already" in capsys.readouterr().err


def test_verify_finds_a_changed_row_and_says_so(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(config, monkeypatch, "li.wei") == 0
    with closing(sqlite3.connect(config.parent / "central/central.sqlite3")) as store, store:
        store.execute("UPDATE audit SET actor = 'somebody else'")
    capsys.readouterr()
    assert main(["central", "audit", "verify", "--config", str(config), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["findings"] == [{"seq": 1, "problem": "was changed after it was written"}]


def test_the_central_itself_needs_its_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["central"]) == 2
    assert "--config FILE is needed" in capsys.readouterr().err


def test_a_liaison_is_bound_to_a_unit_from_the_terminal(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(config, monkeypatch, "he", "--role", "carrier") == 0
    command = ["central", "admin", "unit", "he"]
    assert main([*command, "mobile", "--config", str(config)]) == 1
    assert "'mobile' is no member unit" in capsys.readouterr().err
    store = config.parent / "central" / "central.sqlite3"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(
            "INSERT INTO member_units VALUES ('mobile', 'x', 'x', 'operator', 0, 'x', 1)"
        )
    assert main([*command, "mobile", "--config", str(config)]) == 0
    assert "he acts for mobile" in capsys.readouterr().out
    assert main(["central", "admin", "list", "--config", str(config)]) == 0
    assert "carrier of mobile" in capsys.readouterr().out
    assert main([*command, "-", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "he", "unit": None}
