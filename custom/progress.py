# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How far a long computation is: inner loops tick, and whoever shows a bar listens and makes the ticks even."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

_listener: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)
UNKNOWN_TICKS = 8
"""Of the first piece of work nobody knows how many ticks it has: after so many it counts as half done."""


def tick() -> None:
    """Say that some inner work is done: a step of a sampler, a batch of tiles. Costs nothing where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener()


def advance_within(bar: tqdm) -> Callable[[float], None]:
    """What advances a bar by fractions: their sum is rounded, and the bar stays between 0 and its total all the same.

    Args:
        bar: with a `total`.
    """
    return lambda amount: bar.update(min(max(amount, -bar.n), bar.total - bar.n))


class EvenProgress:
    """Turns pieces of known size, and the ticks within them, into an even advance.

    Ticks differ in length: encoding is short, a step of a sampler long. So the times of the ticks of a first piece are
    remembered, and say of later pieces of its kind how far each tick is.

    Args:
        advance: called with what was done since the last call, in the unit of the pieces.
    """

    def __init__(self, advance: Callable[[float], Any]) -> None:
        self.advance = advance
        self._profiles: dict[Hashable, list[float]] = {}

    @contextmanager
    def piece(self, amount: float, kind: Hashable = None) -> Iterator[None]:
        """Inside, a piece of work is done; what was told of one that fails is taken back.

        Args:
            amount: its size.
            kind: pieces of one kind tick alike.
        """
        profile, times, told, start = self._profiles.get(kind), [], 0.0, time.perf_counter()

        def hear() -> None:
            nonlocal told
            times.append(time.perf_counter() - start)
            count = len(times)
            known = count / (count + UNKNOWN_TICKS) if profile is None else profile[min(count, len(profile)) - 1]
            self.advance(amount * known - told)
            told = amount * known

        token = _listener.set(hear)
        try:
            yield
        except BaseException:
            self.advance(-told)
            raise
        finally:
            _listener.reset(token)
        self.advance(amount - told)
        if times:
            whole = time.perf_counter() - start
            self._profiles[kind] = [moment / whole for moment in times]
