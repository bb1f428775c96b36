"""GNSS receivers: NMEA 0183 sentences and gpsd's JSON to positions with their quality and age."""

from hardware.gnss.gpsd import GpsdReader
from hardware.gnss.nmea import NmeaReader
from hardware.gnss.tracker import FixTracker

__all__ = ["FixTracker", "GpsdReader", "NmeaReader"]
