"""A bank's ATM application in miniature: ask the agent for a face assertion, then ask the host.

Needs nothing but Python. Start `qianshao assertion serve --folder /tmp/assertion` first, then:

    python docs/examples/bank_application.py /tmp/assertion 6217000000000000012
"""

import http.client
import json
import secrets
import socket
import subprocess
import sys


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
    agent.request(method, path, raw, {"Content-Type": "application/json"})
    reply = agent.getresponse()
    answer = json.loads(reply.read() or b"{}")
    if reply.status >= 400:
        raise SystemExit(f"the agent refused: {answer}")
    return answer


def main() -> None:
    """One withdrawal up to the host's check."""
    folder, pan = sys.argv[1:3]
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
    card = subprocess.run(
        [sys.executable, "-c", _CARD, folder, pan], check=True, capture_output=True, text=True
    )
    verify = [sys.executable, "-m", "qianshao", "assertion", "verify", answer["assertion"]]
    verify += ["--tenant", "bank", "--device", "atm-stand-in", "--key", f"{folder}/device.pem"]
    verify += ["--terminal", "ATM00001", "--stan", "000123", "--amount-fen", "300000"]
    verify += ["--card", card.stdout.strip(), "--nonce", nonce, "--spent", f"{folder}/spent.db"]
    first = subprocess.run([*verify, "--accept-simulated"], check=False)
    again = subprocess.run([*verify, "--accept-simulated"], check=False)
    print("first use:", first.returncode, "second use:", again.returncode)


_CARD = """
import sys
from pathlib import Path
from contract.accounts import card_ref
key = bytes.fromhex(Path(sys.argv[1], "tenant.key").read_text())
print(card_ref(sys.argv[2], key).hmac.hex())
"""

if __name__ == "__main__":
    main()
