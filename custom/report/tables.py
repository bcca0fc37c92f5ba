# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The lines of a summary as `summary.csv`, `summary.md` and `summary.tex`, a paper's numbers beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from custom.evaluation.modality import Modality
from custom.evaluation.rfid import FRECHET
from custom.evaluation.scoring import NOT_AVAILABLE, Metric
from custom.evaluation.summary import Line
from custom.files import atomic
from custom.metrics.statistics import MIN_PATIENTS_FOR_TEST
from custom.report.printed import PaperTable
from custom.report.table_1 import pair, row_name, show_rfid, table_1

SINGLE_PATIENT = "single patient"
FIRST_MEASURE = 3


def write_summary(
    lines: list[Line], output_dir: Path, modality: Modality, paper: PaperTable, *, device: str, batch_size: int
) -> None:
    """Write `summary.csv` (for machines), `summary.md` (for readers) and `summary.tex` (for papers)."""
    lines = [line | _printed(line, paper) for line in lines]
    with atomic(output_dir / "summary.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows([_as_text(line, modality) for line in lines])
    with atomic(output_dir / "summary.md") as temporary:
        temporary.write_text(markdown(lines, modality, paper, device=device, batch_size=batch_size), encoding="utf-8")
    with atomic(output_dir / "summary.tex") as temporary:
        temporary.write_text(latex(lines, modality, paper), encoding="utf-8")


def _printed(line: Line, paper: PaperTable) -> Line:
    """What the paper printed of a line's method, by key with `paper_` before it."""
    return {f"paper_{key}": value for key, value in paper.printed(line["method"], line["factor"]).items()}


def _as_text(line: Line, modality: Modality) -> Line:
    """A line of `summary.csv`: an absent number says why it is absent."""
    text = dict(line)
    for metric in modality.metrics:
        if line[metric.key] is None:
            text |= dict.fromkeys((metric.key, f"{metric.key}_low", f"{metric.key}_high"), NOT_AVAILABLE)
        elif line[f"{metric.key}_low"] is None:
            text |= dict.fromkeys((f"{metric.key}_low", f"{metric.key}_high"), SINGLE_PATIENT)
    text |= {key: NOT_AVAILABLE for key in FRECHET if key in line and line[key] is None}
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in text.items()}


def markdown(lines: list[Line], modality: Modality, paper: PaperTable, *, device: str, batch_size: int) -> str:
    """The whole report: the paper's first table in form, then every measure at every factor."""
    factors = sorted({line["factor"] for line in lines})
    text = [f"# Interpolation of unknown {modality.image}s", "", modality.protocol + paper.note, ""]
    header, body = table_1(lines, modality, paper)
    if body:
        text += ["## In the form of the paper's first table", "", *markdown_table(header, body)]
    for factor in factors:
        here = [line for line in lines if line["factor"] == factor]
        counts = f"{counted(here, modality)} Seconds: {device}, batches of {batch_size} gaps."
        text += ["", f"## x{factor}", "", counts, ""]
        text += markdown_table(*details_table(here, modality, paper))
    return "\n".join(text) + "\n"


def counted(lines: list[Line], modality: Modality) -> str:
    """How many patients and images the lines of one factor are over, in words."""
    patients, images = lines[0]["patients"], lines[0]["images"]
    counts = f"N = {patients} patients" if patients > 1 else f"N = 1: {SINGLE_PATIENT}, so no intervals"
    if 1 < patients < MIN_PATIENTS_FOR_TEST:
        counts += f" (no test: it takes {MIN_PATIENTS_FOR_TEST})"
    return counts + f"; {images} unknown {modality.image}s{', counting phases' * (modality.key == 'cmr_cine')}."


def details_table(lines: list[Line], modality: Modality, paper: PaperTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows with every measure, of the lines of one factor; the measures begin at column `FIRST_MEASURE`."""
    header = ["Method", "Inputs", f"Patients / {modality.image}s", *(metric.label for metric in modality.metrics)]
    header += [*FRECHET.values()] * modality.has_rfid + [f"Seconds per {modality.image}"]
    header += ["PSNR over baseline (dB)"]
    header += [f"PSNR / SSIM ({paper.label})"] * (paper.form == "factors")
    return header, [_details(line, modality, paper) for line in lines]


def latex(lines: list[Line], modality: Modality, paper: PaperTable) -> str:
    """The paper's first table in form, as a LaTeX table (needs the booktabs package)."""
    return latex_table(*table_1(lines, modality, paper), modality.protocol + paper.note)


def latex_table(header: Sequence[str], body: Iterable[Sequence[str]], caption: str) -> str:
    """A LaTeX table (needs the booktabs package); the first column is text."""
    columns = "l" + "c" * (len(header) - 1)
    rows = [_latex(" & ".join(row)) + r" \\" for row in (header, *body)]
    caption = caption.replace("%", r"\%")
    text = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    return "\n".join([*text, rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _latex(text: str) -> str:
    for symbol, macro in (("%", r"\%"), ("×", r"$\times$"), ("↑", r"$\uparrow$"), ("↓", r"$\downarrow$")):
        text = text.replace(symbol, macro)
    return text


def markdown_table(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *body)]


def _details(line: Line, modality: Modality, paper: PaperTable) -> list[str]:
    difference, p = line["psnr_difference"], line["psnr_difference_p"]
    paired = "-"
    if difference is not None:
        paired = f"{difference:+.2f}" + _interval(modality.metric("psnr"), line, "psnr_difference")
        paired += ", no test" if p is None else f", p = {p:.2g}"
    values = [
        NOT_AVAILABLE if line[m.key] is None else m.show(line[m.key]) + _interval(m, line, m.key)
        for m in modality.metrics
    ]
    if modality.has_rfid:
        values += [show_rfid(line, key) for key in FRECHET]
    count = f"{line['patients']} / {line['images']}"
    row = [row_name(line["method"], line["kind"]), line["inputs"], count, *values, f"{line['seconds']:.3g}", paired]
    if paper.form == "factors":
        row.append(pair(_printed(line, paper), "paper_psnr", "paper_ssim", 1.0))
    return row


def _interval(metric: Metric, line: Line, key: str) -> str:
    low, high = line[f"{key}_low"], line[f"{key}_high"]
    return "" if low is None else f" [{metric.show(low)}, {metric.show(high)}]"
