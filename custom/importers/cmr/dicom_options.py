# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What becomes of DICOM images: the choices that a user can make."""

from __future__ import annotations

import re
from dataclasses import dataclass

from custom.errors import InputError

DUPLICATES = ("error", "first", "last")
CLOCKS = ("auto", "trigger", "temporal", "instance", "series")
JOINS = ("like", "all", "none")


@dataclass(frozen=True)
class DicomOptions:
    """What becomes of DICOM images; `data_scripts/prepare_cmr.py` explains each to its users.

    Args:
        series: regular expression of the descriptions to take; None for all.
        min_slices: positions that make a stack.
        duplicates: "error", or which to keep of images of the same place and time.
        drop_incomplete: leave out slices at the ends that lack phases.
        join: which series may be parts of one stack: "like" ones, whose descriptions are equal but for numbers,
            "all", also of several studies of one patient, or "none".
        phases_by: what orders the phases of a slice, one of `CLOCKS`.

    Raises:
        InputError: an unknown choice, or an expression that is none.
    """

    series: str | None = None
    min_slices: int = 4
    duplicates: str = "error"
    drop_incomplete: bool = False
    join: str = "like"
    phases_by: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in {"duplicates": DUPLICATES, "join": JOINS, "phases_by": CLOCKS}.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")
        if isinstance(self.min_slices, bool) or not isinstance(self.min_slices, int) or self.min_slices < 2:
            raise InputError("--min_slices", f"is {self.min_slices}", "give a whole number of at least 2")
        try:
            re.compile(self.series or "")
        except (re.error, TypeError) as error:
            raise InputError("--series", f"is not an expression ({error})", "mend it") from error
