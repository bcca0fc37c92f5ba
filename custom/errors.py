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

"""Errors that a user can mend."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Bad input, told in one line: which file, what is wrong with it, and what to do.

    Args:
        path: the file or folder at fault.
        fault: what is wrong, without a full stop.
        remedy: what the user can do about it.
    """

    def __init__(self, path: str | Path, fault: str, remedy: str) -> None:
        self.path, self.fault, self.remedy = Path(path), fault, remedy
        super().__init__(f"{path}: {fault}; {remedy}")
