# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Three commands: `python -m custom.evaluation compare | paper | cost`.

`compare` measures methods on the same windows, `paper NAME` regenerates a table or figure of a paper, `cost` measures
whole scans. The entry is the only file of this room that looks up: what is measured here is reported in `report`,
beside the numbers of `papers`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import fire

from custom.errors import report_input_errors
from custom.evaluation.scan_cost import cost
from custom.papers.compare import compare
from custom.papers.paper import describe, paper

COMMANDS = {"compare": compare, "paper": paper, "cost": cost}
HELP = {"--help", "-h"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; help is help wherever it is asked for, not an option of the run."""
    report_input_errors()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if HELP & set(words):
        named = [word for word in words if not word.startswith("-")]
        if named[:1] == ["paper"] and len(named) > 1:
            print(describe(named[1]))
            return
        words = [*named[:1], "--", "--help"]
    fire.Fire(COMMANDS, command=words, serialize=lambda rows: None)


if __name__ == "__main__":
    main()
