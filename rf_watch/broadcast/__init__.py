"""Illegal FM broadcasts and interference with the aviation band: spectrum readings -> detections.

Pure, like all of rf_watch. Sweeps need numpy (extra ``qianshao[rf]``), imported with the first one.
"""

from rf_watch.broadcast.licences import Licence, LicenceList, read_licences
from rf_watch.broadcast.settings import BROADCAST_SETTINGS, BroadcastSettings
from rf_watch.broadcast.watch import BroadcastWatch

__all__ = [
    "BROADCAST_SETTINGS",
    "BroadcastSettings",
    "BroadcastWatch",
    "Licence",
    "LicenceList",
    "read_licences",
]
