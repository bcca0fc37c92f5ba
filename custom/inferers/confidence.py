# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How far the slices of one scan are to be trusted: for the sidecar, and one line for the log."""

from __future__ import annotations

import math
from typing import Any

import torch

from custom.inferers.dense import Dense
from custom.scans.provenance import CONFIDENCE_KEYS

LEAST_LIKENESS = {"pullback": 0.66, "stack": 0.65}
"""Gaps whose ends are less alike are doubtful. Both limits are chosen on validation data by `benchmarks/trust.py`; what
they find on test data is in docs/uncertainty.md."""
MOST_SHIFT = {"stack": 1.5}
"""Gaps of a stack whose ends lie further beside each other, in mm per mm of their distance, are doubtful: another
breath-hold. A leaning heart does up to this. Frames of a pullback may turn and drift, which their methods have seen."""
_SHOWN = 8


class Confidence:
    """What is known of a scan's slices, gathered part by part.

    Args:
        kind: of the scan, "stack" or "pullback".
        pixel_mm: of a slice, (rows, columns).
        spacing_mm: between acquired slices.
        factor: dense steps per gap.
    """

    def __init__(self, kind: str, pixel_mm: tuple[float, float], spacing_mm: float, factor: int) -> None:
        self.kind, self.pixel_mm, self.factor = kind, pixel_mm, factor
        self.most_shift_mm = MOST_SHIFT.get(kind, math.inf) * spacing_mm
        self._errors: list[torch.Tensor] = []
        self._likeness: list[float] = []
        self._shift_mm: list[float] = []

    def add(self, dense: Dense) -> None:
        """Take in a part of a scan, which begins with the slice that the last one ended with."""
        if dense.errors is not None:
            self._errors.append(dense.errors[1:] if self._errors else dense.errors)
        for gap in dense.likenesses:  # the phases of a cine agree, but for noise: the median is theirs
            self._likeness.append(float(gap.correlation.median()))
            self._shift_mm.append(float((gap.shift.cpu() * torch.tensor(self.pixel_mm)).norm(dim=1).median()))

    @property
    def doubtful(self) -> list[int]:
        """Gaps, counted from 0, whose ends are too unlike or too displaced for what lies between to be trusted."""
        least, most = LEAST_LIKENESS[self.kind], self.most_shift_mm
        pairs = enumerate(zip(self._likeness, self._shift_mm, strict=True))
        return [gap for gap, (alike, shift) in pairs if alike < least or shift > most]

    @property
    def record(self) -> dict[str, Any]:
        """For the sidecar: per slice the expected error and PSNR, per gap likeness and shift, and the doubtful gaps."""
        record: dict[str, Any] = {}
        if self._errors:
            errors = torch.cat(self._errors).tolist()
            record["expected_error"] = [round(mean, 5) for mean, _ in errors]
            record["expected_psnr_db"] = [round(-20 * math.log10(rms), 2) if rms else None for _, rms in errors]
        record["gap_likeness"] = [round(value, 4) for value in self._likeness]
        if self.kind in MOST_SHIFT:
            record["gap_shift_mm"] = [round(value, 1) for value in self._shift_mm]
        record["doubtful_gaps"] = self.doubtful
        assert record.keys() <= set(CONFIDENCE_KEYS)
        return record

    @property
    def warning(self) -> str | None:
        """One line that lists the doubtful gaps by the dense slices that they span; None if there are none."""
        gaps, name = self.doubtful, "frames" if self.kind == "pullback" else "slices"
        if not gaps:
            return None
        spans = [f"{gap * self.factor} to {(gap + 1) * self.factor} ({self._why(gap)})" for gap in gaps[:_SHOWN]]
        more = f" and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else ""
        fault = "show other tissue or lie displaced at their two ends, so what lies between is a guess"
        return f"{len(gaps)} of {len(self._likeness)} gaps {fault}: {name} {', '.join(spans)}{more}"

    def _why(self, gap: int) -> str:
        if self._likeness[gap] < LEAST_LIKENESS[self.kind]:
            return f"alike {self._likeness[gap]:.2f}, least {LEAST_LIKENESS[self.kind]:.2f}"
        return f"displaced {self._shift_mm[gap]:.0f} mm"
