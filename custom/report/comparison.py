# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a comparison writes besides its benchmarks: speed, anatomy, and the page that holds all tables and figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom.evaluation.modality import Modality
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.records import read_rows
from custom.evaluation.scoring import NOT_AVAILABLE
from custom.evaluation.speed import machine
from custom.evaluation.summary import Line
from custom.files import atomic
from custom.metrics.statistics import MIN_PATIENTS_FOR_TEST
from custom.pictures.pareto import Point, pareto_figure
from custom.pictures.plotting import save
from custom.report.anatomy import anatomy_table
from custom.report.page import Page, PageTable, write_page
from custom.report.printed import PaperTable
from custom.report.speed import speed_ratio, speed_table, write_speed
from custom.report.table_1 import table_1
from custom.report.tables import FIRST_MEASURE, counted, details_table, latex_table, markdown_table
from custom.report.verdict import sentence, verdicts

#: Group of windows -> what it is called.
_GROUPS = {"": "", "dense": "Dense stacks: known slices 8 mm apart, true slices between them"}
_CAPTIONS = {
    "pareto": "Quality against time. The line joins the methods that no other beats in both; they are bold.",
    "comparison": "One gap of one scan: what each method gives, and its absolute error. Solid blue border: acquired; "
    "dashed orange: synthetic.",
    "sequence": "The unknown images of one gap in order, with error maps.",
    "longitudinal": "A cut along the scan: blue ticks mark what the methods were given.",
    "position": "Quality against the position in the gap.",
    "temporal": "An unknown cine slice: middle phase, and the yellow row and column along time over two heart cycles.",
    "steps": "Quality and time against the number of sampling steps; methods without steps are level lines.",
}
_ORDER = ("pareto", "steps", "comparison", "sequence", "longitudinal", "temporal", "position")


def write_report(
    benchmarks: Mapping[str, InterpolationBenchmark],
    speed: Sequence[Mapping[str, Any]],
    anatomy: Sequence[Mapping[str, Any]],
    folder: Path,
    paper: PaperTable,
    skipped: Mapping[str, str],
    command: str,
    source: str,
) -> Path:
    """Write `speed.*`, `anatomy.*`, `figures/pareto.png` and `index.html`.

    Args:
        benchmarks: group of windows -> benchmark that has been run.
        speed: rows of `custom.evaluation.speed.measure_speed`.
        anatomy: rows of `custom.evaluation.anatomy.anatomy_rows`; may be empty.
        folder: of the comparison.
        paper: whose numbers stand beside ours.
        skipped: what took no part -> why.
        command: that made the comparison.
        source: the data, in words.

    Returns:
        The page.
    """
    first = next(iter(benchmarks.values()))
    modality = first.modality
    write_speed(speed, folder, modality.image)
    _draw_pareto(first, speed, folder)
    verdict, sections = {}, {}
    for group, benchmark in benchmarks.items():
        rows = read_rows(benchmark.output_dir / "metrics.csv")
        for verdict_factor in sorted(benchmark.windows):
            said = [sentence(v) for v in verdicts(rows, modality) if v.factor == verdict_factor]
            name = f"{_GROUPS[group]}, " if group else ""
            verdict[f"{name}×{verdict_factor}"] = said
        heading = _GROUPS[group] or "All measures"
        sections[heading] = _measure_tables(benchmark.summary, modality, paper, in_form=not group)
    header, body = speed_table(speed, modality.image)
    note = f"The {modality.image} in the middle of a gap, median of three calls. {machine()}."
    sections["Speed"] = [PageTable("", header, body, note)]
    verdict["Speed"] = _speed_sentences(speed, modality)
    if anatomy:
        sections["Anatomy"] = [_write_anatomy(anatomy, folder, paper)]
    patients, images = first.summary[0]["patients"], first.summary[0]["images"]
    subtitle = f"{source}: {patients} patient(s), {images} unknown {modality.image}s at ×{min(first.windows)}; "
    subtitle += f"{len(speed)} methods."
    facts = {"Machine": machine(), "Device": str(first.scorer.device), "Batch": f"{first.scorer.batch_size} gaps"}
    facts |= {"Baseline of paired differences": first.baseline, "Seed": str(first.scorer.seed)}
    facts |= {f"Inputs of {line['method']}": line["inputs"] for line in first.summary}
    facts |= {f"Left out: {name}": reason for name, reason in skipped.items()}
    title = {"oct": "Frames between the B-scans of a pullback", "cmr": "Slices between those of a cardiac stack"}
    page = Page(
        title.get(modality.key, "Cine slices between those of a cardiac cine") + ": which method?",
        subtitle, verdict, sections, _figures(folder), facts, command, [modality.protocol + paper.note],
    )  # fmt: skip
    write_page(page, folder / "index.html")
    return folder / "index.html"


