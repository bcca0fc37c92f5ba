# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From gaps to dense scans: the acquired frames go by, and the frames between them come out in order.

A frame is what lies at one place of the interpolated axis: a B-scan of a pullback, a slice of a stack, the slice of
every phase of a cine. Memory is that of a few gaps, however long the scan. Nothing here knows a file or a network's
inside: an `Interpolator` is asked about gaps, in batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import Any

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_tensor

from custom.geometry import dense_count, factor_for_spacing
from custom.inferers.gap_pass import GapPass
from custom.inferers.recursion import plan_gap
from custom.interpolators.base import Interpolator
from custom.transforms.layout import slice_axis, slice_spacing, slices_first


@dataclass(frozen=True)
class DenseFrame:
    """One frame of the dense scan.

    Attributes:
        index: its place in the dense scan.
        synthetic: False for an acquired frame.
        mean: `(B, C, *space)` in [0, 1]. The very tensor that came in where the frame is acquired, else the samples'
            mean.
        std: the samples' population standard deviation, `(B, C, *space)`; None for acquired frames and for one sample.
    """

    index: int
    synthetic: bool
    mean: torch.Tensor
    std: torch.Tensor | None = None


class GapInferer(Inferer):
    """Fill every gap between consecutive frames with `factor - 1` frames.

    Args:
        factor: dense steps per gap, at least 2; `n` frames become `(n - 1) * factor + 1`.
        target_spacing: the frame pitch in mm to reach instead: the smallest factor that does it is taken.
        batch_size: windows, each of one phase or volume, that go through the network together, and gaps that are
            held in memory. A window of a method that takes phases together holds all of them.
        num_samples: independent samples of a stochastic method; above 1, their mean and deviation come out.
        seed: together with the sample, the gap and the window it fixes the window's noise, whatever the batch size.
            Phases and volumes that lie side by side share it.
        max_factor: the largest factor that the network does in one window; larger ones recurse (`plan_gap`).
        axis: for volumes in memory (`__call__`), the interpolated array axis, 0, 1 or 2; None for the through-plane
            axis of their affine.
    """

    def __init__(
        self,
        factor: int = 6,
        target_spacing: float | None = None,
        batch_size: int = 4,
        num_samples: int = 1,
        seed: int = 0,
        max_factor: int = 6,
        axis: int | None = 2,
    ) -> None:
        self.factor = factor
        self.target_spacing = target_spacing
        self.batch_size = batch_size
        self.num_samples = num_samples
        self.seed = seed
        self.max_factor = max_factor
        self.axis = axis

    def validate(self) -> None:
        """Raise ValueError if an option is out of its range.

        Done at use and not at construction, where a MONAI config would bury the sentence in a traceback.
        """
        if self.target_spacing is None:
            plan_gap(self.factor, self.max_factor)
        elif not isinstance(self.target_spacing, Real) or not 0 < self.target_spacing:
            raise ValueError(f"target_spacing must be above 0 mm, got {self.target_spacing!r}")
        for name, least in (("batch_size", 1), ("num_samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")

    def factor_for(self, spacing: float) -> int:
        """The factor for frames `spacing` mm apart; ValueError if that already meets the target."""
        if self.target_spacing is None:
            return self.factor
        factor = factor_for_spacing(spacing, self.target_spacing)
        if factor < 2:
            raise ValueError(f"the spacing, {spacing:g} mm, already meets the target of {self.target_spacing:g} mm")
        return factor

    def __call__(self, inputs: torch.Tensor, network: Interpolator, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Interpolate whole volumes in memory.

        Args:
            inputs: in [0, 1], with `N >= 2` slices: pullbacks or stacks `(B, C, H, W, N)`, or cines
                `(B, C, H, W, N, T)`, the slices on `axis` of the three spatial ones. A `MetaTensor` if `target_spacing`
                is set or `axis` is None; its first affine counts for the batch.
            network: the method. One that takes phases together (`takes_phases`) gets `(T, H, W)` and wants cines; any
                other gets a cine's phases as items of the batch.
            args: unused, as is `kwargs`; MONAI's signature.
            kwargs: unused.

        Returns:
            As `inputs`, `(N - 1) * factor + 1` slices on the axis, without metadata (`DenseGridd` gives it its grid).
            Acquired slices are bit-identical, the others the mean of the samples.

        Raises:
            ValueError: for fewer than two slices, other dimensions, an option out of range, a missing affine.
        """
        self.validate()
        axis = slice_axis(inputs, self.axis)
        factor = self.factor if self.target_spacing is None else self.factor_for(slice_spacing(inputs, axis))
        takes_phases = network.takes_phases
        volumes = convert_to_tensor(inputs, track_meta=False)
        slices = slices_first(volumes, axis, takes_phases)
        shape = list(volumes.shape)
        shape[2 + axis] = dense_count(len(slices), factor)
        dense = volumes.new_empty(shape)
        filled = slices_first(dense, axis, takes_phases)
        for frame in self.stream(slices if takes_phases else slices.flatten(1, 2), network, factor):
            filled[frame.index] = frame.mean.reshape(filled.shape[1:])
        return dense

    def stream(
        self, frames: Iterable[torch.Tensor], network: Interpolator, factor: int | None = None
    ) -> Iterator[DenseFrame]:
        """Interpolate frames as they come.

        Held at any time: `batch_size + 1` acquired frames and the filled gaps between them. A method that looks
        past the gap's ends adds, at each level of the recursion, as many gaps as it looks aside.

        Args:
            frames: acquired frames in order, each `(B, C, *space)` in [0, 1], on the network's device: one slice of
                `B` stacks that lie side by side, such as the phases of a cine; `space` is `(H, W)`, or `(T, H, W)` for
                a method that takes phases together.
            network: the method.
            factor: dense steps per gap; `self.factor` unless given.

        Yields:
            Every frame of the dense scan, in order.

        Raises:
            ValueError: for fewer than two frames or an option out of range.
        """
        self.validate()
        factor = self.factor if factor is None else factor
        state = GapPass(network, plan_gap(factor, self.max_factor), self.num_samples, self.batch_size, self.seed)
        frames = iter(frames)
        while not state.ended:
            work = state.arrive(islice(frames, self.batch_size if state.arrived else self.batch_size + 1))
            finished = work[-1]
            moments = {gap * factor + offset: _Moments() for gap in finished for offset in range(1, factor)}
            for sample in range(self.num_samples):
                state.fill(sample, work)
                for index, moment in moments.items():
                    moment.add(state.samples[sample][index])
                state.forget(state.samples[sample])
            for gap in finished:
                yield DenseFrame(gap * factor, False, state.acquired[gap * factor])
                for index in range(gap * factor + 1, (gap + 1) * factor):
                    moment = moments.pop(index)
                    yield DenseFrame(index, True, moment.mean, moment.std)
            state.forget(state.acquired)
        if state.arrived < 2:
            raise ValueError(f"interpolation needs at least two frames, got {state.arrived}")
        last = (state.arrived - 1) * factor
        yield DenseFrame(last, False, state.acquired[last])


class _Moments:
    """Mean and deviation of frames that come one by one (Welford 1962)."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, frame: torch.Tensor) -> None:
        self.count += 1
        if self.count == 1:
            self.mean = frame
            return
        shift = frame - self.mean
        self.mean = self.mean + shift / self.count
        self._squares = self._squares.to(shift) + shift * (frame - self.mean)

    @property
    def std(self) -> torch.Tensor | None:
        return (self._squares / self.count).sqrt() if self.count > 1 else None
