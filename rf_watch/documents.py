"""Generated document of the rules: ``python -m rf_watch.documents docs/rules.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rf_watch.rules import FAMILY_CAP, RULES, Rule
from rf_watch.settings import SETTINGS, CellSettings
from rf_watch.tables.china_gsm import NO_GSM_BLOCKS, NO_GSM_PLMNS

_HEAD = f"""# Rules of the cell detector

Generated from `rf_watch/rules.py` by `python -m rf_watch.documents docs/rules.md`; do not edit.

What makes an alert: one hard rule, one rule that stands alone, or soft reasons of two families
(law 5). The score is the sum of the weights, each family capped at {FAMILY_CAP:g}; it ranks
detections and decides nothing. A weight is the natural logarithm of a likelihood ratio.

A hard rule has one innocent explanation, a misread record. One complete record is *suspected*, if
nothing contradicts it; it is *confirmed* once `cell.misreads_min` records would have to be wrong
together: a second reading, a frame of a capture (which passed the air interface's own check), or
two hard rules at once. An incomplete record, or one beside which the same cell was read in an
innocent form, stays *observed* until it is heard again. A soft reason counts towards an alert once
`cell.misreads_min` records would have to be wrong; odd records rarer than one in `cell.noise_ratio`
of a cell's count as one, however many they are. A wrong alarm sends officers after an innocent
person; a second reading costs a second.
"""


def _rule(rule: Rule) -> str:
    return f"""
## {rule.id}

{rule.observed}.

- Family: {rule.family.value}. Strength: {rule.strength.value}.
- Weight: {rule.weight:g} ({rule.weight_basis}).
- Source: {rule.source}.
- Known false positives: {rule.false_positives}.
"""


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def rules_document() -> str:
    """Return the text of ``docs/rules.md``."""
    defaults = CellSettings()
    settings = [
        (f"`{row.name}`", getattr(defaults, row.field), row.unit, row.basis) for row in SETTINGS
    ]
    plmns = [
        (
            r.plmn,
            r.operator,
            f"{r.source} {r.source_date}".strip(),
            "no" if r.is_recalled else "yes",
        )
        for r in NO_GSM_PLMNS
    ]
    blocks = [
        (f"{r.first_arfcn}-{r.last_arfcn}", r.downlink_mhz, r.holder, f"{r.source} {r.source_date}")
        for r in NO_GSM_BLOCKS
    ]
    return "".join(
        [
            _HEAD,
            *(_rule(rule) for rule in RULES),
            "\n## Settings\n\n",
            _table(("name", "default", "unit", "basis"), settings),
            "\n## PLMNs that never had GSM\n\n",
            _table(("PLMN", "operator", "source", "used as a hard rule"), plmns),
            "\n## ARFCN without any GSM licence\n\n",
            _table(("ARFCN", "downlink MHz", "holder", "source"), blocks),
        ]
    )


def main() -> None:
    """Write the document to the path named on the command line."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rules_document(), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
