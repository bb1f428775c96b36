"""Member units: what they send, with a receipt each; numbers to block; people to be warned."""

from central.units.feeds import FeedDesk, Receipt, Unit
from central.units.numbers import NumberDesk
from central.units.outreach import OutreachDesk

__all__ = ["FeedDesk", "NumberDesk", "OutreachDesk", "Receipt", "Unit"]
