# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""As much at once as memory holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch

logger = logging.getLogger(__name__)


class BatchSize:
    """How many items go through a network at once: as many as asked for, and fewer where memory turns out short.

    A loop over pieces, which a failed attempt sends back to where it was, with half as many:

        for piece in batch.pieces(len(items)):
            try:
                result = network(items[piece])
            except torch.OutOfMemoryError:
                if not batch.halve():
                    raise
                continue

    Args:
        size: items at once; None for all. It stays halved: what has not fitted once does not fit later.
    """

    def __init__(self, size: int | None) -> None:
        self.size = size
        self._piece = slice(0, 0)
        self._again = False

    def pieces(self, count: int) -> Iterator[slice]:
        """Slices of 0 .. `count` - 1 in order."""
        start = 0
        while start < count:
            self._piece = piece = slice(start, min(start + (self.size or count), count))
            yield piece
            if self._again:  # only now has the failed attempt let go of its tensors
                self._again = False
                torch.cuda.empty_cache()
            else:
                start = piece.stop

    def halve(self) -> bool:
        """Have the piece that did not fit tried again in halves; False if it is a single item."""
        tried = self._piece.stop - self._piece.start
        if tried < 2:
            return False
        self.size, self._again = tried // 2, True
        logger.warning("out of memory with %d at once: %d from here on", tried, self.size)
        return True
