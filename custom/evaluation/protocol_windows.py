# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The test windows of a comparison: those of the main bundle's `evaluate.json`, whoever the rivals are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from custom.errors import InputError
from custom.evaluation.method_grammar import MAIN_BUNDLE
from custom.evaluation.windows import WindowGroups
from custom.paths import bundle_root

#: Ids of `evaluate.json` that limit the windows of a scan.
_LIMITS = ("max_windows_per_stack", "max_windows_per_pullback", "dense_windows_per_stack", "sweep_windows_per_stack")


def protocol_windows(
    modality: str,
    data: str | None = None,
    section: str = "test",
    max_windows: int | None = None,
    labels: bool = False,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> tuple[WindowGroups, list[dict]]:
    """The windows, and the entries of the datalist that they are of.

    Args:
        modality: "oct", "cmr" or "cmr_cine".
        data: prepared folder with its `datalist.json`; the phantom if None.
        section: of the datalist.
        max_windows: of a scan at most, instead of the config's numbers.
        labels: windows bring the labels of their slices where the datalist names any.
        seed: of the choice of windows.
        options: further ids of `evaluate.json`, such as `phantom_dir`, `crop_size` or `half_gap_mm`.

    Raises:
        InputError: an unknown option, or what the data sets say.
    """
    folder = Path(bundle_root(MAIN_BUNDLE[modality])) / "configs"
    parser = ConfigParser()
    parser.read_config([folder / "train.json", folder / "evaluate.json"])
    parser["bundle_root"] = str(folder.parent)
    settings = dict(options or {}) | {"section": section, "seed": seed}
    if data is not None:
        settings["dataset_dir"] = str(data)
    if max_windows is not None:
        settings |= {name: max_windows for name in _LIMITS if name in parser}
    for name, value in settings.items():
        # MONAI takes any name for an option, so a misspelt one would go unnoticed.
        if name not in parser:
            fault = f"has no option {name!r}"
            raise InputError(folder / "evaluate.json", fault, "see the names in that file, or compare --help")
        parser[name] = value
    if labels and modality != "oct":
        parser["windows#labels"] = True
    return parser.get_parsed_content("windows"), parser.get_parsed_content("test")
