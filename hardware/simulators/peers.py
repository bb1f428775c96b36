"""What simulated modems of each family answer, from one radio scene.

The models keep to what such modems can know: the serving cell is that of the best C2 (GSM, TS
45.008 section 6.4) or RSRP (LTE), neighbours are those that it announces, and only a survey of
the band hears everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.readings import Rat
from hardware.simulators.modem_scripts import normalised
from hardware.simulators.scene import Cell, Heard, RadioScene

_NEIGHBOURS = 6
Answer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellHeard:
    """A base station at the receiver."""

    cell: Cell
    level: int

    @property
    def c1(self) -> int:
        """Path loss criterion, the handset's power being what the cell allows."""
        return self.level - (self.cell.rxlev_access_min - 110)

    @property
    def c2(self) -> int:
        """Reselection criterion; PENALTY_TIME 31 turns the sign of the offset."""
        offset = self.cell.cro_db
        return self.c1 - offset if self.cell.penalty_time == 31 else self.c1 + offset


class CellView:
    """The scene as a modem of one technology sees it."""

    def __init__(self, scene: RadioScene, rat: Rat) -> None:
        self._scene = scene
        self._rat = rat

    def all(self) -> list[CellHeard]:
        """Every cell of the technology, the strongest first."""
        heard: list[Heard] = self._scene.heard()
        cells = [(one.emitter.cell, one.level_dbm) for one in heard]
        return [
            CellHeard(cell, max(-110, min(-47, round(level))))
            for cell, level in cells
            if cell is not None and cell.rat is self._rat
        ]

    def serving(self) -> CellHeard | None:
        """The cell that a modem camps on."""
        fit = [c for c in self.all() if not c.cell.is_barred and c.c1 > 0]
        return max(fit, key=lambda c: c.c2 if self._rat is Rat.GSM else c.level, default=None)

    def neighbours(self) -> list[CellHeard]:
        """Cells beside the serving one, of those that it announces."""
        serving = self.serving()
        if serving is None:
            return []
        listed = serving.cell.neighbours
        return [
            c
            for c in self.all()
            if c.cell is not serving.cell
            and (c.cell.plmn == serving.cell.plmn if listed is None else c.cell.channel in listed)
        ][:_NEIGHBOURS]


class PeerScript:
    """Base of the peers: identity commands, and a table of the others."""

    maker, model, revision = "", "", ""
    durations_s: dict[str, float] = {}  # noqa: RUF012 - a table, never changed
    """How long a survey takes; bytes that come meanwhile end it."""

    def __init__(self, scene: RadioScene) -> None:
        self._scene = scene
        self._gsm, self._lte = CellView(scene, Rat.GSM), CellView(scene, Rat.LTE)

    def table(self) -> dict[str, Callable[[], Answer]]:
        """Commands that this model knows."""
        raise NotImplementedError

    def answer(self, command: str) -> Answer | None:
        """See Script."""
        key = normalised(command)
        known: dict[str, Callable[[], Answer]] = {
            "ATI": lambda: (self.maker, self.model, f"Revision: {self.revision}", "OK"),
            "AT+CGMI": lambda: (self.maker, "OK"),
            "AT+CGMM": lambda: (self.model, "OK"),
            "AT+CGMR": lambda: (self.revision, "OK"),
            **self.table(),
        }
        found = known.get(key)
        return None if found is None else found()

    def duration_s(self, command: str) -> float:
        """Seconds until the answer to a command begins."""
        return self.durations_s.get(normalised(command), 0.0)


def _mnc(cell: Cell) -> tuple[str, str]:
    mcc, _, mnc = cell.plmn.partition("-")
    return mcc, mnc


