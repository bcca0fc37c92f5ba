# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The method that a user asked for, as the `inference.json` of its bundle defines it, checked before any work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from custom.command_line import check_device
from custom.errors import InputError
from custom.evaluation.bundle_methods import bundle_folder, inference_config
from custom.inferers.scans import ScanInterpolator
from custom.interpolators.named import CLASSICAL

DEFAULTS = {"stack": "motion", "pullback": "motion_oct"}
OURS = ("dataset_dir", "scan_dir", "output_dir", "bundle_root", "method", "factor", "target_spacing")
"""Ids of `inference.json` that the command sets itself, some by names of its own."""
INTERPOLATOR = f"{ScanInterpolator.__module__}.{ScanInterpolator.__qualname__}"


class StudyInterpolator(ScanInterpolator):
    """The evaluator of a bundle's `inference.json`, asked for one scan after the other."""

    def prepare(self) -> None:
        """Check the options and load the weights; ValueError if one is unusable, InputError without weights."""
        self._validate()
        self._prepare_network()

    def densify(self, path: Path, output_dir: Path, axis: int | None = None) -> Path:
        """Interpolate one scan into a folder; see `ScanInterpolator.do_scan`.

        Args:
            path: the scan.
            output_dir: of the output.
            axis: the array axis on which its slices lie, where that is known; else it is looked for as ever.
        """
        self.saver.output_dir = output_dir
        usual = self.loader.axis
        try:
            self.loader.axis = self.saver.axis = usual if axis is None else axis
            return self.do_scan(path)
        finally:
            self.loader.axis = self.saver.axis = usual


def interpolator_for(
    kind: str,
    method: str | None = None,
    factor: int | None = None,
    spacing: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> StudyInterpolator:
    """The evaluator that interpolates scans of a kind, ready to be asked.

    Args:
        kind: "stack" or "pullback".
        method: a bundle, or a method without weights; None for the motion network. Of a pair of bundles such as
            `flavr` and `flavr_oct` the one for `kind` is taken.
        factor: steps per gap; None for the bundle's own.
        spacing: to reach instead, mm.
        options: further ids of the bundle's `inference.json`.

    Raises:
        InputError: no such method or option, a method for scans of the other kind, no weights.
        ValueError: an option that is out of range.
    """
    name = DEFAULTS[kind] if method is None or method in CLASSICAL else _for_kind(method, kind)
    folder = bundle_folder(name)
    given = {**(options or {}), "method": method if method in CLASSICAL else None}
    given |= {"factor": factor} if factor is not None else {}
    given |= {"target_spacing": spacing} if spacing is not None else {}
    parser = inference_config(folder, {})
    _check_kind(parser, folder, kind)
    _check_options(parser, folder, options or {})
    if "device" in given:
        check_device(given["device"])
        given["device"] = f"$torch.device({str(given['device'])!r})"
    for key, value in given.items():
        parser[key] = value
    parser["evaluator#_target_"] = f"{__name__}.{StudyInterpolator.__name__}"
    parser.get_parsed_content("imports")  # what expressions name
    evaluator = parser.get_parsed_content("evaluator")
    evaluator.prepare()
    return evaluator


def _for_kind(method: str, kind: str) -> str:
    try:
        return bundle_folder(f"{method}_oct").name if kind == "pullback" else method
    except InputError:
        return method


def _check_kind(parser: ConfigParser, folder: Path, kind: str) -> None:
    if parser.get("evaluator#_target_") != INTERPOLATOR:
        raise InputError("--method", f"{folder.name} does not interpolate", "choose another")
    loaders = [item for item in parser["preprocessing#transforms"] if item["_target_"].endswith(".LoadScand")]
    if loaders[0].get("kind", "stack") != kind:
        what = {"stack": "a short-axis stack", "pullback": "an OCT pullback"}
        raise InputError("--method", f"{folder.name} is not for {what[kind]}, which EXPORT holds", "choose another")


def _check_options(parser: ConfigParser, folder: Path, options: Mapping[str, Any]) -> None:
    """Raise InputError for an option that the bundle does not have, or that is not one of a run's numbers and words."""
    values = {name for name, value in parser.config.items() if not isinstance(value, dict)}
    known = sorted(values - {*OURS, "imports", "initialize", "run"})
    for name in options:
        if name in known:
            continue
        near = difflib.get_close_matches(name, [*known, "factor", "spacing", "method", "modality"], 1)
        remedy = f"did you mean --{near[0]}?" if near else f"it has {', '.join('--' + word for word in known)}"
        raise InputError(f"--{name}", f"no such option of {folder.name}", remedy)
