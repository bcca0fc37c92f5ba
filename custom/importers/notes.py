# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an importer has to say of a source besides its faults."""

from __future__ import annotations


class Doubt(str):
    """A note on a guess that may be wrong: told as a warning, with the option that overrules it."""


def phrase(error: BaseException) -> str:
    """What an exception of a library says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
