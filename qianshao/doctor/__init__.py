"""``qianshao doctor``: what is wrong with this installation, in plain words."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

from contract.clock import SystemClock
from contract.settings import ConfigError
from qianshao.doctor.findings import Check, Finding, Verdict, examine, ok

EXIT_FAILED = 1
EXIT_CONFIG = 2

_MARKS = {Verdict.OK: "ok", Verdict.WARNING: "look", Verdict.FAILED: "FAIL"}


def main_doctor(args: argparse.Namespace) -> int:
    """Print what was found; 0: nothing failed, 1: something did, 2: the configuration is wrong."""
    try:
        checks = _checks(args.config)
    except ConfigError as error:
        print(f"qianshao doctor: {error}", file=sys.stderr)
        return EXIT_CONFIG
    findings: list[Finding] = []
    for finding in [ok("configuration", str(args.config)), *examine(checks)]:
        findings.append(finding)
        if not args.json:
            print(f"{_MARKS[finding.verdict]:5} {finding.what:16} {finding.words}")
            if finding.remedy and finding.verdict is not Verdict.OK:
                print(f"{'':22} → {finding.remedy}")
    if args.json:
        rows = [
            {"what": f.what, "verdict": f.verdict.value, "words": f.words, "remedy": f.remedy}
            for f in findings
        ]
        print(json.dumps({"schema": "qianshao-doctor/1", "findings": rows}, ensure_ascii=False))
    has_failed = any(f.verdict is Verdict.FAILED for f in findings)
    return EXIT_FAILED if has_failed else 0


def _checks(config: Path) -> list[tuple[str, Check]]:
    """Read the file as what it is: an agent has a device, a central has a folder."""
    if _is_agent(config):
        from edge_agent.config import load_config
        from qianshao.doctor.agent import agent_checks

        return agent_checks(load_config(config), SystemClock())
    from central.config import load_settings
    from qianshao.doctor.central import central_checks

    return central_checks(load_settings(config), SystemClock())


def _is_agent(config: Path) -> bool:
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # the agent's reader says what is wrong with the file
    return "device" in values or "state_dir" in values
