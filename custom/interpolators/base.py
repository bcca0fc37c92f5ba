# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The one question that every method, learned or classical, is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import nn

from custom.errors import NotExportable, report_input_errors

_ON_GRID = 1e-4


@dataclass(frozen=True)
class Reach:
    """Which positions of a gap a method can be asked for at once; `custom.inferers.plan` reaches all others by them.

    Attributes:
        steps: the method knows the positions k / steps, an even number of steps; None for any position.
        most_steps: into how many even steps a gap may be divided at once; None for any number within `steps`.
    """

    steps: int | None = None
    most_steps: int | None = None

    def places(self, positions: torch.Tensor) -> list[int]:
        """Which of the steps the positions `(m,)` are, from 1; ValueError for others."""
        places = [position * self.steps for position in positions.tolist()]
        if any(abs(place - round(place)) > _ON_GRID * self.steps for place in places):
            raise ValueError(
                f"this method knows the positions k / {self.steps} of a gap, not {positions.tolist()}: a GapInferer "
                "reaches others by them"
            )
        return [round(place) for place in places]


ANYWHERE = Reach()
MIDDLE = Reach(steps=2)


class Interpolator(nn.Module):
    """Given the known neighbours of a gap and fractional positions in it, return the frames at those positions.

    A method is a subclass; nothing else about it is known to the inferers and to the evaluation.

    Attributes:
        num_neighbours: how many known frames the method reads, half of them on each side of the gap. Where the
            scan ends, the caller replicates the end frame.
        takes_phases: whether a frame is a whole cine slice `(T, H, W)`; other methods do a cine phase by phase.
        reach: which positions it can be asked for.
        resampling: "linear" or "nearest", for positions that its reach does not lead to (`custom.inferers.plan`).
        batch_size: gaps, and tiles, that go through the network at once; None for any number.
        half_precision_safe: whether its networks may run under bfloat16 autocast.
        draws: whether what it makes may be a draw; False where it is asked for the likeliest slice (`realism` 0), for
            which one step suffices and no seed matters.
        one_pass: whether `forward` is one pass of a network, which TorchScript and ONNX can hold at any size. Samplers
            and tiles are loops in Python: a trace of them keeps one run's draws and one size's tiles, and says nothing.
    """

    num_neighbours: int = 2
    takes_phases: bool = False
    reach: Reach = ANYWHERE
    resampling: str = "linear"
    batch_size: int | None = None
    half_precision_safe: bool = True
    draws: bool = True
    one_pass: bool = False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """`forward`; refuses to be traced where a trace would not be the method."""
        if not self.one_pass and (torch.jit.is_tracing() or torch.compiler.is_exporting()):
            raise self._not_exported("the samplers and tiles of this method are Python; run inference.json instead")
        return super().__call__(*arguments, **options)

    def __prepare_scriptable__(self) -> Interpolator:
        """What `torch.jit.script` asks for first: a script cannot hold this class, a trace of a single pass can."""
        remedy = "add --use_trace True" if self.one_pass else "run inference.json instead"
        raise self._not_exported(f"TorchScript cannot compile it; {remedy}")

    def _not_exported(self, why: str) -> NotExportable:
        report_input_errors()  # the commands that export do not run `initialize`
        return NotExportable(f"{type(self).__name__} is not exported: {why}")

    def validate(self) -> None:
        """Raise ValueError, in one line, if an option is out of its range.

        Asked before the first scan and not at construction, where a MONAI config would bury the line in a traceback.
        """
        check_choice("resampling", self.resampling, ("linear", "nearest"))

    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        """Interpolate one gap of each batch item. A frame's `space` is `(H, W)`, or `(T, H, W)` for a cine slice.

        Args:
            neighbours: known frames in order, `(B, num_neighbours, C, *space)`, intensities in [0, 1].
            positions: ascending fractions of the gap between the two central neighbours, `(m,)`, each in (0, 1) and
                within `reach`; on the CPU, where reading them costs nothing.
            seeds: one per batch item. The same seed gives the same frames whatever else is in the batch;
                deterministic methods ignore it.
            wrap_rows: whether the last row is a neighbour of the first, as the A-lines of a whole polar frame are;
                methods for which it makes no difference ignore it.

        Returns:
            The frames at `positions`, `(B, m, C, *space)`, intensities in [0, 1].

        Raises:
            ValueError: positions beyond the method's reach.
        """
        raise TypeError(f"{type(self).__name__} does not say how it interpolates: override interpolate().")

    def predict(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The frames of `interpolate`, and how far off the method expects each pixel of them to be.

        What a scan is interpolated with. A method that knows its error overrides this one, see `ToldByPrediction`.

        Args:
            neighbours: see `interpolate`.
            positions: see `interpolate`.
            seeds: see `interpolate`.
            wrap_rows: see `interpolate`.
            options: further keywords of the method's own `interpolate`.

        Returns:
            The frames `(B, m, C, *space)`, and the expected absolute error of their pixels given that the neighbours
            are true, same shape, as a fraction of the intensity range; None where the method does not say.
        """
        return self.interpolate(neighbours, positions, seeds, wrap_rows, **options), None


class ToldByPrediction:
    """Of an `Interpolator` that knows its error: what it says is `predict`, and `interpolate` is the frames of that.

    Stands before the other base class.
    """

    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
        **options: Any,
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`; without seeds every item takes seed 0. `options` are those of `predict`."""
        return self.predict(neighbours, positions, seeds, wrap_rows, **options)[0]


def check_steps(num_inference_steps: int, num_timesteps: int | None = None, name: str = "num_inference_steps") -> None:
    """Raise ValueError unless a sampler over `num_timesteps` timesteps (None: any number) can take so many steps."""
    if not isinstance(num_inference_steps, int) or not 1 <= num_inference_steps <= (num_timesteps or math.inf):
        wanted = f"from 1 to {num_timesteps}" if num_timesteps else "at least 1"
        raise ValueError(f"{name} must be {wanted}, got {num_inference_steps!r}")


def check_number(name: str, value: object, least: float, most: float = math.inf) -> None:
    """Raise ValueError unless an option is a number from `least` to `most`."""
    if not isinstance(value, Real) or not least <= value <= most:
        wanted = f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless an option is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {' or '.join(map(repr, choices))}, got {value!r}")


def central_pair(neighbours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two frames beside the gap, each `(B, C, *space)`, of any even number of neighbours `(B, K, C, *space)`."""
    left = neighbours.shape[1] // 2 - 1
    return neighbours[:, left], neighbours[:, left + 1]
