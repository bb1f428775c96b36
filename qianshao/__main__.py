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
from typing import TypeAlias

Command = Callable[[argparse.Namespace], int]
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_FAILED = 1
EXIT_USAGE = 2

EXTRA_OF = {
    "cv2": "atm",
    "numpy": "rf",
    "dlib": "dlib",
    "onnxruntime": "atm",
    "iso8583": "atm",
    "websockets": "atm",
    "babel": "central",
    "argon2": "central",
    "fastapi": "central",
    "segno": "central",
    "jinja2": "central",
    "sqlalchemy": "central",
    "starlette": "central",
    "uvicorn": "central",
    "skimage": "demo",
    "sklearn": "learn",
}
"""Package to the extra that brings it, for installations without it."""


def _agent(args: argparse.Namespace) -> int:
    if args.config is None:
        print("qianshao agent: --config FILE is needed", file=sys.stderr)
        return EXIT_USAGE
    from edge_agent.app import main_agent
    from qianshao.logs import configure_logs

    configure_logs()
    return main_agent(args.config)


def _central(args: argparse.Namespace) -> int:
    if args.config is None:
        print("qianshao central: --config FILE is needed", file=sys.stderr)
        return EXIT_USAGE
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


def _learn(args: argparse.Namespace) -> int:
    from qianshao.rf_learn import main_learn

    return main_learn(args)


def _campaign(args: argparse.Namespace) -> int:
    from qianshao.rf_campaign import main_campaign

    return main_campaign(args)


def _month(args: argparse.Namespace) -> int:
    from qianshao.rf_month import main_month

    return main_month(args)


def _sign_baseline(args: argparse.Namespace) -> int:
    from qianshao.rf_sign import main_sign

    return main_sign(args)


def _learn_sms(args: argparse.Namespace) -> int:
    from qianshao.rf_learn_sms import main_learn_sms

    return main_learn_sms(args)


def _band_view(args: argparse.Namespace) -> int:
    from qianshao.band_view import main_watch
    from qianshao.logs import configure_logs

    configure_logs()
    return main_watch(args)


def _scan(args: argparse.Namespace) -> int:
    from qianshao.logs import configure_logs
    from qianshao.scan import main_scan

    configure_logs(least="error")  # what happens is on the screen
    return main_scan(args)


def _devices(args: argparse.Namespace) -> int:
    from qianshao.devices import main_devices

    return main_devices(args)


def _verify(args: argparse.Namespace) -> int:
    from qianshao.face import main_verify

    return main_verify(args)


def _atm_open(args: argparse.Namespace) -> int:
    from qianshao.atm import main_open

    return main_open(args)


def _atm_simulate(args: argparse.Namespace) -> int:
    from qianshao.atm import main_simulate

    return main_simulate(args)


def _evaluate(args: argparse.Namespace) -> int:
    from qianshao.face_evaluate import main_evaluate

    return main_evaluate(args)


def _compare_faces(args: argparse.Namespace) -> int:
    from qianshao.face_compare import main_compare

    return main_compare(args)


def _extras(args: argparse.Namespace) -> int:
    from qianshao.face_extras import main_extras

    return main_extras(args)


def _enrol_faces(args: argparse.Namespace) -> int:
    from qianshao.face_enrol import main_enrol

    return main_enrol(args)


def _enrol_face(args: argparse.Namespace) -> int:
    from qianshao.face_enrol_camera import main_enrol_camera

    return main_enrol_camera(args)


def _templates(args: argparse.Namespace) -> int:
    from qianshao.face_templates import main_templates

    return main_templates(args)


def _serve_templates(args: argparse.Namespace) -> int:
    from qianshao.face_serve import main_serve

    return main_serve(args)


def _camera(args: argparse.Namespace) -> int:
    from qianshao.face_camera import main_camera

    return main_camera(args)


def _calibrate(args: argparse.Namespace) -> int:
    from qianshao.face_evaluate import main_calibrate

    return main_calibrate(args)


def _assertion_verify(args: argparse.Namespace) -> int:
    from qianshao.assertion import main_verify

    return main_verify(args)


def _assertion_serve(args: argparse.Namespace) -> int:
    from qianshao.assertion import main_serve

    return main_serve(args)


