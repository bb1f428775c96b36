"""A copy of a device's state: made while it runs, put back without using a number again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from contract.copies import CopyError
from edge_agent import backup
from edge_agent.atm.closure import Closure
from edge_agent.atm.machine import JOURNAL_FILE, SEAL_KEY_FILE
from edge_agent.atm.spent import FILE_NAME as SPENT_FILE
from edge_agent.backup import MARGIN, back_up, restore
from edge_agent.config import AgentConfig, load_config
from edge_agent.outbox import Outbox
from qianshao.__main__ import main
from tests.edge_agent.outboxes import Bench, fill, opened, receipt_bytes, rows_of

VAN = """\
device = "van-1"
tenant = "demo"
kind = "van"
state_dir = "state"
[broker]
host = "broker"
ca = "state/ca.pem"
certificate = "state/tls.pem"
[central]
public_key = "central.pub.pem"
[[sensors]]
name = "modem0"
kind = "quectel"
url = "/dev/ttyUSB2"
"""

ATM = """\
device = "van-1"
tenant = "demo"
kind = "atm"
state_dir = "state"
[broker]
host = "broker"
[central]
public_key = "central.pub.pem"
[atm]
tenant_key_file = "card.key"
script = "visits.toml"
"""

SECRET = ("evidence.key.pem", "tls.key.pem", "box.key", "journal.key", "journal.sqlite3")
NEVER = ("visits.sqlite3", "visits.key", "links.sqlite3", "lists/manifest.cose", "stranger")


class Machine(Bench):
    @property
    def path(self) -> Path:
        return self.folder / "outbox.sqlite3"


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    return configured(tmp_path, VAN)


def configured(folder: Path, text: str) -> AgentConfig:
    (folder / "agent.toml").write_text(text)
    return load_config(folder / "agent.toml")


@pytest.fixture
def machine(config: AgentConfig) -> Machine:
    state = config.state_dir
    (state / "evidence").mkdir(parents=True)
    for name in ("evidence/raw-1", "orders.sqlite3", "ca.pem", "tls.pem", *SECRET, *NEVER):
        (state / name).parent.mkdir(exist_ok=True)
        (state / name).write_bytes(name.encode())
    (state / "evidence.key.pem").chmod(0o600)
    return Machine(state)


def lost(config: AgentConfig) -> None:
    """The disk is a new one."""
    shutil.rmtree(config.state_dir)


def test_what_waited_goes_again_and_what_is_new_gets_a_number_that_never_was(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    with machine.open() as outbox:
        fill(outbox, 3)
        made = back_up(config, copy, machine.clock)  # it runs
        used = fill(outbox, 40, first=3)
    lost(config)
    assert (made.waiting, made.last_seq) == (3, 3)
    back = restore(config, copy, sent_up_to=30)
    with machine.open() as outbox:
        assert outbox.opening.new_chain_after == back.floor
        (fresh,) = fill(outbox, 1, first=99)
        assert fresh > 30 + MARGIN > max(used)
        rows = rows_of(outbox)
        assert [row.seq for row in rows] == [1, 2, 3, fresh]
        assert opened(rows[-1]).payload.prev == bytes(32)  # a chain of its own
        # The central is further than the copy, and that is no contradiction.
        assert outbox.apply_receipt(receipt_bytes(30, b"h" * 32)) == 3


def test_the_highest_of_all_that_is_known_counts(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    with machine.open() as outbox:
        fill(outbox, 3)
        back_up(config, tmp_path / "copy", machine.clock)
    for name in ("outbox.sqlite3",):
        (config.state_dir / name).unlink()
    (config.state_dir / "seq.floor").write_text("7000000\n")  # the machine's own, and newer
    back = restore(config, tmp_path / "copy", sent_up_to=0)
    assert back.floor == 7_000_000 + MARGIN
    lost(config)
    # Who types too small a number is caught by what the copy says itself.
    again = restore(config, tmp_path / "copy", sent_up_to=0)
    assert again.floor == 3 + 1000 + MARGIN  # its floor reserves a block


def test_a_copy_made_in_mid_work_is_one_moment_of_it(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    is_over = threading.Event()

    def work(outbox: Outbox) -> None:
        number = 0
        while not is_over.is_set():
            fill(outbox, 5, first=number)
            number += 5

    with machine.open() as outbox:
        thread = threading.Thread(target=work, args=(outbox,))
        thread.start()
        try:
            copies = [back_up(config, tmp_path / f"copy-{n}", machine.clock) for n in range(5)]
        finally:
            is_over.set()
            thread.join(30)
    assert [c.waiting for c in copies] == [c.last_seq for c in copies]
    assert all(json.loads((tmp_path / f"copy-{n}/backup.json").read_text()) for n in range(5))


def test_keys_stay_where_they_are_unless_they_are_asked_for(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    with machine.open() as outbox:
        fill(outbox, 1)
        bare = back_up(config, tmp_path / "bare", machine.clock)
        full = back_up(config, tmp_path / "full", machine.clock, with_keys=True)
    assert (bare.has_keys, full.has_keys) == (False, True)

    def held(folder: str) -> set[str]:
        root = tmp_path / folder
        return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}

    plain = {"outbox.sqlite3", "seq.floor", "orders.sqlite3", "evidence/raw-1", "backup.json"}
    assert held("bare") == plain
    assert held("full") == plain | {*SECRET, "ca.pem", "tls.pem"}
    key = tmp_path / "full/evidence.key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "full").stat().st_mode & 0o777 == 0o700
    lost(config)
    restore(config, tmp_path / "full", sent_up_to=1)
    assert (config.state_dir / "evidence.key.pem").stat().st_mode & 0o777 == 0o600


def test_what_stands_there_is_newer_and_is_left_alone(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    with machine.open() as outbox:
        fill(outbox, 1)
        back_up(config, tmp_path / "copy", machine.clock)
    with pytest.raises(CopyError, match="newer than any copy"):
        restore(config, tmp_path / "copy", sent_up_to=1)
    floor = (config.state_dir / "seq.floor").read_text()
    (config.state_dir / "outbox.sqlite3").unlink()
    (config.state_dir / "outbox.sqlite3-wal").write_bytes(b"of the former one")
    with pytest.raises(CopyError, match="left of another outbox"):
        restore(config, tmp_path / "copy", sent_up_to=1)
    assert (config.state_dir / "seq.floor").read_text() == floor
    (config.state_dir / "outbox.sqlite3-wal").unlink()
    (config.state_dir / "orders.sqlite3").write_bytes(b"taken since")
    back = restore(config, tmp_path / "copy", sent_up_to=1)
    assert set(back.kept) == {"orders.sqlite3", "evidence/raw-1"}
    assert (config.state_dir / "orders.sqlite3").read_bytes() == b"taken since"


def test_a_restore_that_is_cut_off_leaves_no_outbox_without_its_floor(
    config: AgentConfig, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine.open() as outbox:
        fill(outbox, 1)
        back_up(config, tmp_path / "copy", machine.clock)
    lost(config)
    copied: list[str] = []

    def dies(source: Path, to: Path) -> object:
        copied.append(source.name)
        raise OSError("the line was cut")

    with monkeypatch.context() as patched:
        patched.setattr(backup, "copy_file", dies)
        with pytest.raises(CopyError, match="the line was cut"):
            restore(config, tmp_path / "copy", sent_up_to=50)
    assert "outbox.sqlite3" not in copied
    assert int((config.state_dir / "seq.floor").read_text()) >= 50 + MARGIN
    restore(config, tmp_path / "copy", sent_up_to=50)  # and once more
    with machine.open() as outbox:
        assert fill(outbox, 1, first=9)[0] > 50 + MARGIN


def test_an_atm_comes_back_closed(machine: Machine, tmp_path: Path) -> None:
    config = configured(tmp_path, ATM)
    with machine.open() as outbox:
        fill(outbox, 1)
        back_up(config, tmp_path / "copy", machine.clock)
    lost(config)
    restore(config, tmp_path / "copy", sent_up_to=1)
    problem = Closure(config.state_dir).problem()
    assert problem is not None
    assert "settle with the bank's host" in problem


def test_a_copy_that_is_not_ours_or_was_changed_is_refused(
    config: AgentConfig, machine: Machine, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    with machine.open() as outbox:
        fill(outbox, 1)
        back_up(config, copy, machine.clock)
        with pytest.raises(CopyError, match="exists"):
            back_up(config, copy, machine.clock)
    lost(config)
    with pytest.raises(CopyError, match="no sequence number"):
        restore(config, copy, sent_up_to=-1)
    (tmp_path / "other").mkdir()
    other = configured(tmp_path / "other", VAN.replace("van-1", "van-2"))
    with pytest.raises(CopyError, match="of 'van-1' of 'demo'"):
        restore(other, copy, sent_up_to=1)
    with pytest.raises(CopyError, match="did this agent ever run"):
        back_up(other, tmp_path / "nothing", machine.clock)
    (copy / "seq.floor").write_text("1\n")
    with pytest.raises(CopyError, match="not what was copied"):
        restore(config, copy, sent_up_to=1)
    assert not config.state_dir.exists()


def test_an_atm_s_files_are_known_by_the_names_that_they_have() -> None:
    assert {JOURNAL_FILE, SEAL_KEY_FILE, SPENT_FILE} <= set(backup._WITH_KEYS)
    asked = "import sys, edge_agent.backup; print(sorted({'iso8583', 'cv2'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"  # a bare agent has neither


def test_from_the_command_line(
    config: AgentConfig,
    machine: Machine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(tmp_path / "copy"), "--config", str(config.file), "--json"]
    with machine.open() as outbox:
        fill(outbox, 2)
        assert main(["agent", "backup", *words]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["waiting"], made["has_keys"]) == (2, False)
    assert main(["agent", "restore", *words, "--sent-up-to", "2"]) == 1
    assert "newer than any copy" in capsys.readouterr().err
    lost(config)
    assert main(["agent", "restore", *words, "--sent-up-to", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["goes_on_above"] == 2 + 1000 + MARGIN
    assert (
        main(["agent", "backup", str(tmp_path / "x"), "--config", str(tmp_path / "no.toml")]) == 2
    )
    assert main(["agent"]) == 2
    assert "--config FILE is needed" in capsys.readouterr().err