def _measure_tables(summary: list[Line], modality: Modality, paper: PaperTable, in_form: bool) -> list[PageTable]:
    tables = []
    header, body = table_1(summary, modality, paper) if in_form else ((), ())
    if body:
        tables.append(PageTable("In the form of the paper's table", header, body, theirs=paper.label))
    for factor in sorted({line["factor"] for line in summary}):
        here = [line for line in summary if line["factor"] == factor]
        header, body = details_table(here, modality, paper)
        best = frozenset(_best(here, modality))
        note = counted(here, modality)
        if here[0]["patients"] > 1:
            note += " Brackets: 95 % bootstrap interval over patients."
        if here[0]["patients"] >= MIN_PATIENTS_FOR_TEST:
            note += " p: Wilcoxon over patients."
        tables.append(PageTable(f"×{factor}", header, body, note, best, paper.label))
    return tables


def _best(lines: list[Line], modality: Modality) -> list[tuple[int, int]]:
    """(row, column) of the best method of each measure, oracles apart."""
    places = []
    for column, metric in enumerate(modality.metrics, start=FIRST_MEASURE):
        good = {
            row: metric.goodness(line[metric.key])
            for row, line in enumerate(lines)
            if line["kind"] == "method" and line[metric.key] is not None
        }
        if good:
            places.append((max(good, key=good.__getitem__), column))
    return places


def _speed_sentences(speed: Sequence[Mapping[str, Any]], modality: Modality) -> list[str]:
    quick = min(speed, key=lambda row: row["alone"])
    slow = max(speed, key=lambda row: row["alone"])
    text = [
        f"Alone in its batch, a {modality.image} takes from {quick['alone']:.3g} s ({quick['method']}) "
        f"to {slow['alone']:.3g} s ({slow['method']})."
    ]
    return text + speed_ratio(speed)


def _draw_pareto(benchmark: InterpolationBenchmark, speed: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """PSNR, SSIM and, where it is available, LPIPS at the smallest factor."""
    modality, by_method = benchmark.modality, {row["method"]: row for row in speed}
    factor = min(benchmark.windows)
    lines = [line for line in benchmark.summary if line["factor"] == factor and line["method"] in by_method]
    points = {}
    for metric in modality.metrics[:3]:
        if all(line[metric.key] is not None for line in lines):
            points[metric] = [
                Point(
                    line["method"], by_method[line["method"]]["alone"], line[metric.key],
                    line[f"{metric.key}_low"], line[f"{metric.key}_high"], by_method[line["method"]]["parameters"],
                )
                for line in lines
            ]  # fmt: skip
    save(pareto_figure(points, modality.image), folder / "figures" / "pareto.png")


def _write_anatomy(rows: Sequence[Mapping[str, Any]], folder: Path, paper: PaperTable) -> PageTable:
    """Write `anatomy.csv`, `.md` and `.tex`; returns the table of the page."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with atomic(folder / "anatomy.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys, restval=NOT_AVAILABLE)
        writer.writeheader()
        writer.writerows(rows)
    header, body = anatomy_table(rows, paper)
    note = "Interpolated slices segmented and compared with the labels of the true slices; Original: the true slices "
    note += "segmented. Distances are over structures that were found; missed ones are counted apart, with Dice 0."
    with atomic(folder / "anatomy.md") as temporary:
        text = ["# Anatomy of interpolated slices", "", note, "", *markdown_table(header, body)]
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8")
    with atomic(folder / "anatomy.tex") as temporary:
        temporary.write_text(latex_table(header, body, note), encoding="utf-8")
    return PageTable("In the form of CaLID's Table II", header, body, note, theirs=paper.anatomy_label)


def _figures(folder: Path) -> dict[Path, str]:
    """Every figure of the comparison with its caption, in a fixed order."""
    found = {}
    for group in ("", "steps", "dense"):
        if group == "steps":
            paths = [folder / "steps" / "figures" / "steps.png"]
        else:
            paths = sorted((folder / group / "figures").glob("*.png"))
        for path in paths:
            kind = path.stem.split("_")[0]
            if path.is_file() and kind in _CAPTIONS:
                factor = path.stem.partition("_x")[2]
                caption = f"×{factor}. " * bool(factor) + _CAPTIONS[kind]
                found[path] = f"{_GROUPS['dense']}. {caption}" if group == "dense" else caption
    return dict(
        sorted(found.items(), key=lambda entry: ("dense" in entry[0].parts, _ORDER.index(entry[0].stem.split("_")[0])))
    )
