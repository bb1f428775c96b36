"""Generated document of the withdrawal: ``python -m atm_face.withdrawal_document FILE``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atm_face.screens import PROMPTS
from atm_face.withdrawal import Row, State
from atm_face.withdrawal_screens import TEXTS
from atm_face.withdrawal_table import MAY_DISPENSE, MAY_REQUEST, TABLE, TABLE_VERSION

INVARIANTS: dict[str, str] = {
    "W1": "the step is on disk (one synced transaction) before any of its external effects begins",
    "W2": "the host is asked only with card, PIN and face good in this visit",
    "W3": "notes move only after an authentic, fresh approval of this STAN, terminal and amount",
    "W4": "one outcome is recorded for each withdrawal, and never a second",
    "W5": "reversals are repeated until answered, in order; a card with one waiting asks nothing",
    "W6": "what nobody knows goes to suspense and the machine out of service: never reversed in "
    "full, never taken for paid",
    "W7": "without verdict, policy, trusted clock or whole journal the host is not asked",
    "W8": "no card number, PIN block, track or picture is in the journal in the clear",
}
"""The promises, by the names that violations carry."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the fault table."""

    number: int
    when: str
    evidence: str
    outcome: str


FAULTS: tuple[Fault, ...] = (
    Fault(
        1,
        "before the 0200: factor missing, cancelled, time-out",
        "nothing was sent",
        "card back, no reversal, the counter is offered",
    ),
    Fault(
        2,
        "power cut, 0200 in the journal and perhaps sent",
        "state `requesting` at boot",
        "reversal queued; 25 (not found) closes it",
    ),
    Fault(
        3,
        "0200 sent, no answer",
        "time-out or closed link",
        "reversal queued at once, card back, never cash",
    ),
    Fault(
        4,
        "an answer after the time-out",
        "its STAN has ended",
        "logged as late; the reversal stands",
    ),
    Fault(
        5,
        "host declines",
        "authentic answer, code not 00",
        "card back, or kept where the code and the bank say so; no reversal",
    ),
    Fault(
        6,
        "answer with a wrong MAC, STAN, terminal or amount, or too old",
        "a guard fails",
        "as without an answer, and an alarm",
    ),
    Fault(
        7,
        "token refused, nonce gone, dispenser not ready",
        "completion code; nothing moved",
        "full reversal; a forged HMAC is an alarm",
    ),
    Fault(
        8,
        "dispense failed, nothing left the stacker",
        "the dispenser says not presented",
        "rejected, full reversal",
    ),
    Fault(
        9,
        "fewer or more notes than asked",
        "count of the dispenser",
        "rejected, full reversal; a smaller sum only where the host profile allows",
    ),
    Fault(10, "present failed, no access", "presentErrorNoItems", "rejected, full reversal"),
    Fault(
        11,
        "present failed, some notes accessible",
        "presentErrorItems",
        "suspense, out of service, evidence kept",
    ),
    Fault(
        12,
        "power or link lost while notes moved",
        "present status under a fresh nonce",
        "presented: paid; not presented: rejected and reversed; unknown: suspense, out of service",
    ),
    Fault(
        13,
        "presented and not taken",
        "count of the retract",
        "suspense (a person counts), or reversal where every note was counted and the bank wants "
        "it; anything else: suspense, out of service",
    ),
    Fault(14, "taken", "the dispenser's event", "completed, confirmation queued"),
    Fault(
        15,
        "power cut after the notes were presented",
        "state `presented` at boot",
        "no reversal by itself: the dispenser is asked, presented is paid",
    ),
    Fault(
        16,
        "card not taken",
        "time-out at the slot",
        "card kept, evidence kept; before the notes: rejected, full reversal",
    ),
    Fault(
        17,
        "card jammed, torn out, or reader lost",
        "the reader's word",
        "out of service; before the notes: rejected, full reversal",
    ),
    Fault(
        18,
        "reversal not answered",
        "the queue",
        "0421 again with back-off, in order; alarm after six tries; no new withdrawals past the "
        "limits",
    ),
    Fault(19, "reversal answered 25 or 94", "the answer", "closed"),
    Fault(20, "host down at the start", "no echo", "not asked, card back; no stand-in for cash"),
    Fault(21, "face engine or camera lost", "no verdict", "not asked, card back, counter"),
    Fault(22, "list of stops stale", "its age", "decision REFER_TO_COUNTER: not asked, card back"),
    Fault(23, "disk full, journal broken", "a failed write or chain", "no new withdrawal"),
    Fault(
        24,
        "somebody else drives the dispenser",
        "StartDispense without a session",
        "alarm, out of service; an open request is reversed",
    ),
    Fault(25, "clock jumped", "wall against monotonic", "not asked until the time is trusted"),
)

