# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Three commands: `python -m custom.evaluation compare | paper | cost`.

`compare` measures methods on the same windows, `paper NAME` regenerates a table or figure of a paper, `cost` measures
whole scans. The entry is the only file of this room that looks up: what is measured here is reported in `report`,
beside the numbers of `papers`.
"""

from __future__ import annotations

import fire

from custom.errors import report_input_errors
from custom.evaluation.scan_cost import cost
from custom.papers.compare import compare
from custom.papers.paper import paper


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire({"compare": compare, "paper": paper, "cost": cost}, serialize=lambda rows: None)


if __name__ == "__main__":
    main()
