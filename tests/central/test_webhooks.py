"""Webhooks to a real receiver: signed, in order, again after a failure, from where they were."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from central.store import EventKind
from central.webhooks import Courier, Target, WebhookError, check_url
from tests.central.kit import Central

SECRET = base64.b64encode(b"s" * 32).decode()


@dataclass
class Receiver:
    """An HTTP server that answers as told and keeps what came."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.came.append((dict(self.headers.items()), body))
            status = kept.answers.pop(0) if kept.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("location", kept.url + "elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


def courier(central: Central, receiver: Receiver, tmp_path: Path) -> Courier:
    secret = tmp_path / "secret"
    secret.write_text(f"whsec_{SECRET}\n")
    target = Target(name="soc", url=receiver.url, secret_file=secret)
    return Courier(central.store, target, tmp_path / "webhooks", "demo", central.clock)


def happen(central: Central, number: int, kind: EventKind = EventKind.ALERT) -> None:
    with central.store.transaction() as tx:
        tx.add_event(1, kind, {"n": number})


def numbers(receiver: Receiver) -> list[int]:
    return [json.loads(body)["data"]["n"] for _, body in receiver.came]


def test_events_come_signed_and_in_order(
    central: Central, receiver: Receiver, tmp_path: Path
) -> None:
    happen(central, 0)  # before the target was there
    carrier = courier(central, receiver, tmp_path)
    carrier.step()
    happen(central, 1)
    happen(central, 2, EventKind.DEVICE)
    happen(central, 3)
    carrier.step()
    assert numbers(receiver) == [1, 3]
    headers, body = receiver.came[0]
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    mac = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
    assert headers["Webhook-Signature"] == "v1," + base64.b64encode(mac).decode()


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_was_not_taken_comes_again_with_the_same_id(
    central: Central, receiver: Receiver, tmp_path: Path, status: int
) -> None:
    carrier = courier(central, receiver, tmp_path)
    carrier.step()
    happen(central, 1)
    happen(central, 2)
    receiver.answers = [204, status]
    assert carrier.step() > 0.5
    assert carrier.progress.problem == f"answered {status}"
    carrier.step()
    assert numbers(receiver) == [1, 2, 2]
    assert receiver.came[1][0]["Webhook-Id"] == receiver.came[2][0]["Webhook-Id"]


def test_a_restart_goes_on_where_it_was(
    central: Central, receiver: Receiver, tmp_path: Path
) -> None:
    courier(central, receiver, tmp_path).step()
    happen(central, 1)  # while nobody runs
    again = courier(central, receiver, tmp_path)
    again.step()
    again.step()
    assert numbers(receiver) == [1]


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://127.0.0.1/", "https://", "https://a:b@c/", "file:///etc/passwd"],
)
def test_events_leave_over_https_only(url: str) -> None:
    with pytest.raises(WebhookError):
        check_url(url)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_YWJj", "whsec_§", "no base64!"])
def test_a_weak_secret_is_refused(
    central: Central, receiver: Receiver, tmp_path: Path, text: str
) -> None:
    (tmp_path / "weak").write_text(text, encoding="utf-8")
    target = Target(name="soc", url=receiver.url, secret_file=tmp_path / "weak")
    with pytest.raises(WebhookError, match="weak"):
        Courier(central.store, target, tmp_path, "demo", central.clock)
