# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The report of a benchmark with the papers' numbers in it."""

from __future__ import annotations

from custom.papers.values import PAPERS
from custom.report.results import Report


def report() -> Report:
    """A handler for `evaluate.json`: tables and figures of a benchmark, the paper of its modality beside ours."""
    return Report(PAPERS)
