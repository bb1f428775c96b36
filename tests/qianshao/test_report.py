"""``qianshao report``: figures from the terminal, and an audit whose exit status counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from central.actor import Actor
from central.intake import IntakeDesk
from central.orders.sealed import Vault
from central.store import open_sqlite
from contract.clock import SystemClock, UnixMicros
from contract.codec import rfc3339
from qianshao.__main__ import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "central"
    folder.mkdir()
    file = tmp_path / "central.toml"
    file.write_text('tenant = "demo"\nfolder = "central"\narea = "370800"\n', encoding="utf-8")
    store = open_sqlite(folder / "central.sqlite3")
    at = rfc3339(UnixMicros(SystemClock().wall()))
    alarm: dict[str, Any] = {
        "number": "A-1", "area": "370832", "alarm_at": at, "amount_fen": 100,
        "victim": {"name": "王"},
    }  # fmt: skip
    desk = IntakeDesk(store, SystemClock(), Vault.at(folder / "sealed.key"))
    desk.take(Actor("lin", frozenset(), frozenset({"370000"})), [alarm], "form")
    store.close()
    return file


def test_a_daily_report_as_json_and_as_files(
    config: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["report", "daily", "--config", str(config), "--json"]) == 0
    made = json.loads(capfdbinary.readouterr().out)
    assert made["schema"] == "qianshao-report/1"
    assert {f["indicator"]: f["now"] for f in made["figures"]}["alarms_110"] == 1
    for form, begins in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbfindicator,")):
        out = tmp_path / f"r.{form}"
        arguments = ["--format", form, "--out", str(out), "--lang", "en"]
        assert main(["report", "monthly", "--config", str(config), *arguments]) == 0
        assert out.read_bytes().startswith(begins)
    assert main(["report", "daily", "--config", str(config)]) == 0
    assert "110警情: 1  0 —  0 —" in capfdbinary.readouterr().out.decode()


def test_a_version_is_kept_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = ["report", "daily", "--config", str(config), "--keep", "--lang", "en"]
    assert main(keep) == 0
    assert main(keep) == 1
    assert "nothing has changed since version 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--date", "2026-02-30"], ["--area", "37"], ["--date", "1066-10-14"]]
)
def test_what_cannot_be_used_is_said(
    config: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "daily", "--config", str(config), *wrong]) == 2
    assert capsys.readouterr().err.startswith("qianshao report: ")


def test_the_audit_says_which_figures_do_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "month.txt"
    file.write_text(
        "破获75起，上升31.37%；抓获46人，上升76%；立案143起，下降7.14%\n", encoding="utf-8"
    )
    assert main(["report", "audit", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["verdict"] for f in found] == ["no_integer_base", "truncated", "rounded"]
    assert (found[1]["bases"], found[2]["bases"]) == ([26], [154])
    file.write_text("143/154 = −7.14 %", encoding="utf-8")
    assert main(["report", "audit", str(file)]) == 0
    file.write_bytes(b"\xff\xfe1")
    assert main(["report", "audit", str(file)]) == 2
    assert main(["report", "audit", str(tmp_path / "none")]) == 2
