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

"""Where a bundle lies, whichever folder a command is started from."""

from __future__ import annotations

from pathlib import Path


def bundle_root(name: str) -> str:
    """Folder of the bundle `name` that goes with this copy of `custom`.

    In the repository that is `bundles/<name>` beside `custom/`; in a packed bundle `custom/` lies inside the bundle,
    which may then have any name.

    Args:
        name: folder name of the bundle in the repository.

    Returns:
        The folder as an absolute path.
    """
    package = Path(__file__).resolve().parent
    beside = package.parent / "bundles" / name
    return str(beside if beside.is_dir() else package.parent)
