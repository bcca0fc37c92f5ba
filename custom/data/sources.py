# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The pullbacks a bundle works on: the user's own, or the phantom where there are none."""

from __future__ import annotations

from pathlib import Path

import ignite.distributed as idist

from custom.data.datalist import load_datalist
from custom.errors import InputError
from custom.phantoms.oct import OctPhantomConfig, write_phantom_dataset


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
    if dataset_dir is None:
        # With several processes on a machine one makes the files, the others find them.
        with idist.one_rank_first(local=True):
            path = write_phantom_dataset(phantom_dir, num_patients, OctPhantomConfig(**(phantom or {})))
    else:
        path = Path(dataset_dir) / "datalist.json"
        if not path.is_file():
            raise InputError(path, "no such datalist", "prepare the folder with data_scripts/prepare_oct.py")
    entries = load_datalist(path, section)
    if not entries:
        raise InputError(path, f'no pullbacks in "{section}"', "split again with more patients, or name frame ranges")
    return entries