_HEAD = f"""# The withdrawal

Generated by `python -m atm_face.withdrawal_document docs/withdrawal.md`; do not edit.

A withdrawal is a table of (state, event) → (state, effects), `atm_face/withdrawal_table.py`,
version {TABLE_VERSION}. It is pure. `edge_agent/atm` writes each step to a journal on disk, synced,
and only then carries out its effects. After a power cut every open withdrawal gets `boot`.

`qianshao atm simulate --faults all --json` drives the table, the real journal and the real queue
through a simulated bank, card slot and dispenser. It cuts the power before and after every journal
write, after everything a device or the bank did and before its completion is heard, and again
while it recovers; it fills the disk at every write. It compares the notes with the books (cash out
minus posted is what the journal holds in suspense), looks at the journal on disk whenever
something happens outside of it, and searches every file and log line for the customer's secrets.
`make test` runs a sample; `make soak` runs all of it, and takes each guard away from its row: at
least one run notices.

What it cannot do: it does not protect a classic (non-XFS4IoT) dispenser against malware on the same
computer, and it believes a dispenser whose end-to-end security runs in hardware, no other. Whether
notes at the slot were really taken is the dispenser's word; where it has none, a person counts.
"""


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return _line(header) + "|" + "---|" * len(header) + "\n" + "".join(map(_line, rows))


