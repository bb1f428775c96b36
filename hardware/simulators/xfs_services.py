"""What the simulated ATM's services are called, can do, and in which versions they answer."""

from __future__ import annotations

from hardware.atm.xfs4iot import Payload

DISPENSER, READER, PIN_PAD = "SimCashDispenser", "SimCardReader", "SimPinPad"
CAMERA, BIOMETRIC = "SimCamera", "SimBiometric"

COMPLETION_VERSIONS = {
    "Biometric.Match": "3.0",
    "Biometric.Read": "3.0",
    "Camera.TakePicture": "3.0",
    "CardReader.ReadRawData": "3.0",
    "CashDispenser.Dispense": "3.0",
    "CashDispenser.GetPresentStatus": "3.0",
    "Common.Capabilities": "3.0",
    "Common.Status": "3.0",
}
"""Completions whose version differs from 2.0 in the current set."""

_BLOCKS: dict[str, Payload] = {
    DISPENSER: {"cashDispenser": {"type": "selfServiceBill"}},
    PIN_PAD: {"pinPad": {"pinFormats": {"iso4": True, "iso0": True}}},
    READER: {"cardReader": {"type": "motor"}},
    CAMERA: {"camera": {"cameras": {"person": True}, "camData": {"autoAdd": False}}},
    BIOMETRIC: {
        "biometric": {
            "type": {"facialFeatures": True},
            "maxCapture": 1,
            "matchSupported": "storedMatch",
            "persistenceModes": {"persist": False, "clear": True},
        }
    },
}


def capabilities(service: str, has_security_element: bool) -> Payload:
    """Return the payload of Common.Capabilities; empty for the publisher."""
    if service not in _BLOCKS:
        return {}
    common: Payload = {}
    if service == DISPENSER:
        common["endToEndSecurity"] = {
            "required": "always",
            "hardwareSecurityElement": has_security_element,
            "responseSecurityEnabled": "always",
            "commands": ["CashDispenser.Dispense"],
            "commandNonceTimeout": 3600,
        }
    return {"common": common, **_BLOCKS[service]}
