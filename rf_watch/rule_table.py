"""The rules of the cell detector as data: ``docs/detection-cells.md`` is generated from it.

One row each: what is observed, how far it carries, whence it comes, what innocent looks alike.
"""

from __future__ import annotations

from rf_watch.rule_types import Family, Rule, Strength

_PLAN = "scenario format section 4.2; the operators' cell plan as loaded"
_FREIBURG = "Freiburg survey of 2012, 197 genuine GSM cells"

AUTH_MAC_FAILURE_RUN = Rule(
    id="EMM-AUTH-MAC-FAILURE-RUN",
    observed="The test terminal refused the network's authentication twice or more with EMM cause "
    "20 (MAC failure), and no good authentication came between",
    family=Family.AUTHENTICATION,
    strength=Strength.STANDS_ALONE,
    weight=2.1,
    weight_basis="9 of 9 published attack traces, 0 of 7 ordinary logs; with one added to each "
    "outcome (10/11) / (1/9) = 8.2, ln = 2.1",
    source="TS 24.301 sections 5.4.2.6 and 5.4.2.7; TS 33.401 section 6.1: only the home network "
    "can make a MAC that the SIM accepts",
    false_positives="A test SIM with a wrong key or a fault of the home subscriber server: both "
    "refuse every network, so a good authentication of the same terminal rules them out. One "
    "failure is ordinary after a mix-up of temporary identities, which the network repairs at once",
)
GSM_PLMN_IMPOSSIBLE = Rule(
    id="GSM-PLMN-IMPOSSIBLE",
    observed="A GSM cell announces a PLMN whose operator never held a GSM network",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_CRITICAL,
    weight=6.9,
    weight_basis="only a misread makes it innocent; taken as below one complete record in 1000",
    source="rf_watch/tables/china_gsm.py: 460-03, 460-05, 460-11, 460-15",
    false_positives="A decode error: AT answers have no checksum, and one flipped bit makes 460-11 "
    "of 460-01. 460-12 is only recalled and never used",
)
GSM_BAND_IMPOSSIBLE = Rule(
    id="GSM-BAND-IMPOSSIBLE",
    observed="A GSM cell of a Chinese PLMN stands on ARFCN 787 to 885, where nobody in mainland "
    "China holds a GSM licence",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_CRITICAL,
    weight=6.9,
    weight_basis="only a misread makes it innocent; taken as below one complete record in 1000",
    source="rf_watch/tables/china_gsm.py: 1860-1880 MHz belongs to China Telecom, LTE FDD only",
    false_positives="A decode error. A foreign cell across a border may stand there lawfully, so "
    "the cell must announce MCC 460",
)
GSM_PLMN_ARFCN_MISMATCH = Rule(
    id="GSM-PLMN-ARFCN-MISMATCH",
    observed="A GSM cell of one Chinese operator stands in the block of another in the plan in "
    "force, and in none of its own",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_HIGH,
    weight=5.3,
    weight_basis="choice: one genuine cell in 200, for 904-909 MHz changed hands city by city",
    source="rf_watch/tables/china_gsm.py: blocks before 2018 and since; between them both count",
    false_positives="A city that moved to the new plan late or early: the table is replaceable. A "
    "recording without a date counts only where no version of the plan allows the channel",
)
GSM_AFTER_SUNSET = Rule(
    id="GSM-AFTER-SUNSET",
    observed="A GSM cell announces a PLMN whose GSM network is declared switched off in this city",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_HIGH,
    weight=5.3,
    weight_basis="choice: as for another operator's block; no base rate is published",
    source="the deployment's own list of networks switched off (gsm_off)",
    false_positives="A declaration that came before the last cell went off the air",
)
LAC_NOT_IN_PLAN = Rule(
    id="LAC_NOT_IN_PLAN",
    observed="The LAC of a GSM cell is in no row of the cell plan of its PLMN (or, if that has no "
    "GSM row, of the city)",
    family=Family.AREA_PLAN,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="choice: a plan that lacks one genuine location area in 20; ln 20. The survey had "
    "1 of 197 genuine cells with a LAC far from its operator's median",
    source=_PLAN,
    false_positives="A new location area, or a plan that is behind: never alone",
)
TAC_NOT_IN_PLAN = Rule(
    id="TAC_NOT_IN_PLAN",
    observed="The TAC of an LTE or NR cell is in no row of the cell plan of its PLMN",
    family=Family.AREA_PLAN,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="choice: as LAC_NOT_IN_PLAN",
    source=_PLAN + "; operators' case sheet of Haining, 2017 (TAC 6541 and 6547)",
    false_positives="A new tracking area, or a plan that is behind: never alone",
)
LAC_OUTSIDE_BASELINE = Rule(
    id="LAC_OUTSIDE_BASELINE",
    observed="The LAC or TAC was never heard of this operator here, though the learned baseline "
    "knows the operator's areas and other cells of the operator with known areas are heard now",
    family=Family.AREA_PLAN,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="choice: one genuine cell in 20 of a learned district has an area not yet learned",
    source="the learned baseline (qianshao rf learn); SeaGlass (PETS 2017): learn, then compare",
    false_positives="The edge of the learned district: the witness with a known area is then far",
)
LAC_RESERVED = Rule(
    id="LAC_RESERVED",
    observed="A cell broadcasts LAC or TAC 0x0000 or 0xFFFE, which no network may use",
    family=Family.AREA_PLAN,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="0 of 197 genuine cells, so below 1.5 % (rule of three); 30 % of fakes "
    "is a choice",
    source="TS 23.003 section 4.1; " + _FREIBURG,
    false_positives="Modems print 0000 and FFFF for unknown: only frames of a capture count",
)
CRO_EXTREME = Rule(
    id="CRO_EXTREME",
    observed="CELL_RESELECT_OFFSET stands cell.cro_extreme_db above what the operator's genuine "
    "cells use, and PENALTY_TIME is not 31",
    family=Family.RESELECTION,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="by definition 0 of the cells behind the baseline; ln 20 is a choice",
    source="TS 45.008 section 6.4 (PENALTY_TIME 31 flips the sign); genuine China Mobile cells use "
    "110 to 120 dB, so that no fixed threshold serves",
    false_positives="An operator's new tuning. Not judged where no baseline of the operator is "
    "known, neither plan nor learned",
)
NO_NEIGHBOURS = Rule(
    id="NO_NEIGHBOURS",
    observed="A GSM cell announces an empty neighbour list",
    family=Family.NEIGHBOURS,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10; no base rate of empty lists is published",
    source="scenario format section 4.2; SnoopSnitch K1; TS 44.018 section 10.5.2.22",
    false_positives="A rural cell alone in its area; a femtocell. A list that is continued in "
    "another message is not counted as short",
)
NEIGHBOUR_ASYMMETRY = Rule(
    id="NEIGHBOUR_ASYMMETRY",
    observed="The cell lists no channel of its operator heard here, and none of three or more "
    "heard cells of the operator lists it",
    family=Family.NEIGHBOURS,
    strength=Strength.SUPPORTING,
    weight=2.3,
    weight_basis="10 of 197 genuine cells (5.1 %) are listed by no heard cell of their operator; "
    "that half of the fakes are is a choice; ln (0.5 / 0.051) = 2.3",
    source=_FREIBURG,
    false_positives="One genuine cell in 20: new sites, indoor cells, lists that lag",
)
T3212_SHORT = Rule(
    id="T3212_SHORT",
    observed="T3212 is between 1 and cell.t3212_short_decihours: phones must report every few "
    "minutes",
    family=Family.TIMERS,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="SnoopSnitch's authors never saw one below 10; 30 % of fakes against below 1.5 % "
    "is a choice; ln 20",
    source="TS 44.018 section 10.5.2.11 (1 decihour = 6 min; 0 means never)",
    false_positives="Test and private networks",
)
UNUSUAL_CONSTANTS = Rule(
    id="UNUSUAL_CONSTANTS",
    observed="Broadcast constants (T3212, RXLEV_ACCESS_MIN, CRO with its sign, hysteresis, "
    "MS_TXPWR_MAX_CCH, bandwidth) that this operator's cells do not use here",
    family=Family.CONSTANTS,
    strength=Strength.SOFT,
    weight=6.9,
    weight_basis="measured: the sum over the constants of ln (p(usual) / p(value)) of the "
    "operator's cells in the learned baseline, add-one smoothed, each at most 4.0; fires from "
    "4.6 (ln 100), so that one odd constant is never enough",
    source="the learned baseline (qianshao rf learn); all 7 genuine cells of a China log share "
    "their operator's values",
    false_positives="A new tuning campaign: the drift report of rf learn shows it",
)
ODD_CONSTANT = Rule(
    id="ODD_CONSTANT",
    observed="One broadcast constant that this operator's cells do not use here, too few for "
    "UNUSUAL_CONSTANTS",
    family=Family.CONSTANTS,
    strength=Strength.SUPPORTING,
    weight=2.3,
    weight_basis="measured as for UNUSUAL_CONSTANTS, from 3.0 (one of 20) and held at ln 10: 2.5 % "
    "of genuine cells had a CRO above 40 where their neighbours had none",
    source="the learned baseline (qianshao rf learn); SnoopSnitch K2, whose fixed threshold flags "
    "every China Mobile cell",
    false_positives="One cell in 40 is tuned unlike its neighbours",
)
LAC_CHANGES = Rule(
    id="LAC_CHANGES",
    observed="One GSM carrier and cell identity with cell.lac_changes_min location area codes "
    "within cell.lac_window_s",
    family=Family.LOCATION_AREA,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10. Rotating the LAC is how a blaster makes phones report anew; no "
    "base rate for genuine cells is published",
    source="field reports (135 false LACs in three days, Ningxia); scenario format section 4.2",
    false_positives="Two genuine cells that reuse ARFCN and CI in different location areas (their "
    "BSIC differ); a re-homing by the operator (one change, once)",
)
IDENTITY_CLASH = Rule(
    id="IDENTITY_CLASH",
    observed="One global cell identity on two carriers or under two physical ids (BSIC, PSC, PCI) "
    "within cell.lac_window_s",
    family=Family.IDENTITY,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="0 of 197 genuine cells of a city survey, so below 1.5 % (rule of three); that "
    "30 % of fakes copy an identity that is also heard is a choice; ln 20 = 3.0",
    source="Freiburg survey of 2012; TS 23.003 sections 4.3.1 and 19.6: the identity is unique",
    false_positives="An operator's retune; fields of two cells mixed in one answer during a "
    "reselection. No clash: a shared cell that lists several PLMNs, two EARFCN of one carrier in "
    "overlapping bands, an unknown physical id",
)
PCI_ON_SEVERAL_EARFCN = Rule(
    id="PCI_ON_SEVERAL_EARFCN",
    observed="One PCI of a PLMN on cell.pci_earfcn_min carriers at once, none of them so planned",
    family=Family.PHYSICAL_IDENTITY,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10. Genuine sites often give all their carriers one PCI, so it is "
    "judged only where a plan of the PLMN is loaded",
    source="operators' case sheet of Haining, 2017 (PCI 6 on EARFCN 38950 and 37900)",
    false_positives="A new site with several carriers that the plan lacks: never alone",
)
MOBILE_EMITTER = Rule(
    id="MOBILE_EMITTER",
    observed="The levels of a suspect fit two places, one for each half of its trail, far better "
    "than one: the transmitter moves",
    family=Family.MOBILITY,
    strength=Strength.SUPPORTING,
    weight=1.6,
    weight_basis="choice: ln 5, held low; on simulated drives it named no standing transmitter in "
    "240 and few of those that moved: one pass of minutes seldom tells",
    source="two-window shift test over position-tagged levels; a genuine GSM cell stands still",
    false_positives="Shadowing behind buildings, which no test over levels can tell from movement",
)
CHANNEL_OUTSIDE_PLAN = Rule(
    id="CHANNEL_OUTSIDE_PLAN",
    observed="An LTE or NR cell of a Chinese PLMN stands on a carrier in no operator's block",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.SUPPORTING,
    weight=1.6,
    weight_basis="choice: ln 5; the table is the state of 2024-11 and may lack regional grants",
    source="rf_watch/tables/china_lte.py",
    false_positives="Grants that the table lacks, shared indoor spectrum, trials",
)
REJECT_CAUSE_15 = Rule(
    id="REJECT_CAUSE_15",
    observed="The test terminal's attach or tracking area update was rejected with EMM cause 15 "
    "(no suitable cells in tracking area) before any authentication",
    family=Family.REJECTS,
    strength=Strength.SOFT,
    weight=1.6,
    weight_basis="1 of 7 ordinary logs (a China Mobile redirect): (1+1)/(7+2) = 0.22 against "
    "nearly all of the Haining kind, ln = 1.5; rounded",
    source="TS 24.301 annex A; operators' case sheet of Haining, 2017",
    false_positives="An ordinary redirect between an operator's tracking areas, roaming rules",
)
IDENTITY_WITHOUT_SECURITY = Rule(
    id="IDENTITY_WITHOUT_SECURITY",
    observed="The network asked for the IMSI and then rejected or let go of the terminal without "
    "any authentication that succeeded",
    family=Family.SECURITY,
    strength=Strength.SUPPORTING,
    weight=1.4,
    weight_basis="1 of 7 ordinary logs: 0.9 / 0.22 = 4, ln = 1.4",
    source="TS 24.301 section 5.4.4; Rayhunter's rule, which fires on a genuine China Mobile log",
    false_positives="Power-on in a new area followed by an ordinary redirect",
)
REJECT_THEN_GERAN_REDIRECT = Rule(
    id="REJECT_THEN_GERAN_REDIRECT",
    observed="The terminal was sent to GSM by RRCConnectionRelease before AS security was active, "
    "no voice call being under way. A reject and the redirect that follows it are one act, so both "
    "belong to one family",
    family=Family.REJECTS,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10; 0 of the 62 releases in the ordinary recordings at hand redirect",
    source="TS 36.331 section 5.3.8; SMS blasters of 2023-26 downgrade this way",
    false_positives="CSFB: an extended service request comes first, and security is active",
)
PRIORITY_STEERING_TO_GERAN = Rule(
    id="PRIORITY_STEERING_TO_GERAN",
    observed="System information gives GSM a higher reselection priority than any LTE carrier",
    family=Family.STEERING,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="0 of 7 ordinary logs, one of which has SIB7 (GERAN 1 against LTE 3 to 5); ln 10",
    source="TS 36.331 SIB3, SIB5 and SIB7; Park's T7; Rayhunter version 2",
    false_positives="A machine-type or rural network that prefers GSM",
)
NULL_CIPHER = Rule(
    id="NULL_CIPHER",
    observed="The network chose the null cipher (EEA0, A5/0) for the test terminal",
    family=Family.SECURITY,
    strength=Strength.SUPPORTING,
    weight=0.7,
    weight_basis="choice: ln 2; whole networks run without ciphering",
    source="TS 24.301 section 9.9.3.23; TS 44.018 section 10.5.2.9; SnoopSnitch C5",
    false_positives="Networks that never cipher, emergency calls, laboratories",
)
LU_ACCEPTED_WITHOUT_AUTHENTICATION = Rule(
    id="LU_ACCEPTED_WITHOUT_AUTHENTICATION",
    observed="A GSM network accepted the terminal's location update without authenticating it",
    family=Family.AUTHENTICATION,
    strength=Strength.SUPPORTING,
    weight=1.1,
    weight_basis="choice: ln 3; operators authenticate only every so many updates",
    source="TS 24.008 section 4.4.4; GSM lets any network accept any phone",
    false_positives="Operators that authenticate one update in several",
)
SMS_WITHOUT_SECURITY = Rule(
    id="SMS_WITHOUT_SECURITY",
    observed="A short message was delivered to the terminal unciphered on a GSM channel on which "
    "nothing had been authenticated",
    family=Family.SECURITY,
    strength=Strength.SUPPORTING,
    weight=1.6,
    weight_basis="choice: ln 5; where an operator ciphers it is rare, elsewhere it is not",
    source="the blaster's own purpose: field reports; TS 24.011",
    false_positives="Operators that neither cipher nor authenticate each message",
)
SPOOFED_SENDER = Rule(
    id="SPOOFED_SENDER",
    observed="A short message heard from this cell bears the number of a public hotline or a bank",
    family=Family.MESSAGES,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10; operators and banks do send such messages themselves",
    source="rf_watch/tables/hotlines.py; field reports: 10086, 95533 and 95588 are spoofed most",
    false_positives="A genuine message of that sender through a genuine cell: never alone",
)
MESSAGES_HEARD = Rule(
    id="MESSAGES_HEARD",
    observed="Short messages reached the test terminal through this cell; counted by class, their "
    "texts stay in the evidence",
    family=Family.MESSAGES,
    strength=Strength.SUPPORTING,
    weight=0.0,
    weight_basis="none: that a message comes says nothing; the law counts them",
    source="judicial interpretation of 2017: 5,000 fraud messages; TS 23.040",
    false_positives="Ordinary messages of the network: told only beside another reason",
)
LONELY_CELL = Rule(
    id="LONELY_CELL",
    observed="The only cell of its location area among three or more heard cells of the operator",
    family=Family.SURROUNDINGS,
    strength=Strength.SUPPORTING,
    weight=1.6,
    weight_basis="5 of 197 genuine cells (2.5 %), 3 of them GSM-R; half of the fakes would give "
    "ln 20, halved because sparse history makes everything look lonely",
    source="SnoopSnitch A5; " + _FREIBURG,
    false_positives="The border of a location area, the first minutes of a drive",
)
STRONG_WHILE_OTHERS_SINK = Rule(
    id="STRONG_WHILE_OTHERS_SINK",
    observed="A new carrier at -60 dBm or more, while three or more other carriers sank by 10 dB "
    "within 20 s of its appearance",
    family=Family.LEVEL,
    strength=Strength.SUPPORTING,
    weight=1.6,
    weight_basis="choice: ln 5. Above -60 dBm stood 4 of 54 genuine cells of a city centre; how "
    "often the others sink with it is not published",
    source="field reports: jammers push phones to GSM; " + _FREIBURG,
    false_positives="Driving under cover beside an indoor antenna. A tunnel alone lifts no carrier",
)