def _words(words: Sequence[object]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _guards(row: Row) -> str:
    """Name the two long lists instead of repeating them."""
    if row.guards == MAY_REQUEST:
        return "*may request*"
    if row.guards == MAY_DISPENSE:
        return "*may dispense*"
    return _words(row.guards)


_MEASURED = """
## Measured

2026-11-26, two cores:

| what | command | figure |
|---|---|---|
| every fault, every power cut | `qianshao atm simulate --faults all --json` | \
42,034 runs, 12 of 12 states, 25 of 25 faults, 0 violations, 404 s |
| each of the 47 guards taken away | `make soak` (`test_every_missing_guard_is_found`) | \
all found, 57 s |
| 1,000 withdrawals against `iso8583sim` (drop, close, delay, decline) | `make soak` \
(`test_a_thousand_withdrawals`) | 779 completed, 171 reversed, 50 declined; 150 silences, 50 late \
answers; 0 unaccounted |
| an order from its arrival at the ATM to its enforcement, p95 of 40 each | `qianshao bench atm` | \
stop 6.1 ms, its release 6.9 ms; freeze 5.4 ms, its release 4.9 ms |
| policy with 10 million listed accounts, p95 | `qianshao bench atm` | 0.1 ms |
| a whole decision, our part, p95 | `qianshao bench atm` | 222 ms (400 asked) |

Over a real broker a stop and its release are each enforced when the machine has answered them:
20 ms after they were sent, on that machine (`tests/edge_agent/atm/test_agent.py`, which prints it).
"""

_TRANSFERS = """
## Transfers

A transfer to other people waits 24 hours, and until then it can be taken back
(银发〔2016〕261号, art. 8).
The bank holds it, not the machine: it alone knows whose account the payee's is, and its delay holds
whatever becomes of a machine. Where `[atm.machine] transfers` and the bank's profile
(`transfer_code`) allow it, the customer's page takes account and amount; the decision is
`ALLOW_DELAYED` after the question in Chinese and English; every payee counts as somebody else,
since a customer who is being deceived would say otherwise. The 0200 has the processing code and
the payee in field 103; no cash can follow it. Without an authentic approval it is reversed, as a
withdrawal is.

Taking one back: the page offers what this card ordered at this machine within 24 hours and did not
take back yet. Card, PIN and face are asked for again; stops, sanctions and a stale list do not
stand in the way, since the money stays. It is a 0400 with the transfer's data in field 90; without
an answer it becomes an advice (0420) that is repeated until the bank answers, and 12, 21 or 40 ends
it: too late. The journal keeps of a payee the last four digits alone. A transfer that was ordered
elsewhere is taken back at the bank. A signed order reaches the bank by its own way and is no
business of the machine. `hardware/simulators/host.py` holds, carries out and gives back so.

"""

_REASONS = """
## The decision and its reasons

Card, PIN and face are all taken; then the first row below that holds decides, so a stop is told
before a wrong PIN and a wrong PIN before a wrong face. In mode B the bank is asked about the PIN
alone (0100, `pin_check_code` of its profile) before the camera looks. Where a profile names no such
code the host judges the PIN with the 0200, after the face: then a face that fails is the reason,
whatever the PIN was. Host, clock and devices speak last (`CLOCK_UNTRUSTED`, `OUT_OF_SERVICE`,
`HOST_DECLINED`, `HOST_SILENT`, `DEVICE_FAULT`).

"""


def _row(row: Row) -> tuple[object, ...]:
    outcome = f"`{row.outcome}`" if row.outcome else ""
    faults = ", ".join(str(number) for number in row.faults)
    return (
        f"`{row.event}`",
        _guards(row),
        f"`{row.to}`",
        _words(row.effects),
        outcome,
        faults,
    )


def _state(state: State) -> str:
    rows = [_row(row) for row in TABLE if row.state is state]
    header = ("event", "if", "to", "effects, in order", "outcome", "fault")
    return f"\n### {state.value}\n\n" + _table(header, rows)


def withdrawal_document() -> str:
    """Return the text of ``docs/withdrawal.md``."""
    from atm_face.policy import SOURCES
    from atm_face.policy import TABLE as POLICY

    return "".join(
        [
            _HEAD,
            "\n## What holds\n\n",
            *(f"- **{name}**: {sentence}.\n" for name, sentence in INVARIANTS.items()),
            "\n## Faults and their outcomes\n\n",
            _table(
                ("#", "what fails", "how it is known", "outcome"),
                [(f.number, f.when, f.evidence, f.outcome) for f in FAULTS],
            ),
            _MEASURED,
            _TRANSFERS,
            _REASONS,
            _table(
                ("#", "reason", "decision", "source"),
                [
                    (number, f"`{row.reason}`", f"`{row.decision}`", SOURCES[row.reason])
                    for number, row in enumerate(POLICY, start=1)
                ],
            ),
            "\n## What the customer reads\n\n",
            "`edge_agent/atm/kiosk.py` shows it on one page (loopback, Chinese and English, no\n"
            "request off the machine). Below each text stands that the counter is always open.\n\n",
            _table(
                ("screen", "Chinese", "English"),
                [(f"`{screen}`", text.zh, text.en) for screen, text in TEXTS.items()],
            ),
            "\nPrompts before and between:\n\n",
            _table(
                ("prompt", "Chinese", "English"),
                [(f"`{prompt}`", text.zh, text.en) for prompt, text in PROMPTS.items()],
            ),
            "\n## States\n\n",
            "The first row whose conditions all hold is taken.\n\n",
            f"- *may request*: {_words(MAY_REQUEST)}\n",
            f"- *may dispense*: {_words(MAY_DISPENSE)}\n",
            *(_state(state) for state in State),
        ]
    )


def main() -> None:
    """Write the document to the path named on the command line."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(withdrawal_document(), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