class QuectelPeer(PeerScript):
    """An EG25-G on GSM (``rat``) or LTE; AT+QSCAN as an RM5xx has it."""

    maker, model, revision = "Quectel", "EG25", "EG25GGBR07A08M2G"
    durations_s = {"AT+QSCAN=3,1": 20.0}  # noqa: RUF012

    def __init__(self, scene: RadioScene, rat: Rat = Rat.GSM) -> None:
        super().__init__(scene)
        self._view = self._gsm if rat is Rat.GSM else self._lte

    def table(self) -> dict[str, Callable[[], Answer]]:
        """See PeerScript."""
        return {
            'AT+QENG="SERVINGCELL"': self._serving,
            'AT+QENG="NEIGHBOURCELL"': self._neighbours,
            "AT+QSCAN=3,1": self._scan,
        }

    def _serving(self) -> Answer:
        one = self._view.serving()
        if one is None:
            return ('+QENG: "servingcell","SEARCH"', "OK")
        mcc, mnc = _mnc(one.cell)
        c = one.cell
        if c.rat is Rat.GSM:
            line = (
                f'"GSM",{mcc},{mnc},{c.lac_tac:X},{c.cell_id:X},{c.physical_id},{c.channel},-,'
                f"{one.level},255,{c.rxlev_access_min},0,{one.c1},{one.c2},1" + ",-" * 9 + ',"-"'
            )
        else:
            line = (
                f'"LTE","TDD",{mcc},{mnc},{c.cell_id:X},{c.physical_id},{c.channel},39,5,5,'
                f"{c.lac_tac:X},{one.level},-9,{one.level + 27},17,29"
            )
        return (f'+QENG: "servingcell","NOCONN",{line}', "OK")

    def _neighbours(self) -> Answer:
        lines = []
        for one in self._view.neighbours():
            c, (mcc, mnc) = one.cell, _mnc(one.cell)
            if c.rat is Rat.GSM:
                lines.append(
                    f'+QENG: "neighbourcell","GSM",{mcc},{mnc},{c.lac_tac:X},{c.cell_id:X},'
                    f"{c.physical_id},{c.channel},{one.level},{one.c1},{one.c2},0,0"
                )
            else:
                lines.append(
                    f'+QENG: "neighbourcell intra","LTE",{c.channel},{c.physical_id},-12,'
                    f"{one.level},-74,-,-,-,-,-,-"
                )
        return (*lines, "OK")

    def _scan(self) -> Answer:
        lines = []
        for one in self._lte.all():
            c, (mcc, mnc) = one.cell, _mnc(one.cell)
            lines.append(
                f'+QSCAN: "LTE",{mcc},{mnc},{c.channel},{c.physical_id},{one.level},-11,20,115,'
                f"{c.cell_id:X},{c.lac_tac:X},100,{3 if c.channel < 2000 else 39}"
            )
        return (*lines, "OK")


class Sim800Peer(PeerScript):
    """A SIM800: +CENG in mode 1 and CNETSCAN; it knows neither +CPSI nor +CCINFO."""

    maker, model, revision = "SIMCOM_Ltd", "SIMCOM_SIM800L", "1418B05SIM800L24"
    durations_s = {"AT+CNETSCAN": 20.0}  # noqa: RUF012

    def table(self) -> dict[str, Callable[[], Answer]]:
        """See PeerScript."""
        return {
            "AT+CENG=1,1": lambda: ("OK",),
            "AT+CNETSCAN=1": lambda: ("OK",),
            "AT+CENG?": self._ceng,
            "AT+CNETSCAN": self._scan,
        }

    def _ceng(self) -> Answer:
        lines = ["+CENG: 1,1", ""]
        one = self._gsm.serving()
        if one is not None:
            c, (mcc, mnc) = one.cell, _mnc(one.cell)
            lines.append(
                f'+CENG: 0,"{c.channel:04d},{one.level + 110:02d},00,{mcc},{mnc},'
                f"{c.physical_id:02d},{c.cell_id:04x},{c.rxlev_access_min:02d},05,"
                f'{c.lac_tac:04x},255"'
            )
        for index, near in enumerate(self._gsm.neighbours(), start=1):
            c, (mcc, mnc) = near.cell, _mnc(near.cell)
            lines.append(
                f'+CENG: {index},"{c.channel:04d},{near.level + 110:02d},{c.physical_id:02d},'
                f'{c.cell_id:04x},{mcc},{mnc},{c.lac_tac:04x}"'
            )
        return (*(line for line in lines if line), "OK")

    def _scan(self) -> Answer:
        lines = []
        for one in self._gsm.all():
            c, (mcc, mnc) = one.cell, _mnc(one.cell)
            lines.append(
                f'Operator:"{c.plmn}",MCC:{mcc},MNC:{mnc},Rxlev:{one.level + 110},'
                f"Cellid:{c.cell_id:04X},Arfcn:{c.channel},Lac:{c.lac_tac:04X},"
                f"Bsic:{c.physical_id:02X}"
            )
        return (*lines, "OK")


