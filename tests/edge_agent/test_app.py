"""The agent process: what it loads, what it refuses, and how it tells of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contract import EnvelopeError, State
from contract.clock import ClockQuality
from contract.envelope import open_envelope
from contract.keys import KeySigner, KnownKey, key_id, public_pem
from contract.orders import RestartPart
from contract.words import PartState, Presence
from edge_agent.app import Agent, main_agent
from edge_agent.config import load_config
from edge_agent.orders import CannotApplyError
from tests.samples import ED25519

CONFIG = """
device = "van-01"
tenant = "demo"
kind = "van"
state_dir = "state"
[broker]
host = "127.0.0.1"
port = 1
[central]
public_key = "central.pub.pem"
[[sensors]]
name = "modem0"
kind = "quectel"
url = "nowhere"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "central.pub.pem").write_text(public_pem(ED25519.public_key()), encoding="ascii")
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_van_loads_no_face_engine_and_no_web_server() -> None:
    heavy = {"cv2", "numpy", "sqlalchemy", "fastapi", "starlette", "uvicorn", "babel", "skimage"}
    program = f"import sys, edge_agent.app; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_each_connection_has_a_session_of_its_own(config: Path) -> None:
    agent = Agent(load_config(config))
    known = KnownKey("van-01", agent._identity.signer.public)
    kid = key_id(known.public)

    def opened(presence: Presence) -> State:
        raw = agent._make_state(presence)
        envelope = open_envelope(
            raw, tenant="demo", find_key=lambda wanted: known if wanted == kid else None
        )
        assert isinstance(envelope.body, State)
        assert envelope.payload.seq == 0
        return envelope.body

    will, birth = opened(Presence.OFFLINE), opened(Presence.ONLINE)
    assert will.session == birth.session
    assert opened(Presence.OFFLINE).session != will.session
    agent._outbox.close()


def test_health_names_every_part_and_what_is_wrong(config: Path) -> None:
    agent = Agent(load_config(config))
    agent._refresh_book()
    parts = {part.name: part for part in agent._book.snapshot().parts}
    assert parts["uplink"].state is PartState.FAILED
    assert parts["outbox"].state is PartState.OK
    assert {"clock", "outbox", "uplink"} <= set(parts)
    agent._outbox.close()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "central.pub.pem").unlink(), "central.pub.pem: cannot be read"),
        (lambda folder: (folder / "central.pub.pem").write_text("x"), "no usable public key"),
        (lambda folder: (folder / "agent.toml").write_text("device ="), "agent.toml:1"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_a_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], spoil: object, problem: str
) -> None:
    assert callable(spoil)
    spoil(config.parent)
    assert main_agent(config) == 2
    assert problem in capsys.readouterr().err


def test_a_key_that_others_may_read_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(load_config(config))
    agent._outbox.close()
    (config.parent / "state" / "evidence.key.pem").chmod(0o644)
    assert main_agent(config) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_an_unsynced_clock_is_said_and_not_guessed(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(load_config(config))
    monkeypatch.setattr(
        agent._clock, "quality", lambda: ClockQuality(is_synced=False), raising=False
    )
    agent._refresh_book()
    clock = next(p for p in agent._book.snapshot().parts if p.name == "clock")
    assert clock.state is PartState.DEGRADED
    assert clock.counters == {}
    agent._outbox.close()


def test_receipts_of_a_stranger_are_told_in_health(config: Path) -> None:
    agent = Agent(load_config(config))
    with pytest.raises(EnvelopeError):
        agent._outbox.apply_receipt(agent._make_state(Presence.ONLINE))
    agent._refresh_book()
    outbox = next(p for p in agent._book.snapshot().parts if p.name == "outbox")
    assert outbox.state is PartState.DEGRADED
    assert "central.public_key" in outbox.detail
    agent._outbox.close()


def test_a_foreign_signature_is_no_state_of_this_device(config: Path) -> None:
    agent = Agent(load_config(config))
    known = KnownKey("van-01", KeySigner(ED25519).public)
    with pytest.raises(EnvelopeError):
        open_envelope(agent._make_state(Presence.ONLINE), tenant="demo", find_key=lambda kid: known)
    agent._outbox.close()


def test_a_part_is_named_to_be_started_again(config: Path) -> None:
    agent = Agent(load_config(config))
    with pytest.raises(
        CannotApplyError, match="there are: health, identity, housekeeper, sensor modem0"
    ):
        agent._act(RestartPart(part="sensor modem9"))
    agent._outbox.close()
