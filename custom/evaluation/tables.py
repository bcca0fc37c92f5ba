# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""From the rows of `metrics.csv` to `summary.csv`, `summary.md` and `summary.tex`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from custom.evaluation.paper import CARDIOINTERP_TABLE_1
from custom.evaluation.records import Replacing
from custom.evaluation.scoring import METRICS, NOT_AVAILABLE, Metric
from custom.metrics.statistics import bootstrap_interval, paired_difference

SINGLE_PATIENT = "single patient"
PAPER = "paper, other data"
PROTOCOL = (
    "Only frames between the given ones are scored. Intensities in [0, 1], data range 1; SSIM 11 x 11 Gaussian, "
    "sigma 1.5. "
    "Brackets: 95 % bootstrap interval over patients. Oracles see the frames they are scored on. "
    f'Columns marked "{PAPER}" are numbers printed in the CardioInterp paper: private data, not comparable with ours.'
)

Line = dict[str, Any]


def by_patient(rows: Iterable[Mapping[str, str]], key: str) -> dict[str, list[float]]:
    """Patient -> the values of one column, in row order."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[row["patient"]].append(float(row[key]))
    return dict(values)


def summarise(rows: Sequence[Mapping[str, str]], baseline: str) -> list[Line]:
    """One line per method and factor.

    Args:
        rows: of `metrics.csv`, as text.
        baseline: method whose paired difference with each other method is given; absent methods are no error.

    Returns:
        Lines with `method`, `kind`, `inputs`, `samples`, `factor`, `patients`, `frames`, `seconds` and, for every
        metric `m`, its mean `m` and interval `m_low`, `m_high`; for PSNR and SSIM also the paired difference with the
        baseline, `m_difference`, `…_low`, `…_high`, `…_p` (Wilcoxon, over patients); `paper_psnr`, `paper_ssim`. Each
        is None where there is no such number: intervals with a single patient, a metric without its weights.
    """
    cells: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        cells[row["method"], row["factor"]].append(row)
    lines = []
    for (method, factor), mine in cells.items():
        inputs = sorted({row["inputs"] for row in mine})
        line: Line = {"method": method, "kind": mine[0]["kind"], "inputs": " or ".join(inputs)}
        line |= {"samples": int(mine[0]["samples"]), "factor": int(factor)}
        line |= {"patients": len({row["patient"] for row in mine}), "frames": len(mine)}
        for metric in METRICS:
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
        psnr, ssim = CARDIOINTERP_TABLE_1.get(method, {}).get(int(factor), (None, None))
        lines.append(line | {"paper_psnr": psnr, "paper_ssim": ssim})
    return lines


def write_summary(lines: list[Line], output_dir: Path, *, device: str, batch_size: int) -> None:
    """Write `summary.csv` (for machines), `summary.md` (for readers) and `summary.tex` (for papers)."""
    with Replacing(output_dir / "summary.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows([_as_text(line) for line in lines])
    with Replacing(output_dir / "summary.md") as temporary:
        temporary.write_text(markdown(lines, device=device, batch_size=batch_size), encoding="utf-8")
    with Replacing(output_dir / "summary.tex") as temporary:
        temporary.write_text(latex(lines), encoding="utf-8")


def _as_text(line: Line) -> Line:
    """A line of `summary.csv`: an absent number says why it is absent."""
    text = dict(line)
    for metric in METRICS:
        if line[metric.key] is None:
            text |= dict.fromkeys((metric.key, f"{metric.key}_low", f"{metric.key}_high"), NOT_AVAILABLE)
        elif line[f"{metric.key}_low"] is None:
            text |= dict.fromkeys((f"{metric.key}_low", f"{metric.key}_high"), SINGLE_PATIENT)
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in text.items()}


def markdown(lines: list[Line], *, device: str, batch_size: int) -> str:
    """The whole report: the paper's Table 1 in form, then every measure at every factor."""
    factors = sorted({line["factor"] for line in lines})
    header, body = table_1(lines)
    text = ["# Interpolation of unknown frames", "", PROTOCOL, "", "## In the form of the paper's Table 1", ""]
    text += markdown_table(header, body)
    for factor in factors:
        here = [line for line in lines if line["factor"] == factor]
        patients = here[0]["patients"]
        counts = f"N = {patients} patients" if patients > 1 else f"N = 1: {SINGLE_PATIENT}, so no intervals"
        counts += f"; {here[0]['frames']} unknown frames."
        text += ["", f"## x{factor}", "", f"{counts} Seconds: {device}, batches of {batch_size} gaps.", ""]
        header = ["Method", "Inputs", *(metric.label for metric in METRICS), "Seconds per frame"]
        header += ["PSNR over baseline (dB)", f"PSNR / SSIM ({PAPER})"]
        text += markdown_table(header, [_details(line) for line in here])
    return "\n".join(text) + "\n"


