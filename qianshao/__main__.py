"""The command: ``qianshao SUB-COMMAND``; exit 0 success, 1 failed, 2 usage, 3 partly unreadable.

Each sub-command imports what it needs when it runs, so that a van's bare install answers without
the face engine or the web server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

Command = Callable[[argparse.Namespace], int]

EXIT_FAILED = 1
EXIT_USAGE = 2

EXTRA_OF = {
    "cv2": "atm",
    "iso8583": "atm",
    "websockets": "atm",
    "numpy": "atm",
    "babel": "central",
    "fastapi": "central",
    "jinja2": "central",
    "sqlalchemy": "central",
    "starlette": "central",
    "uvicorn": "central",
    "skimage": "demo",
}
"""Package to the extra that brings it, for installations without it."""


def _agent(args: argparse.Namespace) -> int:
    from edge_agent.app import main_agent
    from qianshao.logs import configure_logs

    configure_logs()
    return main_agent(args.config)


def _central(args: argparse.Namespace) -> int:
    from central.app import main_central
    from qianshao.logs import configure_logs

    configure_logs()
    return main_central(args.config)


def _demo(args: argparse.Namespace) -> int:
    from qianshao.demo import main_demo

    return main_demo(args)


def _replay(args: argparse.Namespace) -> int:
    from qianshao.replay import main_replay

    return main_replay(args)


def _verify(args: argparse.Namespace) -> int:
    from qianshao.face import main_verify

    return main_verify(args)


def _atm_simulate(args: argparse.Namespace) -> int:
    from qianshao.atm import main_simulate

    return main_simulate(args)


def _assertion_verify(args: argparse.Namespace) -> int:
    from qianshao.assertion import main_verify

    return main_verify(args)


def _assertion_serve(args: argparse.Namespace) -> int:
    from qianshao.assertion import main_serve

    return main_serve(args)


def _bench(args: argparse.Namespace) -> int:
    from qianshao.bench import main_bench

    return main_bench(args)


def _add_processes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``agent`` and ``central``: the two long-running processes."""
    for name, sentence, run in (
        ("agent", "run an agent: the sensors of a van, or an ATM", _agent),
        ("central", "run the central: broker, ingest, store and the officers' page", _central),
    ):
        parser = commands.add_parser(name, help=sentence, description=sentence)
        parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file")
        parser.set_defaults(run=run)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sentence = "the whole system on this machine, with recordings or simulated devices"
    demo = commands.add_parser("demo", help=sentence, description=sentence)
    demo.add_argument("--seconds", type=float, metavar="N", help="end by itself after N seconds")
    demo.add_argument("--headless", action="store_true", help="do not open a browser")
    demo.add_argument("--json", action="store_true", help="print the summary as JSON")
    demo.add_argument("--folder", type=Path, help="keep the state here (default: a new folder)")
    demo.add_argument("--http-port", type=int, default=0, help="port of the page (default: free)")
    demo.set_defaults(run=_demo)


def _add_rf(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from qianshao.replay import add_arguments

    rf = commands.add_parser("rf", help="radio: replay recordings")
    kinds = rf.add_subparsers(required=True, metavar="WHAT")
    sentence = "run the real parsers and detectors over recordings"
    replay = kinds.add_parser("replay", help=sentence, description=sentence)
    add_arguments(replay)
    replay.set_defaults(run=_replay)


def _add_face(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from qianshao.face import add_verify_arguments

    face = commands.add_parser("face", help="the face factor: compare pictures")
    kinds = face.add_subparsers(required=True, metavar="WHAT")
    sentence = "compare two pictures, one to one; says nothing about liveness"
    verify = kinds.add_parser("verify", help=sentence, description=sentence)
    add_verify_arguments(verify)
    verify.set_defaults(run=_verify)


def _add_atm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from qianshao.atm import add_simulate_arguments

    atm = commands.add_parser("atm", help="the withdrawal: simulate it under every fault")
    kinds = atm.add_subparsers(required=True, metavar="WHAT")
    sentence = "withdrawals through a simulated ATM with faults and power cuts"
    simulate = kinds.add_parser("simulate", help=sentence, description=sentence)
    add_simulate_arguments(simulate)
    simulate.set_defaults(run=_atm_simulate)


def _add_assertion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from qianshao.assertion import add_serve_arguments, add_verify_arguments

    assertion = commands.add_parser("assertion", help="face assertions for a bank's host")
    kinds = assertion.add_subparsers(required=True, metavar="WHAT")
    sentence = "check a face assertion against a request, off line, and spend it"
    verify = kinds.add_parser("verify", help=sentence, description=sentence)
    add_verify_arguments(verify)
    verify.set_defaults(run=_assertion_verify)
    sentence = "an assertion service with a simulated camera, to integrate against"
    serve = kinds.add_parser("serve", help=sentence, description=sentence)
    add_serve_arguments(serve)
    serve.set_defaults(run=_assertion_serve)


def _fleet(args: argparse.Namespace) -> int:
    from qianshao.fleet.simulate import main_simulate

    return main_simulate(args)


def _add_fleet(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from qianshao.fleet.options import add_arguments

    fleet = commands.add_parser("fleet", help="many simulated stations over a real broker")
    kinds = fleet.add_subparsers(required=True, metavar="WHAT")
    sentence = "let stations speak, lose their lines and return, and count what arrived"
    simulate = kinds.add_parser("simulate", help=sentence, description=sentence)
    add_arguments(simulate)
    simulate.set_defaults(run=_fleet)


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sentence = "ratios against named peers, measured side by side in one run"
    bench = commands.add_parser("bench", help=sentence, description=sentence)
    bench.add_argument(
        "what", nargs="?", default="all", choices=["outbox", "envelope", "face", "size", "all"]
    )
    bench.add_argument("--json", action="store_true", help="print the rows as JSON")
    bench.set_defaults(run=_bench)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="qianshao",
        description="Qianshao 前哨: edge agents against telecom fraud, and their central.",
    )
    parser.add_argument("--version", action="version", version=f"qianshao {version('qianshao')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_processes(commands)
    _add_rf(commands)
    _add_face(commands)
    _add_atm(commands)
    _add_assertion(commands)
    _add_fleet(commands)
    _add_bench(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    args = build_parser().parse_args(arguments)
    run: Command = args.run
    try:
        return run(args)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print(
            f"qianshao: this needs {error.name}, which comes with the extra qianshao[{extra}]",
            file=sys.stderr,
        )
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_FAILED
    except BrokenPipeError:  # the reader of stdout (head, less) went away
        sys.stderr.close()
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
