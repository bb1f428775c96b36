"""Generated rules: ``python -m rf_watch.broadcast.documents docs/rules-broadcast.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from rf_watch.broadcast.rules import BROADCAST_RULES, FAMILY_CAP, BroadcastRule
from rf_watch.broadcast.settings import BROADCAST_SETTINGS, BroadcastSettings
from rf_watch.tables.receivers import RECEIVERS

_HEAD = f"""# Rules of the broadcast detector

Generated from `rf_watch/broadcast/rules.py` by `python -m rf_watch.broadcast.documents
docs/rules-broadcast.md`; do not edit. How they work together: `docs/detection-broadcast.md`.

An accusing rule makes a suspicion once it has held for `fm.continuous_s` and no phantom of the
receiver is possible any more. The others add to the score, which ranks detections and decides
nothing; each family is capped at {FAMILY_CAP:g}. A weight is the logarithm of a likelihood ratio.
"""


def _rule(rule: BroadcastRule) -> str:
    return f"""
## {rule.id}

{rule.observed}.

- Family: {rule.family.value}. {"Accuses." if rule.is_accusing else "Adds only."}
- Weight: {rule.weight:g} ({rule.weight_basis}).
- Source: {rule.source}.
- Known false positives: {rule.false_positives}.
"""


def rules_document() -> str:
    """Return the text of ``docs/rules-broadcast.md``."""
    defaults = BroadcastSettings()
    lines = [_HEAD, *(_rule(rule) for rule in BROADCAST_RULES)]
    lines.append("\n## Settings\n\n| name | default | unit | basis |\n|---|---|---|---|\n")
    for row in BROADCAST_SETTINGS:
        value = getattr(defaults, row.field)
        lines.append(f"| `{row.name}` | {value:g} | {row.unit} | {row.basis} |\n")
    lines.append(
        "\n## Receivers\n\nAssumed weaknesses, to be replaced by a measurement of the very device."
        "\n\n| device | IIP3, dBm | images, MHz | spurs, MHz | basis |\n|---|---|---|---|---|\n"
    )
    for device in RECEIVERS.values():
        iip3 = "relative levels" if device.iip3_dbm is None else f"{device.iip3_dbm:g}"
        images = ", ".join(f"{mhz:g}" for mhz in device.image_offsets_mhz) or "-"
        spurs = ", ".join(f"{mhz:g}" for mhz in device.spurs_mhz) or "-"
        lines.append(f"| {device.device.value} | {iip3} | {images} | {spurs} | {device.basis} |\n")
    return "".join(lines)


def main() -> None:
    """Write the document to the path named on the command line."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rules_document(), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
