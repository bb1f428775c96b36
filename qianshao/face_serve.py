"""``qianshao face serve-templates``: the bank's template service in small, for trials."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face serve-templates``."""
    parser.add_argument("--store", type=Path, required=True, metavar="FILE", help="template store")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the store's key")
    parser.add_argument("--cert", type=Path, required=True, metavar="PEM", help="own certificate")
    parser.add_argument("--tls-key", type=Path, required=True, metavar="PEM", help="its key")
    parser.add_argument("--ca", type=Path, required=True, metavar="PEM", help="devices' authority")
    parser.add_argument(
        "--devices",
        type=Path,
        required=True,
        metavar="JSON",
        help="name: X25519 key in hex",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: this machine)")
    parser.add_argument("--port", type=int, default=8443, help="port (default: 8443)")


def main_serve(args: argparse.Namespace) -> int:
    """Run the service until it is stopped; 2 for what is not as the command line says."""
    import ssl

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    from atm_face.bank_templates import PATH
    from atm_face.device_key import DeviceKeyError, file_key, require_key_beside
    from atm_face.templates import TemplateError, TemplateStore
    from qianshao.template_service import TemplateService

    try:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(args.ca))
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(args.cert, args.tls_key)
        devices = {
            name: X25519PublicKey.from_public_bytes(bytes.fromhex(key))
            for name, key in json.loads(args.devices.read_text("utf-8")).items()
        }
        require_key_beside(args.store, args.key)
        store = TemplateStore(args.store, file_key(args.key))
        service = TemplateService((args.host, args.port), tls, store, devices)
    except (OSError, ValueError, AttributeError, TypeError, DeviceKeyError, TemplateError) as error:
        print(f"qianshao face serve-templates: {error}", file=sys.stderr)
        return 2
    print(f"https://{args.host}:{service.server_port}{PATH} for {len(devices)} devices", flush=True)
    try:
        service.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        service.server_close()
        store.close()
    return 0
