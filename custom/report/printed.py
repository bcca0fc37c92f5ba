# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a paper printed: how its numbers stand beside ours, in columns marked as theirs. The numbers are in `papers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        label: mark of its columns.
        note: what a reader must know of them.
        keys: what its numbers are: keys of metrics, or "gen_seconds".
        rows: method -> factor -> printed numbers in the order of `keys`, as our tables show them; None for a dash.
        known_as: name of one of our methods -> name of the row that is the same method there.
        form: of our first table, as theirs is: "factors" (a column per factor) or "metrics" (a column per metric, at
            factor 2).
        anatomy: region -> measure -> method -> printed number, of segmented slices; empty where it has none.
        anatomy_label: mark of the columns of `anatomy`.
    """

    label: str
    note: str
    keys: tuple[str, ...]
    rows: Mapping[str, Mapping[int, tuple[float | None, ...]]]
    known_as: Mapping[str, str]
    form: str
    anatomy: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    anatomy_label: str = ""

    def printed(self, method: str, factor: int) -> dict[str, float | None]:
        """The paper's numbers for one of our rows by key, all None where it has no such row."""
        numbers = self.rows.get(self.known_as.get(method, method), {}).get(factor, (None,) * len(self.keys))
        return dict(zip(self.keys, numbers, strict=True))