def _bench(args: argparse.Namespace) -> int:
    from qianshao.bench import main_bench

    return main_bench(args)


def _add_processes(commands: _Commands) -> None:
    """``agent`` and ``central``: the two long-running processes."""
    for name, sentence, run in (
        ("agent", "run an agent: the sensors of a van, or an ATM", _agent),
        ("central", "run the central: broker, ingest, store and the officers' page", _central),
    ):
        parser = commands.add_parser(name, help=sentence, description=sentence)
        parser.set_defaults(run=run)
        parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
        if name == "central":
            from qianshao.central_admin import add_commands as add_central_commands

            add_central_commands(parser)
        else:
            from qianshao.agent_backup import add_commands as add_agent_commands

            add_agent_commands(parser)


def _add_demo(commands: _Commands) -> None:
    sentence = "the whole system on this machine, with recordings or simulated devices"
    demo = commands.add_parser("demo", help=sentence, description=sentence)
    demo.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="end by itself N seconds after all parts were started",
    )
    demo.add_argument("--headless", action="store_true", help="do not open a browser")
    demo.add_argument("--json", action="store_true", help="print the summary as JSON")
    demo.add_argument("--folder", type=Path, help="keep the state here (default: a new folder)")
    demo.add_argument("--http-port", type=int, default=0, help="port of the page (default: free)")
    demo.set_defaults(run=_demo)


def _add_rf(commands: _Commands) -> None:
    from qianshao.replay import add_arguments

    rf = commands.add_parser("rf", help="radio: replay recordings, watch live, learn baselines")
    kinds = rf.add_subparsers(required=True, metavar="WHAT")
    sentence = "run the real parsers and detectors over recordings"
    replay = kinds.add_parser("replay", help=sentence, description=sentence)
    add_arguments(replay)
    replay.set_defaults(run=_replay)
    _add_rf_live(kinds)
    _add_rf_learn(kinds)


def _add_rf_live(kinds: _Commands) -> None:
    from qianshao.band_view import add_watch_arguments
    from qianshao.scan import add_arguments as add_scan_arguments

    sentence = "one spectrum device live: spectrum, carriers, news, suspicions"
    watch = kinds.add_parser("watch", help=sentence, description=sentence)
    add_watch_arguments(watch)
    watch.set_defaults(run=_band_view)
    sentence = "watch one sniffer live: what it is, its readings, detections"
    scan = kinds.add_parser("scan", help=sentence, description=sentence)
    add_scan_arguments(scan)
    scan.set_defaults(run=_scan)


def _add_rf_learn(kinds: _Commands) -> None:
    from qianshao import rf_campaign, rf_learn, rf_learn_sms, rf_month, rf_sign

    sentence = "learn what genuine cells look like here, from recordings or a live drive"
    learn = kinds.add_parser("learn", help=sentence, description=sentence)
    rf_learn.add_arguments(learn)
    learn.set_defaults(run=_learn)
    sentence = "put the central's signature on a baseline, so that its agents take it"
    sign = kinds.add_parser("sign-baseline", help=sentence, description=sentence)
    rf_sign.add_arguments(sign)
    sign.set_defaults(run=_sign_baseline)
    sentence = "learn what short messages are about from a folder of labelled ones"
    learn_sms = kinds.add_parser("learn-sms", help=sentence, description=sentence)
    rf_learn_sms.add_arguments(learn_sms)
    learn_sms.set_defaults(run=_learn_sms)
    sentence = "false alarms in a simulated city, and time to find a passing blaster"
    campaign = kinds.add_parser("campaign", help=sentence, description=sentence)
    rf_campaign.add_arguments(campaign)
    campaign.set_defaults(run=_campaign)
    sentence = "the regulator's monthly figures, as CSV, from detections of rf replay --json"
    month = kinds.add_parser("month", help=sentence, description=sentence)
    rf_month.add_arguments(month)
    month.set_defaults(run=_month)


def _add_devices(commands: _Commands) -> None:
    from qianshao.devices import add_arguments

    sentence = "list what is plugged in and what would be done with it; opens nothing"
    devices = commands.add_parser("devices", help=sentence, description=sentence)
    add_arguments(devices)
    devices.set_defaults(run=_devices)


