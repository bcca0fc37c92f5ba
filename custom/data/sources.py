# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The scans a bundle works on: the user's own, or the phantom where there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ignite.distributed as idist

from custom.data.datalist import load_datalist
from custom.errors import InputError
from custom.phantoms.cmr import CmrPhantomConfig, write_cmr_dataset, write_cmr_patient
from custom.phantoms.dataset import patient_seed
from custom.phantoms.oct import OctPhantomConfig, write_phantom_dataset

PHANTOM_SCAN = {"num_phases": 4, "pitch_mm": 8.0, "breath_hold_mm": 1.0}
"""How a scanner acquires the phantom: slices side by side, each in a breath-hold of its own."""


def oct_datalist(
    dataset_dir: str | None, phantom_dir: str, section: str, num_patients: int = 8, phantom: dict | None = None
) -> list[dict]:
    """One section of the datalist of a folder of OCT pullbacks.

    Args:
        dataset_dir: folder with a `datalist.json`, as `data_scripts/prepare_oct.py` writes it; None for the phantom.
        phantom_dir: where the phantom is, or is made on first use.
        section: "training", "validation" or "test".
        num_patients: of the phantom.
        phantom: fields of `OctPhantomConfig`.

    Returns:
        Entries of the datalist, see `custom.data.datalist.load_datalist`.

    Raises:
        InputError: the folder has no datalist, or one without images in this section.
    """

    def make_phantom() -> Path:
        return write_phantom_dataset(phantom_dir, num_patients, OctPhantomConfig(**(phantom or {})))

    return _section(dataset_dir, section, make_phantom, "pullbacks", "data_scripts/prepare_oct.py")


def cmr_datalist(
    dataset_dir: str | None, phantom_dir: str, section: str, num_patients: int = 8, phantom: dict | None = None
) -> list[dict]:
    """One section of the datalist of a folder of short-axis stacks and cines.

    Args:
        dataset_dir: folder with a `datalist.json`, as `data_scripts/prepare_cmr.py` writes it; None for the phantom.
        phantom_dir: where the phantom is, or is made on first use.
        section: "training", "validation" or "test".
        num_patients: of the phantom.
        phantom: fields of `CmrPhantomConfig`.

    Returns:
        Entries of the datalist, see `custom.data.datalist.load_datalist`.

    Raises:
        InputError: the folder has no datalist, or one without images in this section.
    """

    def make_phantom() -> Path:
        return write_cmr_dataset(phantom_dir, num_patients, CmrPhantomConfig(**(phantom or {})))

    return _section(dataset_dir, section, make_phantom, "stacks", "data_scripts/prepare_cmr.py")


def cmr_phantom_scan(folder: str | Path, acquisition: dict | None = None) -> Path:
    """A folder with one simulated short-axis scan, `CMR01.nii.gz`, made on first use.

    The heart is the first test patient of the default phantom: no default training sees it, and evaluations do.

    Args:
        folder: receives the scan, and its labels in a folder of their own.
        acquisition: fields of `CmrPhantomConfig`; by default a cine of `PHANTOM_SCAN`.
    """
    folder = Path(folder)
    with idist.one_rank_first(local=True):
        (folder / "labels").mkdir(parents=True, exist_ok=True)
        config = CmrPhantomConfig(**{**PHANTOM_SCAN, "held_out": True, **(acquisition or {})})
        write_cmr_patient(folder, "CMR01", config, patient_seed(0, 0, "test"))
    return folder


def _section(
    dataset_dir: str | None, section: str, make_phantom: Callable[[], Path], what: str, script: str
) -> list[dict]:
    if dataset_dir is None:
        # With several processes on a machine one makes the files, the others find them.
        with idist.one_rank_first(local=True):
            path = make_phantom()
    else:
        path = Path(dataset_dir) / "datalist.json"
        if not path.is_file():
            raise InputError(path, "no such datalist", f"prepare the folder with {script}")
    entries = load_datalist(path, section)
    if not entries:
        raise InputError(
            path, f'no {what} in "{section}"', "split again with more patients, or share out one scan by ranges"
        )
    return entries
