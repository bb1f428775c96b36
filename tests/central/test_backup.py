"""A copy of a central: made while it takes messages, put back, and gone on with."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from central.authority import Authority
from central.backup import back_up, restore
from central.config import CentralSettings
from central.own_key import central_signer
from contract.clock import SystemClock
from contract.copies import CopyError
from contract.files import replace_durably
from contract.messages import SeqRange
from qianshao.__main__ import main
from tests.central.kit import TENANT, Central, Station
from tests.samples import a_detection

CLOCK = SystemClock()


@dataclass
class Place:
    """A central's folder with everything that ``ca init`` makes, and a store with a van."""

    root: Path
    settings: CentralSettings
    central: Central
    van: Station

    def say(self, count: int = 1) -> None:
        for _ in range(count):
            self.central.take(self.van.topic(), self.van.next(a_detection()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "central"
    settings = CentralSettings(tenant=TENANT, folder=folder)
    folder.mkdir(mode=0o700)
    Authority.create(folder / "ca")
    central_signer(settings)
    (folder / "broker").mkdir()
    replace_durably(folder / "broker" / "users.conf", b"")
    central = Central(folder)
    yield Place(tmp_path, settings, central, central.enrol(Station()))
    central.store.close()


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_was_copied_can_be_put_back_and_goes_on(place: Place) -> None:
    place.say(3)
    copied = back_up(place.settings, place.root / "copy", CLOCK)
    assert copied.messages == 3
    place.say(2)  # receipted, so the van has deleted them
    place.central.store.close()
    kept = {name: (place.settings.folder / name).read_bytes() for name in ("evidence.key.pem",)}
    shutil.rmtree(place.settings.folder)

    restore(place.settings, place.root / "copy")
    assert {n: (place.settings.folder / n).read_bytes() for n in kept} == kept
    Authority.load(place.settings.folder / "ca")
    again = Central(place.settings.folder)
    assert again.store.totals().messages == 3
    again.take(
        place.van.topic(), place.van.next(a_detection())
    )  # the key is known, the chain holds
    receipt = again.intake.receipts()[-1]
    assert receipt.up_to == 3
    assert receipt.ranges == (SeqRange(first=6, last=6),)  # 4 and 5 are a hole that people see
    again.store.close()


def test_a_copy_is_of_one_moment_while_messages_come_in(place: Place) -> None:
    stop = threading.Event()

    def keep_saying() -> None:
        while not stop.is_set():
            place.say()

    writer = threading.Thread(target=keep_saying)
    writer.start()
    try:
        counts = [
            back_up(place.settings, place.root / f"copy-{number}", CLOCK).messages
            for number in range(3)
        ]
    finally:
        stop.set()
        writer.join()
    assert counts == sorted(counts)
    for number, count in enumerate(counts):
        other = place.root / f"other-{number}"
        restore(CentralSettings(tenant=TENANT, folder=other), place.root / f"copy-{number}")
        central = Central(other)
        stored = central.store.stored("van-1")
        assert (stored.up_to, central.store.totals().messages) == (count, count)
        central.store.close()


def test_a_copy_holds_secrets_and_nothing_that_is_made_anew(place: Place) -> None:
    place.say()
    copy = place.root / "copy"
    back_up(place.settings, copy, CLOCK)
    names = files_of(copy)
    assert {"backup.json", "central.sqlite3", "evidence.key.pem", "ca/ca.pem"} <= names
    assert not [name for name in names if name.startswith("broker") or name.endswith("-wal")]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    for name in ("central.sqlite3", "evidence.key.pem"):
        assert stat.S_IMODE((copy / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["central.sqlite3", "evidence.key.pem", "ca/ca.pem"])
def test_a_copy_that_was_changed_is_not_put_back(place: Place, name: str) -> None:
    copy, other = place.root / "copy", place.root / "other"
    back_up(place.settings, copy, CLOCK)
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(CopyError, match="not what was copied"):
        restore(CentralSettings(tenant=TENANT, folder=other), copy)
    assert not other.exists()


def test_nothing_is_overwritten(place: Place) -> None:
    copy = place.root / "copy"
    back_up(place.settings, copy, CLOCK)
    with pytest.raises(CopyError, match="exists"):
        back_up(place.settings, copy, CLOCK)
    with pytest.raises(CopyError, match="not empty: stop the central"):
        restore(place.settings, copy)
    with pytest.raises(CopyError, match="tenant"):
        restore(CentralSettings(tenant="bank-2", folder=place.root / "x"), copy)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no finished copy"),
        ("{", "cannot be read"),
        ('{"schema": "qianshao-backup/9", "files": {}, "tenant": "demo"}', "another form"),
        (
            '{"schema": "qianshao-backup/1", "tenant": "demo", "files": {"../x": {"sha256": ""}}}',
            "lies outside",
        ),
    ],
)
def test_a_list_that_is_none_is_said(place: Place, text: str | None, problem: str) -> None:
    copy = place.root / "copy"
    copy.mkdir()
    if text is not None:
        (copy / "backup.json").write_text(text)
    with pytest.raises(CopyError, match=problem):
        restore(CentralSettings(tenant=TENANT, folder=place.root / "other"), copy)


def test_with_postgresql_it_says_what_to_use(place: Place) -> None:
    settings = CentralSettings(
        tenant=TENANT, folder=place.settings.folder, store_url="postgresql://q@h/db"
    )
    with pytest.raises(CopyError, match="pg_dump"):
        back_up(settings, place.root / "copy", CLOCK)
    with pytest.raises(CopyError, match="pg_dump"):
        restore(settings, place.root / "copy")


def test_the_command_copies_a_central_that_stands_still(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.say(2)
    place.central.store.close()
    config = place.root / "central.toml"
    config.write_text(f'tenant = "{TENANT}"\nfolder = "central"\n')
    copy = str(place.root / "copy")
    assert main(["central", "backup", copy, "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 2
    assert main(["central", "restore", copy, "--config", str(config)]) == 1
    assert "move it away first" in capsys.readouterr().err
    place.settings.folder.rename(place.root / "away")
    assert main(["central", "restore", copy, "--config", str(config)]) == 0
    assert "revoke again" in capsys.readouterr().out
    assert files_of(place.settings.folder) == files_of(place.root / "copy") - {"backup.json"}