RULES: tuple[Rule, ...] = (
    GSM_PLMN_IMPOSSIBLE,
    GSM_BAND_IMPOSSIBLE,
    GSM_PLMN_ARFCN_MISMATCH,
    GSM_AFTER_SUNSET,
    AUTH_MAC_FAILURE_RUN,
    LAC_NOT_IN_PLAN,
    TAC_NOT_IN_PLAN,
    LAC_OUTSIDE_BASELINE,
    LAC_RESERVED,
    CRO_EXTREME,
    NO_NEIGHBOURS,
    T3212_SHORT,
    IDENTITY_CLASH,
    LAC_CHANGES,
    PCI_ON_SEVERAL_EARFCN,
    UNUSUAL_CONSTANTS,
    REJECT_CAUSE_15,
    REJECT_THEN_GERAN_REDIRECT,
    PRIORITY_STEERING_TO_GERAN,
    SPOOFED_SENDER,
    MESSAGES_HEARD,
    SMS_WITHOUT_SECURITY,
    LU_ACCEPTED_WITHOUT_AUTHENTICATION,
    IDENTITY_WITHOUT_SECURITY,
    NULL_CIPHER,
    ODD_CONSTANT,
    NEIGHBOUR_ASYMMETRY,
    LONELY_CELL,
    STRONG_WHILE_OTHERS_SINK,
    MOBILE_EMITTER,
    CHANNEL_OUTSIDE_PLAN,
)
"""Every rule, in the order in which a detection lists its reasons."""
