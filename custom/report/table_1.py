# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The first table of a report, in the form of the paper's own, with its numbers in columns of their own."""

from __future__ import annotations

from collections.abc import Iterable

from custom.evaluation.modality import Modality
from custom.evaluation.scoring import NOT_AVAILABLE
from custom.evaluation.summary import Line
from custom.report.printed import PaperTable

Table = tuple[list[str], list[list[str]]]

_HEADINGS = {"rfid": "rFID", "gen_seconds": "Time per slice, 128 steps (s)"}


def table_1(lines: list[Line], modality: Modality, paper: PaperTable) -> Table:
    """Header and rows; methods that only the paper measured come last, with our columns empty."""
    return _by_factor(lines, paper) if paper.form == "factors" else _by_metric(lines, modality, paper)


def _by_factor(lines: list[Line], paper: PaperTable) -> Table:
    """As CardioInterp's Table 1: PSNR / SSIM per factor."""
    factors = sorted({line["factor"] for line in lines})
    header = ["Method", *(f"×{f} PSNR / SSIM (%)" for f in factors), *(f"×{f} ({paper.label})" for f in factors)]
    cells = {(line["method"], line["factor"]): line for line in lines}
    body = []
    for method, kind in _methods(lines, paper, factors):
        ours = [pair(cells.get((method, factor), {}), "psnr", "ssim", 100.0) for factor in factors]
        theirs = [pair(paper.printed(method, factor), "psnr", "ssim", 1.0) for factor in factors]
        body.append([row_name(method, kind), *ours, *theirs])
    return header, body


def _by_metric(lines: list[Line], modality: Modality, paper: PaperTable, factor: int = 2) -> Table:
    """As CaLID's Table I: a column per measure at factor 2; no rows where factor 2 was not measured."""
    headings = [_HEADINGS.get(key) or modality.metric(key).label for key in paper.keys]
    header = ["Method", *headings, *(f"{heading}, {paper.label}" for heading in headings)]
    here = {line["method"]: line for line in lines if line["factor"] == factor}
    body = []
    for method, kind in _methods(list(here.values()), paper, [factor]) if here else ():
        line = here.get(method)
        ours = ["-"] * len(paper.keys) if line is None else [_ours(line, key, modality) for key in paper.keys]
        theirs = ["-" if value is None else f"{value:.3f}" for value in paper.printed(method, factor).values()]
        body.append([row_name(method, kind), *ours, *theirs])
    return header, body


def _methods(lines: list[Line], paper: PaperTable, factors: Iterable[int]) -> list[tuple[str, str]]:
    """(name, kind) of our methods in our order, then of those that only the paper has at one of the factors."""
    methods = {line["method"]: line["kind"] for line in lines}
    named = {paper.known_as.get(method, method) for method in methods}
    theirs = [name for name, printed in paper.rows.items() if name not in named and printed.keys() & set(factors)]
    return [*methods.items(), *((name, "method") for name in theirs)]


def _ours(line: Line, key: str, modality: Modality) -> str:
    if key == "rfid":
        return show_rfid(line)
    if key == "gen_seconds":
        return "-" if line.get(key) is None else f"{line[key]:.3g}"
    return NOT_AVAILABLE if line[key] is None else modality.metric(key).show(line[key])


def show_rfid(line: Line, key: str = "rfid") -> str:
    """rFID, or another Frechet distance, with its number of images, or that it is not available."""
    if line.get(key) is None:
        return NOT_AVAILABLE
    return f"{line[key]:.2f} (N = {line['rfid_images']})"


def pair(line: Line, psnr: str, ssim: str, scale: float) -> str:
    """PSNR / SSIM of a line, or a dash."""
    return "-" if line.get(psnr) is None else f"{line[psnr]:.2f} / {line[ssim] * scale:.2f}"


def row_name(method: str, kind: str) -> str:
    """A method as the tables name it."""
    return f"{method} (oracle)" if kind == "oracle" else method
