"""``qianshao rf sign-baseline``: a learned baseline under the central's key, for its agents."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from contract.files import replace_durably
from contract.settings import ConfigError
from rf_watch.baseline import BaselineError, parse_baseline
from rf_watch.signed_baseline import seal_baseline

EXIT_FAILED, EXIT_USAGE = 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("baseline", type=Path, metavar="FILE", help="made by rf learn")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="configuration of the central"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="signed file")


def main_sign(args: argparse.Namespace) -> int:
    """Run the command."""
    return run(args, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Sign where the central's key is; agents name the file under ``[cells] baselines``."""
    from central.config import load_settings
    from central.own_key import central_signer

    try:
        settings = load_settings(args.config)
        baseline = parse_baseline(args.baseline.read_text(encoding="utf-8"))
    except ConfigError as error:
        err.write(f"{error}\n")
        return EXIT_USAGE
    except (BaselineError, UnicodeDecodeError) as error:
        err.write(f"{args.baseline}: {error}\n")
        return EXIT_USAGE
    except OSError as error:
        err.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_USAGE
    key = settings.folder / "evidence.key.pem"
    if not key.exists():  # a key born here would be one that no agent knows
        err.write(f"{key}: no key of a central: run this where the central runs\n")
        return EXIT_USAGE
    sealed = seal_baseline(baseline, tenant=settings.tenant, signer=central_signer(settings))
    try:
        replace_durably(args.out, sealed, 0o644)
    except OSError as error:
        err.write(f"{args.out}: {error.strerror}\n")
        return EXIT_FAILED
    out.write(
        f"baseline of {baseline.region}, version {baseline.version}, sha256 {baseline.sha256}, "
        f"signed for {settings.tenant}: {args.out}\n"
    )
    return 0
