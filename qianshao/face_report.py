"""The page of an evaluation: DET curve, operating points, groups; one file, nothing loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import NormalDist
from typing import Any

_WIDTH, _HEIGHT, _EDGE = 560, 460, 56
_TICKS = (1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.4)
_LOW, _HIGH = 5e-5, 0.5
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "div{overflow-x:auto}code{overflow-wrap:anywhere}table{border-collapse:collapse}"
    "td,th{border:1px solid #999;padding:.2em .6em;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child,td.none{text-align:left}td.none{white-space:normal}"
    "svg{background:#fff;border:1px solid #999;max-width:100%;height:auto}"
    ".none{color:#a00}@media(prefers-color-scheme:dark){.none{color:#f99}}"
)

LIMITS = (
    "Errors hold for these pictures and nobody else. Photographs of public figures are not"
    " customers at a machine: calibrate on pictures from the machine's own camera."
)


def rate_lines(name: str, one: dict[str, Any]) -> list[str]:
    """One engine's counts and operating points as text."""
    faults = one["failures"]
    lines = [
        f"{name}: EER {_rate(one['eer'])}, {faults['no_face']} of {faults['pictures']} pictures"
        f" without a face, {one['genuine']} comparisons of one person, {one['impostor']} of two"
    ]
    for rate, point in one["fnmr_at_fmr"].items():
        if point["fnmr"] is None:
            lines.append(f"  FMR {rate}: cannot be stated")
            continue
        low, high = (100 * edge for edge in point["ci95"])
        lines.append(
            f"  FMR {rate}: {point['misses']} misses, FNMR {_rate(point['fnmr'])}"
            f" (95 % {low:.2f} to {high:.2f}), threshold {point['threshold']:.4f}"
        )
    return lines


def evaluation_lines(result: dict[str, Any]) -> list[str]:
    """An evaluation as text, for a terminal."""
    lines = rate_lines(result["engine"], result)
    lines.append(_failures(result).strip() + _shipped(result))
    for name, rates in result["groups"].items():
        at = rates["at_default_threshold"]
        lines.append(
            f"  group {name}: {rates['genuine']} of one person, {rates['impostor']} of two;"
            f" as shipped FMR {_rate(at['fmr'])}, FNMR {_rate(at['fnmr'])}"
        )
    if result["worst_group"]:
        lines.append(f"  worst group: {result['worst_group']}")
    if (pad := result.get("pad")) is not None:
        lines.append(f"  worst attack species: {pad['worst_species']} (--json has each)")
    latency = result["latency_ms"]
    if latency["p50"] is not None:
        lines.append(f"  a decision took {latency['p50']:.0f} ms, 99 % under {latency['p99']:.0f}")
    return [*lines, LIMITS]


def det_curve(genuine: Sequence[float], impostors: Sequence[float]) -> list[tuple[float, float]]:
    """(FMR, FNMR) over the thresholds at which both errors occur, at most 400 points."""
    import numpy as np

    same, other = np.sort(np.asarray(genuine)), np.sort(np.asarray(impostors))
    if not len(same) or not len(other):
        return []
    rare_to_all = np.geomspace(1 / len(other), 1, 400)  # as close together as the scale shows
    cuts = np.unique(np.concatenate([same, np.quantile(other, 1 - rare_to_all)]))
    fnmr = np.searchsorted(same, cuts, side="left") / len(same)
    fmr = 1 - np.searchsorted(other, cuts, side="left") / len(other)
    occurred = (fmr > 0) & (fnmr > 0)
    fmr, fnmr = fmr[occurred], fnmr[occurred]
    step = max(1, math.ceil(len(fmr) / 400))
    return [(float(a), float(b)) for a, b in zip(fmr[::step], fnmr[::step], strict=True)]