def latex(lines: list[Line]) -> str:
    """The paper's Table 1 in form, as a LaTeX table (needs the booktabs package)."""
    header, body = table_1(lines)
    columns = "l" + "c" * (len(header) - 1)
    rows = [" & ".join(row).replace("%", r"\%").replace("×", r"$\times$") + r" \\" for row in (header, *body)]
    caption = PROTOCOL.replace("%", r"\%")
    text = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    return "\n".join([*text, rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def table_1(lines: list[Line]) -> tuple[list[str], list[list[str]]]:
    """Header and rows in the form of CardioInterp's Table 1: PSNR / SSIM per factor, theirs beside ours.

    Methods that only the paper measured come last, with our columns empty.
    """
    factors = sorted({line["factor"] for line in lines})
    header = ["Method", *(f"×{f} PSNR / SSIM (%)" for f in factors), *(f"×{f} ({PAPER})" for f in factors)]
    cells = {(line["method"], line["factor"]): line for line in lines}
    body = []
    for method in dict.fromkeys([*(line["method"] for line in lines), *CARDIOINTERP_TABLE_1]):
        kinds = [line["kind"] for line in lines if line["method"] == method]
        printed = CARDIOINTERP_TABLE_1.get(method, {})
        if not kinds and not printed.keys() & set(factors):
            continue
        ours = [_pair(cells.get((method, factor), {}), "psnr", "ssim", 100.0) for factor in factors]
        theirs = [" / ".join(f"{v:.2f}" for v in printed[factor]) if factor in printed else "-" for factor in factors]
        body.append([_name(method, kinds[0] if kinds else "method"), *ours, *theirs])
    return header, body


def markdown_table(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *body)]


def _details(line: Line) -> list[str]:
    difference, p = line["psnr_difference"], line["psnr_difference_p"]
    paired = "-"
    if difference is not None:
        paired = f"{difference:+.2f}" + _interval(METRICS[0], line, "psnr_difference")
        paired += "" if p is None else f", p = {p:.2g}"
    values = [
        NOT_AVAILABLE if line[m.key] is None else m.show(line[m.key]) + _interval(m, line, m.key) for m in METRICS
    ]
    paper = _pair(line, "paper_psnr", "paper_ssim", 1.0)
    return [_name(line["method"], line["kind"]), line["inputs"], *values, f"{line['seconds']:.3g}", paired, paper]


def _interval(metric: Metric, line: Line, key: str) -> str:
    low, high = line[f"{key}_low"], line[f"{key}_high"]
    return "" if low is None else f" [{metric.show(low)}, {metric.show(high)}]"


def _pair(line: Line, psnr: str, ssim: str, scale: float) -> str:
    return "-" if line.get(psnr) is None else f"{line[psnr]:.2f} / {line[ssim] * scale:.2f}"


def _name(method: str, kind: str) -> str:
    return f"{method} (oracle)" if kind == "oracle" else method
