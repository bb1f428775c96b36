"""A bank's ATM application in miniature: ask the agent for a face assertion, then ask the host.

The terminal's part needs nothing but Python. The host's part (the check) runs the command
`qianshao`, so start it with the Python that has it. First
`qianshao assertion serve --folder /tmp/assertion`, then:

    python docs/examples/bank_application.py /tmp/assertion 6217000000000000012
"""

import hashlib
import hmac
import http.client
import json
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path


class Agent(http.client.HTTPConnection):
    """HTTP over the agent's Unix socket; one connection for each call."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        """Open the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def call(folder: str, method: str, path: str, body: dict[str, object] | None = None) -> dict:
    """Make one call; an error ends the program: no assertion, no 0200."""
    agent = Agent(f"{folder}/assertion.sock")
    raw = json.dumps(body or {})
    try:
        agent.request(method, path, raw, {"Content-Type": "application/json"})
        reply = agent.getresponse()
        answer = json.loads(reply.read() or b"{}")
    except OSError as error:
        raise SystemExit(f"no agent at {folder}/assertion.sock: {error}") from None
    finally:
        agent.close()
    if reply.status >= 400:
        raise SystemExit(f"the agent refused: {answer}")
    return answer


def await_agent(folder: str, seconds: float = 30.0) -> None:
    """The stand-in loads its face engine first: wait until it listens."""
    until = time.monotonic() + seconds
    while not Path(folder, "assertion.sock").exists():
        if time.monotonic() > until:
            raise SystemExit(f"nobody listens in {folder}: qianshao assertion serve --folder it")
        time.sleep(0.2)


def card_hmac(folder: str, pan: str) -> str:
    """What stands for the card in the assertion: key 7 of docs/integration-bank.md."""
    key = bytes.fromhex(Path(folder, "tenant.key").read_text(encoding="ascii"))
    return hmac.new(key, b"qianshao/card/1\0" + pan.encode("ascii"), hashlib.sha256).hexdigest()


def main() -> None:
    """One withdrawal up to the host's check."""
    if len(sys.argv) != 3:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER CARD-NUMBER")
    folder, pan = sys.argv[1:3]
    await_agent(folder)
    # 1. The card is in, the PIN pad holds the PIN: begin, show the challenge, take the pictures.
    session = call(folder, "POST", "/v1/sessions", {"pan": pan})
    here = f"/v1/sessions/{session['session']}"
    print("please:", session["challenge"])
    print("prompts:", call(folder, "POST", f"{here}/capture")["prompts"])
    print("challenge done:", call(folder, "POST", f"{here}/challenge")["done"])
    # 2. The nonce comes from the host; here it is made up.
    nonce = secrets.token_hex(16)
    request = {"stan": "000123", "amount_fen": 300_000, "nonce": nonce, "pin": "ok"}
    answer = call(folder, "POST", f"{here}/decision", request)
    print("decision:", answer["decision"], "-", answer["screen"]["zh"])
    if "assertion" not in answer:
        raise SystemExit("no assertion: show the screen, return the card, send nothing")
    # 3. The 0200 carries answer["assertion"]; the host checks it. Here with the command.
    verify = [sys.executable, "-m", "qianshao", "assertion", "verify", answer["assertion"]]
    verify += ["--tenant", "bank", "--device", "atm-stand-in", "--key", f"{folder}/device.pem"]
    verify += ["--terminal", "ATM00001", "--stan", "000123", "--amount-fen", "300000"]
    verify += ["--card", card_hmac(folder, pan), "--nonce", nonce, "--spent", f"{folder}/spent.db"]
    first = subprocess.run([*verify, "--accept-simulated"], check=False)
    again = subprocess.run([*verify, "--accept-simulated"], check=False)
    print("first use:", first.returncode, "second use:", again.returncode)


if __name__ == "__main__":
    main()
