# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the Model Zoo asks of a bundle before it looks at the network (its `ci/verify_bundle.py` and guidelines)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.packaging.code import needed_packages
from custom.weights import load_tensors

NECESSARY = (
    "LICENSE", "configs/metadata.json", "configs/inference.json", "configs/train.json", "configs/evaluate.json",
    "configs/multi_gpu_train.json", "configs/logging.conf", "docs/README.md", "models/model.pt",
)  # fmt: skip
LARGEST_MB = 25
"""Of one file: larger ones the Zoo keeps outside git."""
_LABEL_WORDS = ("segmentation", "detection", "classification", "deepedit", "deepgrow")
"""MONAI Label takes the kind of a task from the bundle's name."""
_PERSONAL = re.compile(r"/home/|/Users/|/root/|[A-Z]:\\\\")
_PINNED = {"monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version"}


def check_bundle(bundle: Path, modules: Mapping[str, Path]) -> dict[str, Any]:
    """Raise InputError, with the file and what to mend, unless a bundle can go into the Zoo.

    Args:
        bundle: its folder.
        modules: the parts of `custom` that it needs.

    Returns:
        Its `metadata.json`.
    """
    for name in NECESSARY:
        if not (bundle / name).is_file():
            raise InputError(bundle / name, "is missing", "a Model Zoo bundle has it")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", bundle.name) or re.search(r"_v\d", bundle.name):
        raise InputError(bundle, "is no name for the Zoo", "use lower snake case without _v<digit>")
    if any(word in bundle.name for word in _LABEL_WORDS):
        raise InputError(bundle, "has a word that MONAI Label takes for the kind of its task", "rename it")
    for config in sorted((bundle / "configs").glob("*.json")):
        if _PERSONAL.search(config.read_text(encoding="utf-8")):
            raise InputError(config, "holds a path of one machine", "give it relative to @bundle_root")
    metadata_file = bundle / "configs" / "metadata.json"
    metadata = json.loads(metadata_file.read_text(encoding="utf-8"))
    if metadata["version"] not in metadata["changelog"]:
        raise InputError(metadata_file, f"version {metadata['version']} has no entry in changelog", "add one")
    named = {package for package, key in _PINNED.items() if key in metadata}
    missing = (
        needed_packages(modules.values()) - {name.lower() for name in metadata["required_packages_version"]} - named
    )
    if missing:
        fault = f"required_packages_version lacks {', '.join(sorted(missing))}"
        raise InputError(metadata_file, fault, "the code imports it: add it with its version of requirements.txt")
    weights = bundle / "models" / "model.pt"
    if weights.stat().st_size > LARGEST_MB * 2**20:
        raise InputError(weights, f"is larger than {LARGEST_MB} MB", "save it with --half_precision true")
    load_tensors(weights)
    return metadata
