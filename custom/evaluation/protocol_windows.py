# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The test windows of a comparison: those of the main bundle's `evaluate.json`, whoever the rivals are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch.utils.data import Dataset

from custom.data.stack_set import StackSet
from custom.errors import InputError
from custom.evaluation.method_grammar import MAIN_BUNDLE
from custom.geometry import SPACING_TOLERANCE
from custom.paths import bundle_root

#: Ids of `evaluate.json` that limit the windows of a scan.
_LIMITS = ("max_windows_per_stack", "max_windows_per_pullback", "dense_windows_per_stack", "sweep_windows_per_stack")

Groups = dict[str, dict[int, Dataset]]


def protocol_windows(
    modality: str,
    data: str | None = None,
    section: str = "test",
    max_windows: int | None = None,
    labels: bool = False,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> tuple[Groups, ConfigParser]:
    """The windows, in groups that are scored apart.

    Args:
        modality: "oct", "cmr" or "cmr_cine".
        data: prepared folder with its `datalist.json`; the phantom if None.
        section: of the datalist.
        max_windows: of a scan at most, instead of the config's numbers.
        labels: windows bring the labels of their slices where the datalist names any.
        seed: of the choice of windows.
        options: further ids of `evaluate.json`, such as `phantom_dir`, `crop_size` or `half_gap_mm`.

    Returns:
        "" -> factor -> windows as the bundle's `evaluator` has them, and "dense" -> factor -> windows of the stacks
        that are dense enough, where there are any; and the config they come from.

    Raises:
        InputError: an unknown option, or what the data sets say.
    """
    path = Path(bundle_root(MAIN_BUNDLE[modality])) / "configs" / "evaluate.json"
    parser = ConfigParser()
    parser.read_config(path)
    settings = dict(options or {}) | {"section": section, "seed": seed}
    if data is not None:
        settings["dataset_dir"] = str(data)
    if max_windows is not None:
        settings |= {name: max_windows for name in _LIMITS if name in parser}
    for name, value in settings.items():
        # MONAI takes any name for an option, so a misspelt one would go unnoticed.
        if name not in parser:
            raise InputError(path, f"has no option {name!r}", "see the names in that file, or compare --help")
        parser[name] = value
    if labels:
        for name in ("windows#2", "dense_windows"):
            if name in parser:
                parser[f"{name}#labels"] = True
    windows = parser.get_parsed_content("evaluator#windows")
    groups: Groups = {"": {int(factor): dataset for factor, dataset in windows.items()}}
    if "dense_windows" in parser:
        entries = parser.get_parsed_content("test")
        parser["dense_windows#data"] = _dense(entries, parser["known_mm"], parser["dense_factors"])
        parser.parse(reset=True)
        if parser["dense_windows#data"]:
            groups["dense"] = parser.get_parsed_content("dense_windows")
    return {name: group for name, group in groups.items() if group}, parser


def _dense(entries: list[dict], known_mm: float, factors: list[int]) -> list[dict]:
    """The stacks dense enough for the largest factor that any of them is dense enough for."""
    stacks = StackSet(entries, 0, 4.0)
    spacings = [info.spacing_mm for info in stacks.infos]
    for factor in sorted(factors, reverse=True):
        limit = known_mm / factor * (1 + SPACING_TOLERANCE)
        chosen = [entry for entry, spacing in zip(entries, spacings, strict=True) if spacing <= limit]
        if chosen:
            return chosen
    return []
