# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each part of a method brings: train its variants alike, measure each, tabulate.

    python -m custom.evaluation paper cardiointerp_table_2 --output_dir OUT [--data DATA] [--budget demo|small|default]
    python -m custom.evaluation paper calid_ingredients --output_dir OUT [--data DATA] [--budget demo|small|default]
    python -m custom.evaluation paper motion_ingredients --output_dir OUT --data DATA [--budget demo|small|default]

The first is the paper's Table 2, whose four rows are followed by what moves first: the motion network's guess as the
denoiser's start, then its field for the decoder's features too. The second goes the same way from CaLID as published.
The third asks what data, neighbours and augmentation are worth to the motion network.

Each row is a handful of options over the bundle's `train.json`, trained from scratch (same seed and steps) and measured
by `evaluate.json`. Finished rows are kept and a killed row goes on from its last epoch. Any other option of the two
configs may follow, such as `--crop_size "[128,128]"`; it applies to every row.
"""

from __future__ import annotations

import csv
import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from custom.command_line import NONE
from custom.data.datalist import load_datalist
from custom.errors import InputError
from custom.files import atomic
from custom.papers.ablation_rows import ABLATIONS, Ablation, Row
from custom.papers.values import cardiointerp_paper
from custom.paths import bundle_root
from custom.report.tables import markdown_table

TRAIN = ("train.json",)
EVALUATE = ("train.json", "evaluate.json")
CODEC = "Autoencoder"
"""The row of a summary that gets the true latents: what the autoencoder loses by itself."""


def run(
    output_dir: str, dataset_dir: str | None = None, budget: str = "small", bundle: str = "cardiointerp", **options: Any
) -> None:
    """Train and measure every row that is not finished, then write `ablation.csv` and `ablation.md`.

    Args:
        output_dir: folder of the ablation; each row has its own folder in it.
        dataset_dir: prepared scans with their `datalist.json`; the phantom if None.
        budget: "demo", "small" or "default".
        bundle: whose variants, "cardiointerp", "calid" or "motion".
        options: further options of `train.json` and `evaluate.json`, the same for every row.

    Raises:
        InputError: an unknown bundle, budget or option, or `output_dir` holds an ablation with other options.
        SystemExit: a row failed; the rows before it are kept.
    """
    if bundle not in ABLATIONS:
        raise InputError(output_dir, f"no variants of {bundle!r}", f"choose --bundle from {', '.join(ABLATIONS)}")
    ablation = ABLATIONS[bundle]
    if budget not in ablation.budgets:
        raise InputError(output_dir, f"no budget {budget!r}", f"choose --budget from {', '.join(ablation.budgets)}")
    _require_sources(ablation, dataset_dir)
    options = {**ablation.budgets[budget], **options}
    if dataset_dir is not None:
        options["dataset_dir"] = str(Path(dataset_dir).resolve())
    # MONAI takes any name for an option, so a misspelt one would go unnoticed.
    for name in options:
        if not _takes(bundle, EVALUATE, name):
            raise InputError(_config(bundle, "train.json"), f"has no option {name!r}", "see the names in that file")
    folder = Path(output_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, options)
    for row in ablation.rows:
        if not _summary(folder, row).exists():
            for command in commands(ablation, row, folder, options):
                print(f"[ablation] {row.name}: {' '.join(command[1:])}", flush=True)
                code = subprocess.run(command, cwd=Path(__file__).resolve().parents[2]).returncode
                if code:
                    raise SystemExit(f"{row.name}: failed with exit code {code}; the same command goes on from here.")
    write_table(ablation, folder)


def commands(ablation: Ablation, row: Row, folder: Path, options: dict[str, Any]) -> list[list[str]]:
    """The training and the evaluation of one row, as argument lists."""
    place, bundle = folder / row.folder, ablation.bundle
    training = {"output_dir": str(place / "training"), "ckpt_dir": str(place / "models")}
    evaluation = {
        "output_dir": str(place / "evaluation"),
        "checkpoint": str(place / "models" / "model.pt"),
        **ablation.evaluation,
    }
    trained = {name: value for name, value in options.items() if _takes(bundle, TRAIN, name)}
    evaluated = {name: value for name, value in options.items() if _takes(bundle, EVALUATE, name)}
    return [
        _bundle_run(bundle, TRAIN, trained | row.options | training),
        _bundle_run(bundle, EVALUATE, evaluated | row.options | evaluation),
    ]


def _bundle_run(bundle: str, configs: Sequence[str], options: dict[str, Any]) -> list[str]:
    """`monai.bundle run` with the options."""
    files = [str(_config(bundle, name)) for name in configs]
    command = [sys.executable, "-m", "monai.bundle", "run"]
    command += ["--config_file", files[0] if len(files) == 1 else str(files)]
    for name, value in options.items():
        written = NONE if value is None else json.dumps(value)
        command += [f"--{name}", value if isinstance(value, str) else written]
    return command


def _config(bundle: str, name: str) -> Path:
    return Path(bundle_root(bundle)) / "configs" / name


@functools.cache
def _takes(bundle: str, configs: tuple[str, ...], option: str) -> bool:
    parser = ConfigParser()
    parser.read_config([_config(bundle, name) for name in configs])
    return option in parser or option.startswith("network_def#")  # parts of a network hold no defaults


def _require_sources(ablation: Ablation, dataset_dir: str | None) -> None:
    """Rows that choose among folders of stacks need them all."""
    if not ablation.sources:
        return
    folders = ", ".join(ablation.sources)
    remedy = f"give --data with stacks in {folders}, as the page of bundles/{ablation.bundle} merges them"
    if dataset_dir is None:
        raise InputError("--data", "is not given, and rows choose among kinds of stacks", remedy)
    held = {Path(item["image"]).parent.name for item in load_datalist(Path(dataset_dir) / "datalist.json", "training")}
    if missing := set(ablation.sources) - held:
        raise InputError(dataset_dir, f"holds no training stacks of {', '.join(sorted(missing))}", remedy)


def _claim(folder: Path, options: dict[str, Any]) -> None:
    """Rows made with other options must not meet in one table."""
    note = folder / "options.json"
    if note.exists():
        if json.loads(note.read_text()) != options:
            raise InputError(folder, "holds an ablation with other options", "choose another --output_dir")
        return
    with atomic(note) as temporary:
        temporary.write_text(json.dumps(options, indent=2) + "\n")


def _summary(folder: Path, row: Row) -> Path:
    return folder / row.folder / "evaluation" / "summary.csv"


def write_table(ablation: Ablation, folder: Path) -> None:
    """Gather the rows' summaries into `ablation.csv` and `ablation.md`, the paper's numbers beside them."""
    lines = []
    for row in ablation.rows:
        measured = read_line(_summary(folder, row), ablation.method, ablation.factor)
        codec = read_line(_summary(folder, row), CODEC, ablation.factor)
        line = {"variant": row.name, **measured} | ({"codec_psnr": codec["psnr"]} if codec else {})
        if ablation.paper:
            line["paper_psnr"], line["paper_ssim_percent"] = ablation.paper.get(row.name, ("", ""))
        lines.append(line)
    reference = read_line(_summary(folder, ablation.rows[0]), ablation.reference, ablation.factor)
    lines.append({name: "" for name in lines[0]} | {"variant": f"{ablation.reference} (nothing trained)"} | reference)
    with atomic(folder / "ablation.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)

    header = ["Variant", "PSNR (dB)", "interval", "SSIM (%)", "interval"]
    header += ["Autoencoder alone (dB)"] if "codec_psnr" in lines[0] else []
    if ablation.paper:
        header += [f"{score} ({cardiointerp_paper().label})" for score in ("PSNR", "SSIM")]
    body = [[_cell(line[key]) for key in lines[0] if key not in ("patients", "images")] for line in lines]
    options = json.loads((folder / "options.json").read_text())
    if "dataset_dir" in options:
        options["dataset_dir"] = Path(options["dataset_dir"]).name
    counts = f"N = {lines[0]['patients']} patient(s), {lines[0]['images']} unknown images. One training per row: "
    counts += "differences smaller than those between seeds mean nothing. Intervals: 95 %, bootstrap over patients."
    text = [f"# {ablation.title}, x{ablation.factor}", "", counts, "", f"Options: `{json.dumps(options)}`.", ""]
    with atomic(folder / "ablation.md") as temporary:
        temporary.write_text("\n".join([*text, *markdown_table(header, body)]) + "\n", encoding="utf-8")
    print((folder / "ablation.md").read_text(encoding="utf-8"))


def read_line(summary: Path, method: str, factor: int) -> dict[str, Any]:
    """PSNR and SSIM (in %) of a method from a `summary.csv`, with their intervals as text; empty if it is not there."""
    with open(summary, newline="", encoding="utf-8") as file:
        found = [line for line in csv.DictReader(file) if (line["method"], line["factor"]) == (method, str(factor))]
    if not found:
        return {}
    (line,) = found
    values: dict[str, Any] = {"patients": line["patients"], "images": line["images"]}
    for key, name, scale in (("psnr", "psnr", 1.0), ("ssim", "ssim_percent", 100.0)):
        ends = line[f"{key}_low"], line[f"{key}_high"]
        values[name] = round(scale * float(line[key]), 3)
        try:
            values[f"{name}_interval"] = " to ".join(f"{scale * float(end):.2f}" for end in ends)
        except ValueError:  # the summary says why there is none
            values[f"{name}_interval"] = ends[0]
    return values


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value) or "-"