class Sim7600Peer(PeerScript):
    """A SIM7600: +CPSI on LTE, tenths of a dB."""

    maker, model, revision = "SIMCOM INCORPORATED", "SIMCOM_SIM7600CE-T", "LE11B12SIM7600CE-A"

    def table(self) -> dict[str, Callable[[], Answer]]:
        """See PeerScript."""
        return {"AT+CPSI?": self._cpsi}

    def _cpsi(self) -> Answer:
        one = self._lte.serving()
        if one is None:
            return ("+CPSI: NO SERVICE,Online", "OK")
        c = one.cell
        return (
            f"+CPSI: LTE,Online,{c.plmn},0x{c.lac_tac:X},{c.cell_id},{c.physical_id},EUTRAN-BAND39,"
            f"{c.channel},5,5,-95,{one.level * 10},{one.level * 10 + 270},14",
            "OK",
        )


class TelitPeer(PeerScript):
    """A GE/HE910 class modem: #MONI=7 and #CSURVC with the reselection values."""

    maker, model, revision = "Telit", "HE910", "12.00.004"
    durations_s = {"AT#CSURVC": 20.0}  # noqa: RUF012

    def table(self) -> dict[str, Callable[[], Answer]]:
        """See PeerScript."""
        return {
            "AT#CSURVF=0": lambda: ("OK",),
            "AT#CSURVEXT=2": lambda: ("OK",),
            "AT#MONI=7": lambda: ("OK",),
            "AT#MONI": self._moni,
            "AT#CSURVC": self._survey,
        }

    def _moni(self) -> Answer:
        lines = ["#MONI: Cell BSIC LAC CellId ARFCN Power C1 C2 TA RxQual PLMN"]
        one = self._gsm.serving()
        cells = [("S", one), *((f"N{i}", n) for i, n in enumerate(self._gsm.neighbours(), 1))]
        for place, cell in cells:
            if cell is None:
                continue
            c = cell.cell
            tail = f" 1 0 {c.plmn}" if place == "S" else ""
            lines.append(
                f"#MONI: {place} {c.physical_id:02o} {c.lac_tac:04X} {c.cell_id:04X} {c.channel} "
                f"{cell.level}dbm {cell.c1} {cell.c2}{tail}"
            )
        return (*lines, "OK")

    def _survey(self) -> Answer:
        lines = ["Network survey started ..."]
        for one in self._gsm.all():
            c, (mcc, mnc) = one.cell, _mnc(one.cell)
            listed = c.neighbours or ()
            channels = "," + " ".join(map(str, listed)) if listed else ""
            status = "CELL_BARRED" if c.is_barred else "CELL_SUITABLE"
            lines.append(
                f"{c.channel},{c.physical_id},{one.level},0.00,{mcc},{mnc},{c.lac_tac},{c.cell_id},"
                f"{status},1,{c.channel},{len(listed)}{channels},0,5,{c.rxlev_access_min},"
                f"{c.cro_db // 2},{c.penalty_time},{c.t3212_decihours},2"
            )
        return (*lines, "Network survey ended", "OK")


class UbloxPeer(PeerScript):
    """A SARA-G3/LEON class modem."""

    maker, model, revision = "u-blox", "SARA-G350", "08.58"
    durations_s = {"AT+COPS=5": 20.0}  # noqa: RUF012

    def table(self) -> dict[str, Callable[[], Answer]]:
        """See PeerScript."""
        return {"AT+CGED=5": self._cged, "AT+COPS=5": self._scan}

    def _cged(self) -> Answer:
        one = self._gsm.serving()
        if one is None:
            return ("ERROR",)
        lines = ["+CGED: " + self._words(one)]
        return (*lines, *(self._words(near) for near in self._gsm.neighbours()), "OK")

    def _scan(self) -> Answer:
        return (*(self._words(one) for one in self._gsm.all()), "OK")

    @staticmethod
    def _words(one: CellHeard) -> str:
        c, (mcc, mnc) = one.cell, _mnc(one.cell)
        return (
            f"MCC:{mcc}, MNC:{mnc}, LAC:{c.lac_tac:04x}, CI:{c.cell_id:04x}, "
            f"BSIC:{c.physical_id:02x}, Arfcn:{c.channel:05d}, RxLev:{one.level + 110:03x}"
        )


PEERS: dict[str, Callable[[RadioScene], PeerScript]] = {
    "quectel": QuectelPeer,
    "quectel_lte": lambda scene: QuectelPeer(scene, Rat.LTE),
    "simcom_sim800": Sim800Peer,
    "simcom_sim7600": Sim7600Peer,
    "telit": TelitPeer,
    "ublox": UbloxPeer,
}
"""Simulated modems by name; the part before ``_`` is the family of the dialect."""