def _add_face(commands: _Commands) -> None:
    from qianshao.face import add_verify_arguments
    from qianshao.face_compare import add_compare_arguments
    from qianshao.face_evaluate import add_calibrate_arguments, add_evaluate_arguments
    from qianshao.face_extras import add_extras_arguments

    face = commands.add_parser("face", help="the face factor: compare pictures")
    kinds = face.add_subparsers(required=True, metavar="WHAT")
    sentence = "compare two pictures, one to one; says nothing about liveness"
    verify = kinds.add_parser("verify", help=sentence, description=sentence)
    add_verify_arguments(verify)
    verify.set_defaults(run=_verify)
    sentence = "error rates with intervals, and latency, on a labelled list of pairs"
    evaluate = kinds.add_parser("evaluate", help=sentence, description=sentence)
    add_evaluate_arguments(evaluate)
    evaluate.set_defaults(run=_evaluate)
    sentence = "thresholds for false match rates, with the number of comparisons behind each"
    calibrate = kinds.add_parser("calibrate", help=sentence, description=sentence)
    add_calibrate_arguments(calibrate)
    calibrate.set_defaults(run=_calibrate)
    sentence = "this engine beside OpenCV's own and face_recognition on the same pairs"
    compare = kinds.add_parser("compare", help=sentence, description=sentence)
    add_compare_arguments(compare)
    compare.set_defaults(run=_compare_faces)
    sentence = "what several frames and a cohort gain on a set"
    extras = kinds.add_parser("extras", help=sentence, description=sentence)
    add_extras_arguments(extras)
    extras.set_defaults(run=_extras)
    _add_face_store(kinds)


def _add_face_store(kinds: _Commands) -> None:
    """What makes and keeps references."""
    from qianshao.face_camera import add_camera_arguments
    from qianshao.face_enrol import add_enrol_arguments
    from qianshao.face_enrol_camera import add_enrol_camera_arguments
    from qianshao.face_serve import add_serve_arguments
    from qianshao.face_templates import add_templates_arguments

    sentence = "reference templates in bulk from portraits that the bank holds"
    enrol = kinds.add_parser("enrol", help=sentence, description=sentence)
    add_enrol_arguments(enrol)
    enrol.set_defaults(run=_enrol_faces)
    sentence = "one person's reference at the branch, from a camera"
    person = kinds.add_parser("enrol-camera", help=sentence, description=sentence)
    add_enrol_camera_arguments(person)
    person.set_defaults(run=_enrol_face)
    sentence = "what a template store holds, and the withdrawal of a consent"
    templates = kinds.add_parser("templates", help=sentence, description=sentence)
    add_templates_arguments(templates)
    templates.set_defaults(run=_templates)
    sentence = "what the engine sees at a camera, live: box, quality, score, prompt"
    camera = kinds.add_parser("camera", help=sentence, description=sentence)
    add_camera_arguments(camera)
    camera.set_defaults(run=_camera)
    sentence = "a small reference of the bank's template service, mutual TLS"
    serve = kinds.add_parser("serve-templates", help=sentence, description=sentence)
    add_serve_arguments(serve)
    serve.set_defaults(run=_serve_templates)


def _add_atm(commands: _Commands) -> None:
    from qianshao.atm import add_open_arguments, add_simulate_arguments

    atm = commands.add_parser("atm", help="the withdrawal: simulate it under every fault")
    kinds = atm.add_subparsers(required=True, metavar="WHAT")
    sentence = "withdrawals through a simulated ATM with faults and power cuts"
    simulate = kinds.add_parser("simulate", help=sentence, description=sentence)
    add_simulate_arguments(simulate)
    simulate.set_defaults(run=_atm_simulate)
    sentence = "put a machine that an alarm closed back into service, in a person's name"
    opens = kinds.add_parser("open", help=sentence, description=sentence)
    add_open_arguments(opens)
    opens.set_defaults(run=_atm_open)


def _add_assertion(commands: _Commands) -> None:
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


