# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m custom.packaging`: pack bundles for the Model Zoo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fire

from custom.errors import InputError
from custom.packaging.pack import pack_bundle, told
from custom.paths import bundle_root


def main(names: str | Sequence[str] = "all", output_dir: str = "dist") -> None:
    """Write one zip a bundle, self-contained, the same bytes each time.

    Args:
        names: of bundles, comma-separated; "all" of the repository.
        output_dir: where the zips go.
    """
    bundles = Path(bundle_root("calid")).parent
    if names == "all":
        names = sorted(folder.name for folder in bundles.iterdir() if (folder / "configs").is_dir())
    failed = 0
    for name in [names] if isinstance(names, str) else names:
        try:
            print(told(pack_bundle(bundles / name, output_dir)), flush=True)
        except InputError as error:
            failed += 1
            print(f"error: {error}", flush=True)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    fire.Fire(main)
