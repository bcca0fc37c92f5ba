# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Full frames of a pullback: what they cost, and whether tiles or the first A-line show in them.

    python benchmarks/oct_full_frames.py pullback --frames PULLBACK --method motion_oct --output_dir OUT
    python benchmarks/oct_full_frames.py seams --frames PULLBACK --methods motion_oct,cardiointerp --output_dir OUT

What the options mean: `custom/evaluation/full_frames.py`.
"""

from __future__ import annotations

import fire

from custom.errors import report_input_errors
from custom.evaluation.full_frames import cost_of_pullback, seams_of_methods


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire({"pullback": cost_of_pullback, "seams": seams_of_methods})


if __name__ == "__main__":
    main()
