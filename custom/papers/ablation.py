# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The paper's Table 2 on our data: train the decoder's variants alike, measure each at x6, tabulate.

The four rows of the paper are followed by what moves first: the motion network's guess as the denoiser's start, then
its field for the decoder's features too.

    python -m custom.evaluation paper cardiointerp_table_2 --output_dir OUT [--data DATA] [--budget demo|small|default]

Each row is a pair of options over `bundles/cardiointerp/configs/train.json`, trained from scratch (autoencoder and
denoiser, same seed and steps) and measured by `evaluate.json`. Finished rows are kept and a killed row goes on from its
last epoch. Any other option of the two configs may follow, such as `--crop_size "[128,128]"`; it applies to every row.
"""

from __future__ import annotations

import csv
import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from custom.errors import InputError
from custom.files import atomic
from custom.papers.values import CARDIOINTERP_TABLE_2, cardiointerp_paper
from custom.paths import bundle_root
from custom.report.tables import markdown_table

FACTOR = 6
TRAIN = ("train.json",)
EVALUATE = ("train.json", "evaluate.json")
METHOD, REFERENCE = "CardioInterp", "Linear"


@dataclass(frozen=True)
class Row:
    """A row of Table 2: its name there, its folder, and the options of the autoencoder that make it.

    Attributes:
        name: in the table.
        folder: its folder.
        temporal: see `custom.networks.fusion_autoencoder.FusionAutoencoder`.
        fusion: the same.
        motion: whether it has a motion network, whose guess the denoiser then starts from. Not in the paper.
        upsampling: see `FusionAutoencoder`.
    """

    name: str
    folder: str
    temporal: str
    fusion: str
    motion: bool = False
    upsampling: str = "transposed"

    @property
    def options(self) -> dict[str, Any]:
        """What its commands say of the network."""
        codec = {"temporal": self.temporal, "fusion": self.fusion, "upsampling": self.upsampling}
        codec["motion"] = {} if self.motion else None
        return {f"network_def#autoencoder#{name}": value for name, value in codec.items()}


ROWS = (
    Row("plain decoder", "plain", "none", "none"),
    Row("+ P3D", "p3d", "shift", "none"),
    Row("+ dual-path addition", "addition", "shift", "addition"),
    Row("+ dual-path fusion", "fusion", "shift", "flow"),
    Row("+ start from the motion guess", "motion_prior", "shift", "flow", motion=True),
    Row("+ fusion by motion", "motion", "shift", "motion", motion=True, upsampling="resize"),
)

#: Options of `train.json` per budget. "demo" shows that it runs; "default" keeps the config's own numbers.
BUDGETS: dict[str, dict[str, Any]] = {
    "demo": {"autoencoder_epochs": 1, "denoiser_epochs": 1, "epoch_length": 4, "crop_size": [64, 64]},
    "small": {"autoencoder_epochs": 8, "denoiser_epochs": 12, "epoch_length": 50, "crop_size": [128, 128]},
    "default": {},
}


def run(output_dir: str, dataset_dir: str | None = None, budget: str = "small", **options: Any) -> None:
    """Train and measure every row that is not finished, then write `ablation.csv` and `ablation.md`.

    Args:
        output_dir: folder of the ablation; each row has its own folder in it.
        dataset_dir: prepared pullbacks with their `datalist.json`; the phantom if None.
        budget: "demo", "small" or "default".
        options: further options of `train.json` and `evaluate.json`, the same for every row.

    Raises:
        InputError: an unknown budget or option, or `output_dir` holds an ablation with other options.
        SystemExit: a row failed; the rows before it are kept.
    """
    if budget not in BUDGETS:
        raise InputError(output_dir, f"no budget {budget!r}", f"choose --budget from {', '.join(BUDGETS)}")
    options = BUDGETS[budget] | options
    if dataset_dir is not None:
        options["dataset_dir"] = str(Path(dataset_dir).resolve())
    # MONAI takes any name for an option, so a misspelt one would go unnoticed.
    for name in options:
        if not _takes(EVALUATE, name):
            raise InputError(_config("train.json"), f"has no option {name!r}", "see the names in that file")
    folder = Path(output_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, options)
    for row in ROWS:
        if not _summary(folder, row).exists():
            for command in commands(row, folder, options):
                print(f"[ablation] {row.name}: {' '.join(command[1:])}", flush=True)
                code = subprocess.run(command, cwd=Path(__file__).resolve().parents[2]).returncode
                if code:
                    raise SystemExit(f"{row.name}: failed with exit code {code}; the same command goes on from here.")
    write_table(folder)


def commands(row: Row, folder: Path, options: dict[str, Any]) -> list[list[str]]:
    """The training and the evaluation of one row, as argument lists."""
    place = folder / row.folder
    decoder = row.options
    training = {"output_dir": str(place / "training"), "ckpt_dir": str(place / "models")}
    evaluation = {
        "output_dir": str(place / "evaluation"),
        "checkpoint": str(place / "models" / "model.pt"),
        "factors": [FACTOR],
    }
    trained = {name: value for name, value in options.items() if _takes(TRAIN, name)}
    evaluated = {name: value for name, value in options.items() if _takes(EVALUATE, name)}
    return [_bundle_run(TRAIN, trained | decoder | training), _bundle_run(EVALUATE, evaluated | decoder | evaluation)]


def _bundle_run(configs: Sequence[str], options: dict[str, Any]) -> list[str]:
    """`monai.bundle run` with the options."""
    files = [str(_config(name)) for name in configs]
    command = [sys.executable, "-m", "monai.bundle", "run"]
    command += ["--config_file", files[0] if len(files) == 1 else str(files)]
    for name, value in options.items():
        written = str(value) if value is None else json.dumps(value)  # Fire reads Python's None, not JSON's null
        command += [f"--{name}", value if isinstance(value, str) else written]
    return command


def _config(name: str) -> Path:
    return Path(bundle_root("cardiointerp")) / "configs" / name


@functools.cache
def _takes(configs: tuple[str, ...], option: str) -> bool:
    parser = ConfigParser()
    parser.read_config([_config(name) for name in configs])
    return option in parser or option.startswith("network_def#")  # parts of a network hold no defaults


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


def write_table(folder: Path) -> None:
    """Gather the rows' summaries into `ablation.csv` and `ablation.md`, the paper's numbers beside them."""
    lines = []
    for row in ROWS:
        measured = read_line(_summary(folder, row), METHOD)
        psnr, ssim = CARDIOINTERP_TABLE_2.get(row.name, ("", ""))  # the paper has four of the rows
        lines.append({"decoder": row.name, **measured, "paper_psnr": psnr, "paper_ssim_percent": ssim})
    reference = read_line(_summary(folder, ROWS[0]), REFERENCE)
    lines.append(
        {"decoder": "linear interpolation (no decoder)", **reference, "paper_psnr": "", "paper_ssim_percent": ""}
    )
    with atomic(folder / "ablation.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)

    paper = cardiointerp_paper().label
    header = ["Decoder", "PSNR (dB)", "interval", "SSIM (%)", "interval", f"PSNR ({paper})", f"SSIM ({paper})"]
    body = [[_cell(line[key]) for key in lines[0] if key not in ("patients", "images")] for line in lines]
    options = json.loads((folder / "options.json").read_text())
    if "dataset_dir" in options:
        options["dataset_dir"] = Path(options["dataset_dir"]).name
    counts = f"N = {lines[0]['patients']} patient(s), {lines[0]['images']} unknown frames. One training per row: "
    counts += "differences smaller than those between seeds mean nothing. Intervals: 95 %, bootstrap over patients."
    text = [f"# Decoder ablation at x{FACTOR}", "", counts, "", f"Options: `{json.dumps(options)}`.", ""]
    with atomic(folder / "ablation.md") as temporary:
        temporary.write_text("\n".join([*text, *markdown_table(header, body)]) + "\n", encoding="utf-8")
    print((folder / "ablation.md").read_text(encoding="utf-8"))


def read_line(summary: Path, method: str) -> dict[str, Any]:
    """PSNR and SSIM (in %) of a method at x6 from a `summary.csv`, with their intervals as text."""
    with open(summary, newline="", encoding="utf-8") as file:
        (line,) = (line for line in csv.DictReader(file) if (line["method"], line["factor"]) == (method, str(FACTOR)))
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
