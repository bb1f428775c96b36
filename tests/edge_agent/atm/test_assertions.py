"""Mode A: the service over socket and mutual TLS, and every way not to get an assertion."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from atm_face.factor import CardVerdict, NoReference
from atm_face.policy import Business, ListMode, SanctionRegime
from atm_face.sanctions import Holds
from atm_face.screens import Prompt
from atm_face.visit import Examination
from central.authority import Authority
from contract.accounts import CardRef, card_ref
from contract.assertion import (
    AssertionRefusedError,
    Expected,
    open_assertion,
    read_assertion,
)
from contract.clock import UnixMicros, VirtualClock
from contract.keys import KeySigner, KnownKey
from contract.messages import FaceEvidence, WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PinVerdict
from edge_agent.atm import assertion_openapi as openapi
from edge_agent.atm.assertion_service import MAX_BODY_BYTES, AssertionService
from edge_agent.atm.assertions import (
    READ_US,
    SESSION_LIFE_US,
    AccountState,
    Asked,
    AssertionDesk,
    CallRefusedError,
    Outcome,
    Refusal,
)
from edge_agent.atm.examiner import FaceVisit
from hardware.cameras.interface import CameraError, ChallengeKind
from mqtt_bridge.ports import TlsFiles

NOW = UnixMicros(1_764_000_000_000_000)
PAN = "6217000000000000012"
KEY = b"k" * 32
SIGNER = KeySigner(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
NONCE = bytes(range(16))
EVIDENCE = FaceEvidence(
    engine="test",
    model_sha256=bytes(32),
    similarity=0.9,
    threshold=0.5,
    pad=Pad.CHALLENGE,
    is_simulated=False,
)
LIVE = Examination(evidence=EVIDENCE, is_match=True, is_live=True, is_face_covered=False)


@dataclass
class Booth:
    """Stands for camera and engine: says what the test wants to have been seen."""

    seen: Examination = LIVE
    is_enrolled: bool = True
    is_broken: bool = False
    challenge: ChallengeKind = ChallengeKind.TURN_LEFT
    cards: list[CardRef] = field(default_factory=list)

    def open(self, card: CardRef) -> FaceVisit:
        self.cards.append(card)
        return self

    def capture(self) -> tuple[Prompt, ...]:
        if self.is_broken:
            raise CameraError("cam0", "unplugged")
        return (Prompt.COME_CLOSER,)

    def run_challenge(self) -> bool:
        return not self.is_broken

    def verdict(self) -> CardVerdict:
        no_reference = None if self.is_enrolled else NoReference.NOT_ENROLLED
        return CardVerdict(examination=self.seen, no_reference=no_reference)


class Kit:
    def __init__(self, booth: Booth | None = None, state: AccountState | None = None) -> None:
        self.booth = booth or Booth()
        self.clock = VirtualClock(NOW)
        self.decisions: list[WithdrawalDecision] = []
        self.desk = AssertionDesk(
            device="atm-1",
            tenant="bank",
            terminal="ATM00001",
            tenant_key=KEY,
            signer=SIGNER,
            examiner=self.booth,
            clock=self.clock,
            state_of=lambda card: state or AccountState(list_mode=ListMode.ONLINE),
            on_decision=self.decisions.append,
        )


def asked(pin: PinVerdict = PinVerdict.OK) -> Asked:
    return Asked(stan="000123", amount_fen=300_000, nonce=NONCE, pin=pin)


def is_taken(text: str) -> bool:
    expected = Expected(
        device="atm-1",
        terminal="ATM00001",
        stan="000123",
        amount_fen=300_000,
        currency="CNY",
        card=card_ref(PAN, KEY).hmac,
        nonce=NONCE,
    )
    keys = {SIGNER.kid: KnownKey("atm-1", SIGNER.public)}
    open_assertion(
        text, expected, tenant="bank", find_key=keys.get, now=NOW, spend=lambda i, e: True
    )
    return True


# -- the desk --------------------------------------------------------------------------------------


def test_a_good_visit_gets_one_assertion() -> None:
    kit = Kit()
    session = kit.desk.begin(PAN).session
    assert kit.desk.capture(session) == (Prompt.COME_CLOSER,)
    assert kit.desk.challenge(session)
    outcome = kit.desk.decide(session, asked())
    assert outcome.verdict.decision is Decision.ALLOW
    assert outcome.assertion is not None
    assert is_taken(outcome.assertion)
    with pytest.raises(CallRefusedError, match="no_session"):
        kit.desk.decide(session, asked())
    assert [one.decision for one in kit.decisions] == [Decision.ALLOW]
    assert PAN not in repr(kit.decisions)


def look(evidence: bool = True, **changes: Any) -> Examination:
    values = {"is_match": True, "is_live": True, "is_face_covered": False} | changes
    return Examination(evidence=EVIDENCE if evidence else None, **values)


@pytest.mark.parametrize(
    ("booth", "state", "pin", "reason"),
    [
        (Booth(look(is_match=False)), None, "ok", DecisionReason.FACE_MISMATCH),
        (Booth(look(is_live=False)), None, "ok", DecisionReason.LIVENESS_FAILED),
        (Booth(look(is_live=None)), None, "ok", DecisionReason.LIVENESS_UNAVAILABLE),
        (Booth(look(evidence=False)), None, "ok", DecisionReason.LIVENESS_UNAVAILABLE),
        (Booth(look(is_face_covered=True)), None, "ok", DecisionReason.FACE_COVERED),
        (Booth(is_enrolled=False), None, "ok", DecisionReason.NOT_ENROLLED),
        (Booth(), None, "wrong", DecisionReason.PIN_INVALID),
        (Booth(), None, "blocked", DecisionReason.PIN_BLOCKED),
        (Booth(), AccountState(), "ok", DecisionReason.LIST_STALE),
        (
            Booth(),
            AccountState(hold=DecisionReason.STOP_PAYMENT, list_mode=ListMode.ONLINE),
            "ok",
            DecisionReason.STOP_PAYMENT,
        ),
        (
            Booth(),
            AccountState(
                holds=Holds(sanction=SanctionRegime.JOINT_2024), list_mode=ListMode.ONLINE
            ),
            "ok",
            DecisionReason.NONCOUNTER_OUTFLOW_SUSPENDED,
        ),
        (
            Booth(),
            AccountState(hold=DecisionReason.FROZEN, list_mode=ListMode.ONLINE),
            "ok",
            DecisionReason.FROZEN,
        ),
    ],
)
def test_nothing_is_signed_for_a_refusal(
    booth: Booth, state: AccountState | None, pin: str, reason: DecisionReason
) -> None:
    kit = Kit(booth, state)
    outcome = kit.desk.decide(kit.desk.begin(PAN).session, asked(PinVerdict(pin)))
    assert outcome.assertion is None
    assert outcome.verdict.reason is reason
    assert kit.decisions[0].reason is reason


def test_sessions_are_one_short_and_known() -> None:
    kit = Kit()
    first = kit.desk.begin(PAN).session
    second = kit.desk.begin(PAN).session
    for session, refusal in ((first, Refusal.NO_SESSION), ("0" * 32, Refusal.NO_SESSION)):
        with pytest.raises(CallRefusedError) as caught:
            kit.desk.capture(session)
        assert caught.value.refusal is refusal
    kit.clock.advance(SESSION_LIFE_US + 1)
    with pytest.raises(CallRefusedError, match="expired"):
        kit.desk.decide(second, asked())


def test_a_broken_camera_is_told() -> None:
    kit = Kit(Booth(is_broken=True))
    session = kit.desk.begin(PAN).session
    with pytest.raises(CallRefusedError, match="unplugged"):
        kit.desk.capture(session)
    assert not kit.desk.challenge(session)


WARNED = AccountState(holds=Holds(is_warned=True), list_mode=ListMode.ONLINE)
PAYEE = "6217000000000000020"


def test_a_warned_customer_reads_and_answers_before_money_goes() -> None:
    kit = Kit(state=WARNED)
    session = kit.desk.begin(PAN).session
    for confirmed in (None, True):  # nobody was asked yet
        with pytest.raises(CallRefusedError, match="asked first"):
            kit.desk.decide(session, dataclasses.replace(asked(), is_confirmed=confirmed))
    assert kit.desk.question(session, Business.WITHDRAW) == (Prompt.ANTI_FRAUD_VOICE_ZH,)
    with pytest.raises(CallRefusedError, match="no time to read"):
        kit.desk.decide(session, dataclasses.replace(asked(), is_confirmed=True))
    kit.clock.advance(READ_US)
    outcome = kit.desk.decide(session, dataclasses.replace(asked(), is_confirmed=True))
    assert outcome.assertion is not None


def test_who_says_no_is_referred_to_the_counter() -> None:
    kit = Kit(state=WARNED)
    session = kit.desk.begin(PAN).session
    kit.desk.question(session, Business.WITHDRAW)
    outcome = kit.desk.decide(session, dataclasses.replace(asked(), is_confirmed=False))
    assert outcome.assertion is None
    assert outcome.verdict.reason is DecisionReason.NOT_CONFIRMED
    assert kit.decisions[-1].decision is Decision.REFER_TO_COUNTER


def transfer(kit: Kit, business: Business = Business.TRANSFER_OTHER) -> Outcome:
    session = kit.desk.begin(PAN).session
    kit.desk.question(session, business)
    kit.clock.advance(READ_US)
    ask = dataclasses.replace(asked(), business=business, payee=PAYEE, is_confirmed=True)
    return kit.desk.decide(session, ask)


def test_a_transfer_to_others_waits_a_day_and_pays_no_cash() -> None:
    kit = Kit()
    allowed: list[int] = []
    kit.desk._on_allowed = lambda fen, currency: allowed.append(fen)
    outcome = transfer(kit)
    assert outcome.verdict.decision is Decision.ALLOW_DELAYED
    assert outcome.verdict.prompts == (Prompt.ANTI_FRAUD_VOICE_ZH,)
    assert (outcome.verdict.delay_s, allowed) == (24 * 3600, [])
    assert outcome.assertion is not None
    with pytest.raises(AssertionRefusedError, match="wrong_business"):
        is_taken(outcome.assertion)  # for cash it is worth nothing
    signed = read_assertion(
        outcome.assertion,
        tenant="bank",
        find_key={SIGNER.kid: KnownKey("atm-1", SIGNER.public)}.get,
    )
    assert signed.transfer_to == card_ref(PAYEE, KEY).hmac
    assert signed.not_before == signed.issued_at + 24 * 3600 * 1_000_000
    own = transfer(kit, Business.TRANSFER_OWN)
    assert (own.verdict.decision, own.verdict.delay_s) == (Decision.ALLOW, 0)


def test_nobody_sends_money_to_a_listed_payee() -> None:
    kit = Kit()
    kit.desk._is_listed = lambda payee: payee.last4 == PAYEE[-4:]
    outcome = transfer(kit)
    assert (outcome.assertion, outcome.verdict.reason) == (None, DecisionReason.LISTED_PAYEE)
    assert transfer(kit, Business.TRANSFER_OWN).assertion is not None
    assert PAYEE not in repr(kit.decisions)


def test_the_question_over_the_service(short_folder: Path) -> None:
    kit = Kit()
    session = kit.desk.begin(PAN).session
    ask = {"business": "transfer_other"}
    early = {"stan": "000123", "amount_fen": 300_000, "nonce": NONCE.hex(), "pin": "ok"}
    early |= ask | {"payee": PAYEE, "confirmed": True}
    raws = [
        request("POST", f"/v1/sessions/{session}/question", ask),
        request("POST", f"/v1/sessions/{session}/decision", early),
    ]
    (status, body), (refused, words) = on_socket(short_folder, raws, kit)
    jsonschema.validate(body, openapi.QUESTIONED)
    assert (status, body["read_s"]) == (200, 5)
    assert (refused, words["error"]) == (409, "wrong_step")
    kit.clock.advance(READ_US)
    jsonschema.validate(early, openapi.ASK)
    ((status, body),) = on_socket(
        short_folder, [request("POST", f"/v1/sessions/{session}/decision", early)], kit
    )
    jsonschema.validate(body, openapi.DECIDED)
    assert (body["decision"], body["delay_s"], body["is_revocable"]) == (
        "ALLOW_DELAYED",
        86400,
        True,
    )


# -- the service -----------------------------------------------------------------------------------


async def http(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes
) -> tuple[int, Any]:
    writer.write(raw)
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body or b"null")


def request(method: str, path: str, body: object = None) -> bytes:
    raw = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def on_socket(folder: Path, raws: list[bytes], kit: Kit | None = None) -> list[tuple[int, Any]]:
    async def run() -> list[tuple[int, Any]]:
        path = folder / "a" / "assertion.sock"
        server = await AssertionService((kit or Kit()).desk).on_socket(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        async with server:
            return [await http(*(await asyncio.open_unix_connection(path)), raw) for raw in raws]

    return asyncio.run(run())


def test_a_visit_over_the_socket_as_the_document_says(short_folder: Path) -> None:
    kit = Kit()
    ask = {"stan": "000123", "amount_fen": 300_000, "nonce": NONCE.hex(), "pin": "ok"}
    jsonschema.validate(ask, openapi.ASK)
    (status, begun), *_ = on_socket(
        short_folder, [request("POST", "/v1/sessions", {"pan": PAN})], kit
    )
    assert status == 201
    jsonschema.validate(begun, openapi.BEGUN)
    here = f"/v1/sessions/{begun['session']}"
    replies = on_socket(
        short_folder,
        [
            request("POST", f"{here}/capture"),
            request("POST", f"{here}/challenge"),
            request("POST", f"{here}/decision", ask),
            request("POST", f"{here}/decision", ask),
            request("GET", "/v1/health"),
        ],
        kit,
    )
    schemas = [openapi.CAPTURED, openapi.CHALLENGED, openapi.DECIDED, openapi.REFUSED]
    for (_, body), schema in zip(replies, schemas, strict=False):
        jsonschema.validate(body, schema)
    assert [status for status, _ in replies] == [200, 200, 200, 404, 200]
    decided = replies[2][1]
    assert decided["decision"] == "ALLOW"
    assert is_taken(decided["assertion"])
    assert "reason" not in decided
    assert replies[4][1]["counters"]["assertions"] == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"PUT /v1/sessions/" + b"0" * 32 + b" HTTP/1.1\r\n\r\n", 405),
        (b"POST /v1/sessions HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/sessions HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", 400),
        (b"POST /v1/sessions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/sessions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"x" * 20_000, 400),
        (request("POST", "/v1/sessions", []), 400),
        (request("POST", "/v1/sessions", {"pan": "12"}), 400),
        (request("POST", "/v1/sessions", {"pan": 6217}), 400),
        (request("DELETE", "/v1/sessions/" + "0" * 32), 404),
    ],
)
def test_bad_requests_are_answered_and_echo_nothing(
    short_folder: Path, raw: bytes, status: int
) -> None:
    ((got, body),) = on_socket(short_folder, [raw])
    assert got == status
    jsonschema.validate(body, openapi.REFUSED)
    assert "6217" not in json.dumps(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"stan": "1"},
        {"amount_fen": 0},
        {"amount_fen": True},
        {"amount_fen": "3"},
        {"nonce": "00"},
        {"nonce": "zz"},
        {"pin": "1234"},
    ],
)
def test_bad_values_leave_the_session(short_folder: Path, changes: dict[str, object]) -> None:
    kit = Kit()
    session = kit.desk.begin(PAN).session
    ask = {"stan": "000123", "amount_fen": 300_000, "nonce": NONCE.hex(), "pin": "ok"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(ask | changes, openapi.ASK)
    raw = request("POST", f"/v1/sessions/{session}/decision", ask | changes)
    ((status, body),) = on_socket(short_folder, [raw], kit)
    assert (status, body["error"]) == (400, "bad_value")
    assert kit.desk.decide(session, asked()).assertion is not None


def test_a_failure_inside_is_no_approval(short_folder: Path) -> None:
    kit = Kit()
    session = kit.desk.begin(PAN).session
    kit.booth.verdict = lambda: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    ask = {"stan": "000123", "amount_fen": 300_000, "nonce": NONCE.hex(), "pin": "ok"}
    raw = request("POST", f"/v1/sessions/{session}/decision", ask)
    ((status, body),) = on_socket(short_folder, [raw], kit)
    assert (status, body["error"]) == (500, "failed")


def server_side(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.certificate, files.private_key)
    return context


def client_side(files: TlsFiles, *, with_certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.ca))
    if with_certificate:
        context.load_cert_chain(files.certificate, files.private_key)
    return context


def test_the_port_takes_only_the_banks_certificates(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca")
    server_files = authority.issue_server(tmp_path / "server")
    client_files = authority.issue_client(tmp_path / "client", "atmc")

    async def ask(port: int, *, with_certificate: bool) -> int:
        tls = client_side(client_files, with_certificate=with_certificate)
        line = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        return (await http(*line, request("GET", "/v1/health")))[0]

    async def run() -> None:
        server = await AssertionService(Kit().desk).on_loopback(0, server_side(server_files))
        port = server.sockets[0].getsockname()[1]
        async with server:
            assert await ask(port, with_certificate=True) == 200
            with pytest.raises((OSError, IndexError)):  # the handshake fails, or nothing comes
                await ask(port, with_certificate=False)

    asyncio.run(run())

    async def without_mutual_tls() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        await AssertionService(Kit().desk).on_loopback(0, context)

    with pytest.raises(ValueError, match="mutual TLS"):
        asyncio.run(without_mutual_tls())


def test_the_document_is_current() -> None:
    path = Path(__file__).parents[3] / "docs/contract/face-assertion.openapi.json"
    assert json.loads(path.read_text(encoding="utf-8")) == openapi.openapi_document()


@pytest.mark.slow
def test_the_example_of_the_documents_runs(short_folder: Path) -> None:
    example = Path(__file__).parents[3] / "docs/examples/bank_application.py"
    stranger = "6217000000000000020"
    serve = [sys.executable, "-m", "qianshao", "assertion", "serve"]
    command = [*serve, "--folder", str(short_folder), "--stranger", stranger]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert b"listening" in server.stdout.readline()
            good = run_example(example, short_folder, PAN)
            assert "first use: 0 second use: 1" in good.stdout, good.stdout + good.stderr
            bad = run_example(example, short_folder, stranger)
            assert "decision: DENY" in bad.stdout
            assert "send nothing" in bad.stderr
        finally:
            server.terminate()


def run_example(example: Path, folder: Path, pan: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(example), str(folder), pan]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
