"""A member unit's gateway from its token to the receipt, over the embedded broker."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from qianshao.__main__ import main
from qianshao.demo import site as demo_site
from tests.e2e.test_processes import central_of, get

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
GATE = "gate-1"


def test_a_unit_sends_its_csv_and_gets_its_receipt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = demo_site.prepare(tmp_path / "site", 0)
    with site.central_config.open("a", encoding="utf-8") as file:
        file.write(f'[[feeds]]\ndevice = "{GATE}"\nunit = "mobile"\n')
    config = site.agent_config(GATE)
    config.write_text(
        f'device = "{GATE}"\ntenant = "{demo_site.TENANT}"\nkind = "gateway"\n'
        f'state_dir = "{GATE}"\n[broker]\nhost = "127.0.0.1"\nport = {site.broker_port}\n'
        f'ca = "{GATE}/ca.pem"\ncertificate = "{GATE}/tls.pem"\n[central]\n'
        f'public_key = "{GATE}/central.pub.pem"\nurl = "https://127.0.0.1:{site.enrol_port}"\n'
    )
    rows = tmp_path / "numbers.csv"
    rows.write_text("number\n" + "".join(f"138{n:08}\n" for n in range(5000)) + "abc\n")

    def send(unit: str) -> tuple[int, dict[str, object], str]:
        words = ["feed", "send", str(rows), "--config", str(config), "--unit", unit]
        status = main([*words, "--kind", "numbers", "--wait", "40", "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out.splitlines()[-1]), said.err

    with central_of(site) as central:
        central.wait_for("central_started")
        where = ["--config", str(site.central_config), "--json"]
        assert main(["device", "invite", GATE, "--kind", "gateway", *where]) == 0
        token = tmp_path / "token"
        token.write_text(json.loads(capsys.readouterr().out.splitlines()[-1])["token"])
        enrol = ["device", "enrol", "--config", str(config), "--token-file", str(token)]
        assert main(enrol) == 0
        capsys.readouterr()
        added = {"unit": "mobile", "zh": "移动", "en": "Mobile", "kind": "operator", "every": "24"}
        key = {"authorization": f"Bearer {site.visitor.key}"}
        answer = httpx.post(f"{site.url}units", data=added, headers=key, timeout=5)
        assert answer.status_code == 303, answer.text
        status, sent, problems = send("mobile")
        assert (status, sent["taken"], sent["refused"], sent["messages"]) == (3, 5000, 1, 2)
        assert f"{rows}:5002:" in problems
        status, sent, problems = send("unicom")
        assert (status, sent["taken"]) == (3, 0)
        assert "not bound" in problems
        alerts = get(site, "api/alerts").json()["alerts"]
        assert any(one["subject"].get("publisher") == GATE for one in alerts)
