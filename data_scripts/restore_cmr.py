# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Put densified crops back on the scanner's grid, undoing the crop of `data_scripts/prepare_cmr.py`.

    python data_scripts/restore_cmr.py --results dense --prepared data/cmr --originals exports --output_dir restored

Acquired slices come from the original bit for bit, synthetic ones from the result where the crop was, and from the
linear interpolation of the acquired ones around it. Sidecars go along: they name the synthetic slices.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import fire
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.errors import InputError
from custom.importers.cmr.restore import restore
from custom.importers.intake import as_typed, check_apart, check_arguments
from custom.scans.nifti import check_output_dir
from custom.scans.stacks import find_stacks

logger = logging.getLogger("restore_cmr")


def restore_folder(results: str, prepared: str, originals: str, output_dir: str) -> None:
    """Restore all results of a folder.

    A result that cannot be restored is told in one line and left out; the others are done and the exit code is 1.

    Args:
        results: a folder of <name>_interp.nii.gz and <name>_std.nii.gz with their .json, or one such file.
        prepared: the folder that prepare_cmr.py wrote.
        originals: what was --input of prepare_cmr.py: DICOM folders, zips or NIfTI files.
        output_dir: gets files of the same names.
    """
    check_apart({"--results": results, "--prepared": prepared, "--originals": originals}, output_dir)
    files = find_stacks(results)
    folder = check_output_dir(output_dir)
    failures = 0
    with logging_redirect_tqdm():
        for path in tqdm(files, desc="results", disable=len(files) == 1):
            try:
                output = folder / path.name
                restore(path, Path(prepared), Path(os.path.abspath(originals)), output)
                logger.info("%s: on the scanner's grid", output)
            except (InputError, OSError, MemoryError) as error:
                logger.error(" ".join(str(error).split()) or type(error).__name__)
                failures += 1
    if failures:
        sys.exit(f"{failures} of {len(files)} results failed")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(restore_folder, sys.argv[1:])
    try:
        fire.Fire(as_typed(restore_folder))
    except InputError as error:
        sys.exit(f"ERROR {error}")
