# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the writers of phantom data sets share: seeds by section, split, files that are complete or absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nibabel as nib
import numpy as np
from tqdm import tqdm

from custom.errors import InputError
from custom.files import atomic
from custom.scans.provenance import write_json

# Each section has seeds of its own: the test patients of one set are never the training patients of a larger or
# smaller one, so that weights trained on any set can be tested on any other.
SECTION_KEYS: dict[str, list[int]] = {"training": [], "validation": [1], "test": [2]}


def patient_seed(seed: int, index: int, section: str) -> int:
    """Seed of patient `index` of a section: depends on (seed, index, section), not on the size of the set."""
    return int(np.random.SeedSequence([seed, index, *SECTION_KEYS[section]]).generate_state(1)[0])


def write_split(
    folder: Path,
    prefix: str,
    num_patients: int,
    val: int,
    test: int,
    seed: int,
    write_patient: Callable[[str, int, str], None],
    entry: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write the patients of a phantom data set and its ``datalist.json``.

    Args:
        folder: receives ``<prefix>01.nii.gz``, ``labels/<prefix>01.nii.gz``, the sidecars and ``datalist.json``.
        prefix: of the patients' names.
        num_patients: in all sections together.
        val: patients for validation.
        test: patients for testing; the others are for training.
        seed: of the set.
        write_patient: called with each patient's name, seed and section.
        entry: what else the datalist says of each.

    Returns:
        The path of ``datalist.json``.

    Raises:
        InputError: no patient is left for training.
    """
    if num_patients <= val + test:
        raise InputError(folder, f"{num_patients} patients leave none for training", f"ask for more than {val + test}")
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    counts = {"training": num_patients - val - test, "validation": val, "test": test}
    patients = [(section, i) for section in SECTION_KEYS for i in range(counts[section])]
    split: dict[str, list[dict]] = {section: [] for section in SECTION_KEYS}
    for number, (section, i) in enumerate(tqdm(patients, desc=f"making the {prefix} phantom", unit="patient"), start=1):
        name = f"{prefix}{number:02d}"
        write_patient(name, patient_seed(seed, i, section), section)
        split[section].append({"image": f"{name}.nii.gz", "label": f"labels/{name}.nii.gz", "patient": name, **entry})
    return write_json(folder / "datalist.json", split)


def fingerprint_of(make: dict[str, Any]) -> str:
    """SHA-256 of how a patient is made."""
    return hashlib.sha256(json.dumps(make, sort_keys=True).encode()).hexdigest()


def is_written(folder: Path, name: str, make: dict[str, Any]) -> bool:
    """Whether a patient of this make is there, complete; if not, its sidecar is removed before it is made anew."""
    image, label, sidecar = folder / f"{name}.nii.gz", folder / "labels" / f"{name}.nii.gz", folder / f"{name}.json"
    if sidecar.exists() and image.exists() and label.exists():
        if json.loads(sidecar.read_text()).get("fingerprint") == fingerprint_of(make):
            return True
    sidecar.unlink(missing_ok=True)
    return False


def save_patient(
    folder: Path, name: str, make: dict[str, Any], images: tuple[nib.Nifti1Image, nib.Nifti1Image], facts: dict
) -> None:
    """Write image and labels under temporary names, rename them, and let the sidecar vouch for them last.

    Args:
        folder: of the data set.
        name: of the patient.
        make: how the patient is made; its fingerprint goes into the sidecar.
        images: image and labels.
        facts: further entries of the sidecar.
    """
    for path, nifti in zip((folder / f"{name}.nii.gz", folder / "labels" / f"{name}.nii.gz"), images, strict=True):
        with atomic(path) as temporary:
            nib.save(nifti, temporary)
    write_json(folder / f"{name}.json", make | facts | {"fingerprint": fingerprint_of(make)})
