"""Write the generated part of ``docs/central.md``: who may call what."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from central.actor import UNIT_ROLES, Role
from central.config import CentralSettings
from central.hub import Hub
from central.people.permissions import OF_ONES_UNIT, PERMISSIONS, Permission
from central.store import open_sqlite
from central.web.access import Rule, rules
from central.web.app import create_app

BEGIN, END = "<!-- generated: make schemas -->", "<!-- end of the generated part -->"


def all_rules() -> list[Rule]:
    """Return the rule of every route of the application."""
    with tempfile.TemporaryDirectory() as folder:
        settings = CentralSettings(tenant="-", folder=Path(folder))
        store = open_sqlite(settings.store_path)
        try:
            return rules(create_app(store, Hub(), settings))
        finally:
            store.close()


def tables() -> str:
    """Return permissions by role, and routes by permission, as Markdown."""
    head = "| permission | " + " | ".join(role.value for role in Role) + " |"
    lines = [head, "|---" * (len(Role) + 1) + "|"]
    for permission in Permission:
        own = UNIT_ROLES if permission in OF_ONES_UNIT else frozenset()
        held = [
            ("unit" if role in own else "x") if role in PERMISSIONS[permission] else ""
            for role in Role
        ]
        lines.append(f"| `{permission.value}` | " + " | ".join(held) + " |")
    lines += ["", "`unit`: for the one member unit to which the person is bound, else for none."]
    lines += ["", "| route | permission |", "|---|---|"]
    for rule in all_rules():
        name = "anybody" if rule.permission is None else f"`{rule.permission.value}`"
        lines.append(f"| `{rule.method} {rule.path}` | {name} |")
    return "\n".join(lines)


def renewed(text: str) -> str:
    """Return the document with its generated part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main(path: Path) -> None:
    """Renew the document in its place."""
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
