# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m custom.evaluation compare …`: methods on the same windows. `… paper NAME`: a paper's table or figure.

The entry of two commands, and the only file of this room that looks up: what is measured here is reported in `report`,
beside the numbers of `papers`.
"""

from __future__ import annotations

import fire

from custom.errors import report_input_errors
from custom.papers.compare import compare
from custom.papers.paper import paper


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire({"compare": compare, "paper": paper})


if __name__ == "__main__":
    main()
