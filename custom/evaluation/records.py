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

"""The rows of `metrics.csv`, and files that are either whole or absent."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custom.evaluation.scoring import Metric


def columns(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Columns of `metrics.csv`: one row per unknown frame or slice. `step` counts from the first known one."""
    window = ("method", "kind", "inputs", "samples", "factor", "patient", "scan", "first", "crop_y", "crop_x")
    return (*window, "step", "position", "phases", *(metric.key for metric in metrics), "seconds")


class Replacing:
    """A temporary name beside `path` that becomes `path` when the block ends well, and goes away otherwise."""

    def __init__(self, path: Path) -> None:
        self.path, self.temporary = path, path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, error: type | None, *_: object) -> None:
        if error is None:
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of `columns`, at least one, as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows written by `write_rows`, as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