def page(result: dict[str, Any], curve: Sequence[tuple[float, float]]) -> str:
    """HTML of one evaluation."""
    points = "".join(_point_row(rate, point) for rate, point in result["fnmr_at_fmr"].items())
    groups = "".join(_group_row(name, rates) for name, rates in result["groups"].items())
    worst = result.get("worst_group")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Face evaluation: {escape(result['engine'])}</title><style>{_STYLE}</style>"
        f"<h1>Face evaluation: {escape(result['engine'])}</h1>"
        f"<p>In the terms of ISO/IEC 19795-1. {escape(LIMITS)}</p>"
        f"<p>{result['people']:,} people, {result['genuine']:,} comparisons of one person,"
        f" {result['impostor']:,} of two. Failure to enrol: {_rate(result['failure_to_enrol'])}."
        f"{_failures(result)}{_shipped(result)} Equal error rate: {_rate(result['eer'])}."
        f" Weights SHA-256 <code>{escape(result['model_sha256'])}</code>.</p>"
        "<h2>Operating points</h2><div><table><tr><th>FMR at most<th>threshold<th>FNMR<th>misses"
        f"<th>95 % by person<th>comparisons of two people</tr>{points}</table></div>"
        f"<h2>Detection error trade-off</h2>{_svg(curve, _marks(result))}"
        "<p>FMR: share of the comparisons of two people that match. FNMR: share of those of one"
        " person that do not. Filled: the operating points above; hollow: the engine's own"
        " threshold. The curve ends where no error of a kind is left, or FMR is below"
        f" {100 * _LOW:g} %.</p>"
        + (
            "<h2>Groups</h2><p>FMR of each group at the threshold set over all."
            f" Worst: {escape(str(worst))}.</p><div><table><tr><th>group<th>same<th>different"
            f"<th>FMR at 1e-3<th>FNMR at 1e-3<th>FMR as shipped"
            f"<th>FNMR as shipped</tr>{groups}</table></div>"
            if groups
            else "<p>No group labels were given: whether a group fares worse was not measured.</p>"
        )
        + _pad(result.get("pad"))
        + "</html>\n"
    )


def _failures(result: dict[str, Any]) -> str:
    """Why pictures have no template, and which a machine would have refused."""
    found = result["failures"]
    refused = "".join(
        f"; {count} where a machine would ask: {escape(name.lower().replace('_', ' '))}"
        for name, count in found["would_be_refused"].items()
    )
    end = ", counted as missed" if refused and found["is_refusal_a_miss"] else ""
    return (
        f" Of {found['pictures']} pictures {found['no_face']} show no face and"
        f" {found['unreadable']} cannot be read{refused}{end}."
    )


def _shipped(result: dict[str, Any]) -> str:
    """Errors at the threshold that the engine decides by unless told otherwise."""
    at = result["at_default_threshold"]
    if at["fmr"] is None:
        return ""
    return (
        f" At the engine's own threshold of {at['threshold']:.3f}: FMR {100 * at['fmr']:.4f} %,"
        f" FNMR {_rate(at['fnmr'])}."
    )


def _pad(pad: dict[str, Any] | None) -> str:
    if pad is None:
        return "<p>Presentation attacks were not tried: nothing is said about them.</p>"
    shares = {**pad["apcer"], **({"bona fide (BPCER)": pad["bpcer"]} if pad["bpcer"] else {})}
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{share['errors']} of {share['presentations']}"
        f"<td>{_rate(share['rate'])}<td>{_rate(share['ci95'][0])} to {_rate(share['ci95'][1])}"
        f"<td>{share['unanswered']}</tr>"
        for name, share in shares.items()
    )
    return (
        "<h2>Presentation attacks (ISO/IEC 30107-3)</h2>"
        f"<p>Worst species: {escape(str(pad['worst_species']))}. No mean is made.</p><div><table>"
        f"<tr><th>species<th>errors<th>rate<th>95 %<th>without an answer</tr>{rows}</table></div>"
    )


