# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the rows of `metrics.csv` to `summary.csv`, `summary.md` and `summary.tex`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from custom.evaluation.modality import Modality
from custom.evaluation.scoring import NOT_AVAILABLE, Metric
from custom.files import atomic
from custom.metrics.statistics import bootstrap_interval, paired_difference
from custom.report.table_1 import Line, pair, row_name, show_rfid, table_1

SINGLE_PATIENT = "single patient"
FIRST_MEASURE = 3


def by_patient(rows: Iterable[Mapping[str, str]], key: str) -> dict[str, list[float]]:
    """Patient -> the values of one column, in row order."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[row["patient"]].append(float(row[key]))
    return dict(values)


def summarise(rows: Sequence[Mapping[str, str]], baseline: str, modality: Modality) -> list[Line]:
    """One line per method and factor.

    Args:
        rows: of `metrics.csv`, as text.
        baseline: method whose paired difference with each other method is given; absent methods are no error.
        modality: which metrics, and whose numbers beside them.

    Returns:
        Lines with `method`, `kind`, `inputs`, `samples`, `factor`, `patients`, `images` (unknown frames or slices; each
        phase of a cine counts), `seconds` per frame or slice (a cine slice with all its phases) and, for every metric
        `m`, its mean `m` and interval `m_low`, `m_high`; for PSNR and SSIM also the paired difference with the
        baseline, `m_difference`, `…_low`, `…_high`, `…_p` (Wilcoxon, over patients); what the paper printed, `paper_m`.
        Each is None where there is no such number: intervals with a single patient, a metric without its weights.
    """
    cells: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        cells[row["method"], row["factor"]].append(row)
    lines = []
    for (method, factor), mine in cells.items():
        inputs = sorted({row["inputs"] for row in mine})
        line: Line = {"method": method, "kind": mine[0]["kind"], "inputs": " or ".join(inputs)}
        line |= {"samples": int(mine[0]["samples"]), "factor": int(factor)}
        line |= {"patients": len({row["patient"] for row in mine}), "images": sum(int(r["phases"]) for r in mine)}
        for metric in modality.metrics:
            available = mine[0][metric.key] != NOT_AVAILABLE
            interval = bootstrap_interval(by_patient(mine, metric.key)) if available else (None, None, None)
            line |= dict(zip((metric.key, f"{metric.key}_low", f"{metric.key}_high"), interval, strict=True))
        line["seconds"] = sum(float(row["seconds"]) for row in mine) / len(mine)
        for key in ("psnr", "ssim"):
            names = [f"{key}_difference{end}" for end in ("", "_low", "_high", "_p")]
            theirs = cells.get((baseline, factor), [])
            if theirs and method != baseline:
                difference = paired_difference(by_patient(mine, key), by_patient(theirs, key))
                line |= dict(zip(names, difference, strict=True))
            else:
                line |= dict.fromkeys(names)
        printed = modality.paper.printed(method, int(factor))
        lines.append(line | {f"paper_{key}": value for key, value in printed.items()})
    return lines


def write_summary(lines: list[Line], output_dir: Path, modality: Modality, *, device: str, batch_size: int) -> None:
    """Write `summary.csv` (for machines), `summary.md` (for readers) and `summary.tex` (for papers)."""
    with atomic(output_dir / "summary.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows([_as_text(line, modality) for line in lines])
    with atomic(output_dir / "summary.md") as temporary:
        temporary.write_text(markdown(lines, modality, device=device, batch_size=batch_size), encoding="utf-8")
    with atomic(output_dir / "summary.tex") as temporary:
        temporary.write_text(latex(lines, modality), encoding="utf-8")


def _as_text(line: Line, modality: Modality) -> Line:
    """A line of `summary.csv`: an absent number says why it is absent."""
    text = dict(line)
    for metric in modality.metrics:
        if line[metric.key] is None:
            text |= dict.fromkeys((metric.key, f"{metric.key}_low", f"{metric.key}_high"), NOT_AVAILABLE)
        elif line[f"{metric.key}_low"] is None:
            text |= dict.fromkeys((f"{metric.key}_low", f"{metric.key}_high"), SINGLE_PATIENT)
    if "rfid" in line and line["rfid"] is None:
        text["rfid"] = NOT_AVAILABLE
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in text.items()}


def markdown(lines: list[Line], modality: Modality, *, device: str, batch_size: int) -> str:
    """The whole report: the paper's first table in form, then every measure at every factor."""
    factors = sorted({line["factor"] for line in lines})
    text = [f"# Interpolation of unknown {modality.image}s", "", modality.protocol, ""]
    header, body = table_1(lines, modality)
    if body:
        text += ["## In the form of the paper's first table", "", *markdown_table(header, body)]
    for factor in factors:
        here = [line for line in lines if line["factor"] == factor]
        counts = f"{counted(here, modality)} Seconds: {device}, batches of {batch_size} gaps."
        text += ["", f"## x{factor}", "", counts, ""]
        text += markdown_table(*details_table(here, modality))
    return "\n".join(text) + "\n"


def counted(lines: list[Line], modality: Modality) -> str:
    """How many patients and images the lines of one factor are over, in words."""
    patients, images = lines[0]["patients"], lines[0]["images"]
    counts = f"N = {patients} patients" if patients > 1 else f"N = 1: {SINGLE_PATIENT}, so no intervals"
    return counts + f"; {images} unknown {modality.image}s{', counting phases' * (modality.key == 'cmr_cine')}."


def details_table(lines: list[Line], modality: Modality) -> tuple[list[str], list[list[str]]]:
    """Header and rows with every measure, of the lines of one factor; the measures begin at column `FIRST_MEASURE`."""
    header = ["Method", "Inputs", f"Patients / {modality.image}s", *(metric.label for metric in modality.metrics)]
    header += ["rFID"] * modality.has_rfid + [f"Seconds per {modality.image}"]
    header += ["PSNR over baseline (dB)"]
    header += [f"PSNR / SSIM ({modality.paper.label})"] * (modality.form == "factors")
    return header, [_details(line, modality) for line in lines]


def latex(lines: list[Line], modality: Modality) -> str:
    """The paper's first table in form, as a LaTeX table (needs the booktabs package)."""
    return latex_table(*table_1(lines, modality), modality.protocol)


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


def _details(line: Line, modality: Modality) -> list[str]:
    difference, p = line["psnr_difference"], line["psnr_difference_p"]
    paired = "-"
    if difference is not None:
        paired = f"{difference:+.2f}" + _interval(modality.metric("psnr"), line, "psnr_difference")
        paired += "" if p is None else f", p = {p:.2g}"
    values = [
        NOT_AVAILABLE if line[m.key] is None else m.show(line[m.key]) + _interval(m, line, m.key)
        for m in modality.metrics
    ]
    if modality.has_rfid:
        values.append(show_rfid(line))
    count = f"{line['patients']} / {line['images']}"
    row = [row_name(line["method"], line["kind"]), line["inputs"], count, *values, f"{line['seconds']:.3g}", paired]
    if modality.form == "factors":
        row.append(pair(line, "paper_psnr", "paper_ssim", 1.0))
    return row


def _interval(metric: Metric, line: Line, key: str) -> str:
    low, high = line[f"{key}_low"], line[f"{key}_high"]
    return "" if low is None else f" [{metric.show(low)}, {metric.show(high)}]"