def _add_fleet(commands: _Commands) -> None:
    from qianshao.fleet.options import add_arguments

    fleet = commands.add_parser("fleet", help="many simulated stations over a real broker")
    kinds = fleet.add_subparsers(required=True, metavar="WHAT")
    sentence = "let stations speak, lose their lines and return, and count what arrived"
    simulate = kinds.add_parser("simulate", help=sentence, description=sentence)
    add_arguments(simulate)
    simulate.set_defaults(run=_fleet)


def _add_identities(commands: _Commands) -> None:
    from qianshao.identities import add_ca_commands, add_device_commands

    ca = commands.add_parser("ca", help="the central's certificate authority")
    add_ca_commands(ca.add_subparsers(required=True, metavar="WHAT"))
    device = commands.add_parser("device", help="identities of devices")
    add_device_commands(device.add_subparsers(required=True, metavar="WHAT"))


def _add_order(commands: _Commands) -> None:
    from qianshao.order_sign import add_order_commands

    order = commands.add_parser("order", help="an officer's key, and signing orders with it")
    add_order_commands(order.add_subparsers(required=True, metavar="WHAT"))


def _add_outbox(commands: _Commands) -> None:
    from qianshao.outbox_desk import add_outbox_commands

    outbox = commands.add_parser("outbox", help="what a device still has to say")
    add_outbox_commands(outbox.add_subparsers(required=True, metavar="WHAT"))


def _add_feed(commands: _Commands) -> None:
    from qianshao.feed_send import add_feed_commands

    feed = commands.add_parser("feed", help="what a member unit sends to the centre")
    add_feed_commands(feed.add_subparsers(required=True, metavar="WHAT"))


def _add_report(commands: _Commands) -> None:
    from qianshao.report import add_report_commands

    report = commands.add_parser("report", help="daily and monthly figures, and their audit")
    add_report_commands(report.add_subparsers(required=True, metavar="WHAT"))


def _doctor(args: argparse.Namespace) -> int:
    from qianshao.doctor import main_doctor

    return main_doctor(args)


def _add_doctor(commands: _Commands) -> None:
    sentence = "what is wrong with this installation, in plain words; disturbs nothing that runs"
    doctor = commands.add_parser("doctor", help=sentence, description=sentence)
    doctor.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="TOML of an agent or a central"
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_doctor)


def _add_bench(commands: _Commands) -> None:
    sentence = "ratios against named peers, measured side by side in one run"
    bench = commands.add_parser("bench", help=sentence, description=sentence)
    bench.add_argument(
        "what",
        nargs="?",
        default="all",
        choices=[
            *("outbox", "ingest", "envelope", "face", "rf", "spectrum", "board", "size"),
            *("central", "stream", "intake", "orders", "lists", "atm", "all"),
        ],
    )
    bench.add_argument("--json", action="store_true", help="print the rows as JSON")
    bench.add_argument(
        "--store",
        default="sqlite",
        metavar="WHERE",
        help="of central: sqlite, postgresql (starts a server of its own from the binaries that are"
        " installed), or the postgresql:// URL of an empty database",
    )
    bench.set_defaults(run=_bench)


_ADDERS: dict[tuple[str, ...], Callable[[_Commands], None]] = {
    ("demo",): _add_demo,
    ("agent", "central"): _add_processes,
    ("rf",): _add_rf,
    ("devices",): _add_devices,
    ("face",): _add_face,
    ("ca", "device"): _add_identities,
    ("doctor",): _add_doctor,
    ("order",): _add_order,
    ("outbox",): _add_outbox,
    ("feed",): _add_feed,
    ("report",): _add_report,
    ("fleet",): _add_fleet,
    ("atm",): _add_atm,
    ("assertion",): _add_assertion,
    ("bench",): _add_bench,
}
"""Who declares which commands, in the order of the help."""


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line, or of one command where it is known.

    To declare all of them imports most of the product; somebody who asks for one does not wait.
    """
    parser = argparse.ArgumentParser(
        prog="qianshao",
        description="Qianshao 前哨: edge agents against telecom fraud, and their central.",
    )
    parser.add_argument("--version", action="version", version=f"qianshao {version('qianshao')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    needed = [add for names, add in _ADDERS.items() if wanted in names] or _ADDERS.values()
    for add in needed:
        add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        args = build_parser(words[0] if words else None).parse_args(words)
        run: Command = args.run
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
