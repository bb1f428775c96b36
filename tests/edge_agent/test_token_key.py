"""The evidence key in a PKCS #11 token: born there, signs there, and cannot be read."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract import seal
from contract.clock import ClockQuality, MonoMicros, UnixMicros
from contract.enrolment import Request, Token
from contract.envelope import NO_PREVIOUS, open_envelope
from contract.keyfiles import KeyFileError
from contract.keys import Algorithm, KnownKey, key_id, verifies
from edge_agent.config import TokenConfig
from edge_agent.identity import Identity
from edge_agent.token_key import TokenLostError, TokenSigner
from tests.samples import BOOT, a_detection

pytestmark = pytest.mark.softhsm

PIN = "1234"


@pytest.fixture(scope="module")
def token(softhsm: str, tmp_path_factory: pytest.TempPathFactory) -> TokenConfig:
    """A token in software, made for this file alone; the library reads its place once."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    for label in ("qianshao", "other"):
        pins = ["--pin", PIN, "--so-pin", "5678"]
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, *pins],
            check=True,
            capture_output=True,
        )
    pin_file = folder / "pin"
    pin_file.write_text(PIN + "\n")
    pin_file.chmod(0o600)
    return TokenConfig(
        library=Path(softhsm), token="qianshao", key="qianshao-evidence", pin_file=pin_file
    )


def test_a_message_signed_in_the_token_verifies_at_the_central(
    token: TokenConfig, tmp_path: Path
) -> None:
    identity = Identity.load_or_create(tmp_path, "van-1", token)
    assert identity.signer.algorithm is Algorithm.ES256
    raw = seal(
        a_detection(),
        tenant="demo",
        device="van-1",
        boot_id=BOOT,
        seq=1,
        wall=UnixMicros(1),
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=identity.signer,
    )
    known = KnownKey("van-1", identity.signer.public)
    assert open_envelope(raw, tenant="demo", find_key=lambda kid: known).body == a_detection()
    assert [path.name for path in tmp_path.iterdir()] == ["tls.key.pem"]


def test_a_device_enrols_with_a_key_in_a_token(token: TokenConfig, tmp_path: Path) -> None:
    identity = Identity.load_or_create(tmp_path, "van-1", token)
    carried = Token.new("van-1", b"p" * 32)
    request = Request.signed(
        "van-1", identity.csr(), identity.signer, identity.signer.public, carried
    )
    assert Request.from_json(request.to_json()).is_proved


def test_the_key_is_born_once_and_cannot_be_read(token: TokenConfig) -> None:
    import pkcs11

    first, again = TokenSigner(token), TokenSigner(token)
    assert first.kid == again.kid == key_id(first.public)
    assert not again.is_new
    with pytest.raises(pkcs11.AttributeSensitive):
        first._key[pkcs11.Attribute.VALUE]
    assert first._key[pkcs11.Attribute.EXTRACTABLE] is False


def test_a_key_of_one_s_own_is_made_under_each_label(token: TokenConfig) -> None:
    other = TokenSigner(dataclasses.replace(token, key="another"))
    assert other.is_new
    assert other.kid != TokenSigner(token).kid


def test_threads_sign_at_once(token: TokenConfig) -> None:
    signer = TokenSigner(token)
    data = [b"%d" % n for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        signatures = list(pool.map(signer.sign, data))
    for one, signature in zip(data, signatures, strict=True):
        assert verifies(signer.public, Algorithm.ES256, one, signature)


def test_what_is_wrong_is_said(token: TokenConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="token 'nowhere'"):
        TokenSigner(dataclasses.replace(token, token="nowhere"))
    with pytest.raises(KeyFileError, match="libnothing"):
        TokenSigner(dataclasses.replace(token, library=tmp_path / "libnothing.so"))
    pin = tmp_path / "pin"
    with pytest.raises(KeyFileError, match="cannot be read"):
        TokenSigner(dataclasses.replace(token, pin_file=pin))
    pin.write_text(PIN)
    pin.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        TokenSigner(dataclasses.replace(token, pin_file=pin))


def test_a_wrong_pin_is_refused_in_a_process_of_its_own(token: TokenConfig, tmp_path: Path) -> None:
    """PKCS #11 logs a whole process in: only another one can give a wrong PIN."""
    pin = tmp_path / "pin"
    pin.write_text("9999")
    pin.chmod(0o600)
    code = (
        "import sys; from pathlib import Path; from edge_agent.config import TokenConfig\n"
        "from edge_agent.token_key import TokenSigner\n"
        "library, pin = map(Path, sys.argv[1:])\n"
        "TokenSigner(TokenConfig(library=library, token='qianshao', key='k', pin_file=pin))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(token.library), str(pin)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "PinIncorrect" in done.stderr
    assert "9999" not in done.stderr


def test_a_token_that_fails_is_opened_again_and_one_that_is_gone_is_said(
    token: TokenConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = TokenSigner(token)

    class Dead:
        def sign(self, *_: object, **__: object) -> bytes:
            raise RuntimeError("pulled out")

    signer._key = Dead()
    assert verifies(signer.public, Algorithm.ES256, b"x", signer.sign(b"x"))

    signer._key = Dead()
    signer._config = dataclasses.replace(token, token="gone")
    with pytest.raises(TokenLostError, match="does not sign"):
        signer.sign(b"x")

    signer._key = Dead()
    signer._config = dataclasses.replace(token, key="another")
    with pytest.raises(TokenLostError, match="another key"):
        signer.sign(b"x")


def test_without_the_extra_it_is_named(token: TokenConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyFileError, match=r"qianshao\[pkcs11\]"):
        TokenSigner(token)