def _point_row(rate: str, point: dict[str, Any]) -> str:
    count = f"{point['impostor_comparisons']:,}"
    rate_text = f"{rate} ({100 * float(rate):g} %)"
    if point["fnmr"] is None:
        need = math.ceil(3 / float(rate))
        return (
            f"<tr><td>{rate_text}<td colspan=4 class=none>cannot be stated: needs {need:,}"
            " comparisons of different people (rule of three) and pairs of one person"
            f"<td>{count}</tr>"
        )
    low, high = point["ci95"]
    return (
        f"<tr><td>{rate_text}<td>{point['threshold']:.4f}<td>{_rate(point['fnmr'])}"
        f"<td>{point['misses']}<td>{_rate(low)} to {_rate(high)}<td>{count}</tr>"
    )


def _group_row(name: str, rates: dict[str, Any]) -> str:
    at, shipped = rates["at_overall_threshold"], rates["at_default_threshold"]
    return (
        f"<tr><td>{escape(name)}<td>{rates['genuine']}<td>{rates['impostor']}"
        f"<td>{_rate(at['fmr'])}<td>{_rate(at['fnmr'])}"
        f"<td>{_rate(shipped['fmr'])}<td>{_rate(shipped['fnmr'])}</tr>"
    )


def _rate(value: float | None) -> str:
    return "cannot be stated" if value is None else f"{100 * value:.2f} %"


def _marks(result: dict[str, Any]) -> list[tuple[float, float, bool]]:
    """(FMR, FNMR, whether of the engine's own threshold) of what the page says in words."""
    stated = [
        (float(rate), point["fnmr"], False)
        for rate, point in result["fnmr_at_fmr"].items()
        if point["fnmr"] is not None
    ]
    own = result["at_default_threshold"]
    known = own["fmr"] is not None and own["fnmr"] is not None
    return [*stated, (own["fmr"], own["fnmr"], True)] if known else stated


def _svg(
    curve: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float, bool]] = ()
) -> str:
    """Both axes on the scale of a normal distribution, as ISO/IEC 19795-1 asks for."""
    lines = []
    for tick in _TICKS:
        x, y = _place(tick, tick)
        label = f"{100 * tick:g} %"
        lines.append(
            f'<path d="M{x:.1f} {_EDGE / 2}V{_HEIGHT - _EDGE}M{_EDGE} {y:.1f}H{_WIDTH - _EDGE / 2}"'
            ' stroke="#ddd"/>'
            f'<text x="{x:.1f}" y="{_HEIGHT - _EDGE + 16}" font-size="11" text-anchor="middle">'
            f"{label}</text>"
            f'<text x="{_EDGE - 6}" y="{y + 4:.1f}" font-size="11" text-anchor="end">{label}</text>'
        )
    path = " ".join(
        f"{'M' if n == 0 else 'L'}{x:.1f} {y:.1f}"
        for n, (x, y) in enumerate(_place(*point) for point in curve if _is_on(*point))
    )
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if is_own else 4}" stroke="#06c"'
        f' stroke-width="2" fill="{"none" if is_own else "#06c"}"/>'
        for (x, y), is_own in (
            (_place(fmr, fnmr), is_own) for fmr, fnmr, is_own in marks if _is_on(fmr, fnmr)
        )
    )
    middle = (_WIDTH + _EDGE) / 2
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="DET curve">'
        f'{"".join(lines)}<path d="{path}" fill="none" stroke="#06c" stroke-width="2"/>{dots}'
        f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle" font-size="13">FMR</text>'
        f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" font-size="13"'
        f' transform="rotate(-90 14 {_HEIGHT / 2})">FNMR</text></svg>'
    )


def _is_on(fmr: float, fnmr: float) -> bool:
    """Whether a point lies on the paper: an error that did not occur has no place on the scale."""
    return fmr >= _LOW and fnmr >= _LOW


def _place(fmr: float, fnmr: float) -> tuple[float, float]:
    low, high = _probit(_LOW), _probit(_HIGH)
    across, down = ((_probit(rate) - low) / (high - low) for rate in (fmr, fnmr))
    x = _EDGE + across * (_WIDTH - 1.5 * _EDGE)
    return x, _HEIGHT - _EDGE - down * (_HEIGHT - 1.5 * _EDGE)


def _probit(rate: float) -> float:
    return NormalDist().inv_cdf(min(_HIGH, max(_LOW, rate)))
