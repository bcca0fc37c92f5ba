# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From gaps to dense scans: the acquired frames go by, and the frames between them come out in order.

A frame is what lies at one place of the interpolated axis: a B-scan of a pullback, a slice of a stack, the slice of
every phase of a cine. Memory is that of a few gaps, however long the scan. Nothing here knows a file or a network's
inside: an `Interpolator` is asked about gaps, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from monai.utils import convert_to_tensor

from custom.geometry import dense_count, factor_for_spacing
from custom.inferers.dense import Dense, DenseFrame, Moments
from custom.inferers.gap_filling import fill_gaps
from custom.inferers.likeness import likeness
from custom.inferers.plan import MAX_FACTOR, Window, plan_gap
from custom.interpolators.base import ANYWHERE, Interpolator
from custom.networks.batching import BatchSize
from custom.networks.precision import has_bfloat16
from custom.progress import EvenProgress
from custom.switches import is_on
from custom.transforms.layout import slice_axis, slice_spacing, slices_first


class GapInferer(Inferer):
    """Fill every gap between consecutive frames with `factor - 1` frames.

    Args:
        factor: dense steps per gap, at least 2; `n` frames become `(n - 1) * factor + 1`.
        target_spacing: the frame pitch in mm to reach instead: the smallest factor that does it is taken.
        batch_size: windows, each of one phase or volume, that go through the network together, and gaps that are held
            in memory. A window of a method that takes phases together holds all of them. Where the device's memory is
            short, halved down to one.
        num_samples: independent samples of a stochastic method; above 1, their mean and deviation come out.
        seed: together with the sample, the gap and the window it fixes the window's noise, whatever the batch size.
            Phases and volumes that lie side by side share it: they then differ by what was acquired, not by the draw.
        axis: for volumes in memory (`__call__`), the interpolated array axis, 0, 1 or 2; None for the through-plane
            axis of their affine.
        amp: let the networks compute in bfloat16 where the device has it and the method says that it is safe.
        cudnn_benchmark: let cuDNN try its algorithms for each size first; the fastest may change from run to run, and
            with it the last bits.
    """

    def __init__(
        self,
        factor: int = 6,
        target_spacing: float | None = None,
        batch_size: int = 4,
        num_samples: int = 1,
        seed: int = 0,
        axis: int | None = None,
        amp: bool = False,
        cudnn_benchmark: bool = False,
    ) -> None:
        self.factor = factor
        self.target_spacing = target_spacing
        self.batch_size = batch_size
        self.num_samples = num_samples
        self.seed = seed
        self.axis = axis
        self.amp = is_on(amp)
        self.cudnn_benchmark = cudnn_benchmark

    def validate(self, network: Interpolator | None = None) -> None:
        """Raise ValueError if an option is out of its range, or the factor out of that of `network`.

        Done at use and not at construction, where a MONAI config would bury the sentence in a traceback.
        """
        if self.target_spacing is None:
            plan_gap(self.factor, ANYWHERE if network is None else network.reach)
        elif not isinstance(self.target_spacing, Real) or not 0 < self.target_spacing:
            raise ValueError(f"target_spacing must be above 0 mm, got {self.target_spacing!r}")
        for name, least in (("batch_size", 1), ("num_samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        if self.num_samples > 1 and network is not None and not network.draws:
            raise ValueError(f"all {self.num_samples} samples would be the same at realism 0; add --realism 1")

    def factor_for(self, spacing: float) -> int:
        """The factor for frames `spacing` mm apart; ValueError if that meets the target, or is too far from it."""
        if self.target_spacing is None:
            return self.factor
        factor = factor_for_spacing(spacing, self.target_spacing)
        if factor < 2:
            raise ValueError(f"the spacing, {spacing:g} mm, already meets the target of {self.target_spacing:g} mm")
        if factor > MAX_FACTOR:
            fault = f"a spacing of {self.target_spacing:g} mm is {factor} times finer than that of the scan"
            raise ValueError(f"{fault}, {spacing:g} mm, and at most {MAX_FACTOR} times is done")
        return factor

    def __call__(self, inputs: torch.Tensor, network: Interpolator, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Interpolate whole volumes in memory: the mean of `moments`, whose arguments these are."""
        return self.moments(inputs, network)[0]

    def moments(
        self, inputs: torch.Tensor, network: Interpolator, progress: Callable[[float], Any] | None = None
    ) -> Dense:
        """Interpolate whole volumes in memory.

        Args:
            inputs: in [0, 1], with `N >= 2` slices: pullbacks or stacks `(B, C, H, W, N)`, or cines
                `(B, C, H, W, N, T)`, the slices on `axis` of the three spatial ones. A `MetaTensor` if `target_spacing`
                is set or `axis` is None; its first affine counts for the batch, and `coordinates` in its metadata, if
                they are "polar", make the last row a neighbour of the first; `first_slice` tells a part of a scan.
            network: the method. One that takes phases together (`takes_phases`) gets `(T, H, W)` and wants cines; any
                other gets a cine's phases as items of the batch.
            progress: called with how many synthetic slices, phases counted apart, were done since the last call: a
                fraction, since it is called within the work on one.

        Returns:
            The mean of the samples and, of several samples, the deviation, 0 where a slice is acquired; else None.
            Each as `inputs`, `(N - 1) * factor + 1` slices on the axis, without metadata (`DenseGridd` gives it its
            grid). Acquired slices are bit-identical. With them what is known of how good they are.

        Raises:
            ValueError: for fewer than two slices, other dimensions, an option out of range, a missing affine.
            MemoryError: not even one window fits in the device's memory.
        """
        self.validate(network)
        axis = slice_axis(inputs, self.axis)
        factor = self.factor if self.target_spacing is None else self.factor_for(slice_spacing(inputs, axis))
        takes_phases = network.takes_phases
        volumes = convert_to_tensor(inputs, track_meta=False)
        slices = slices_first(volumes, axis, takes_phases)
        shape = list(volumes.shape)
        shape[2 + axis] = dense_count(len(slices), factor)
        mean, std = volumes.new_empty(shape), volumes.new_zeros(shape) if self.num_samples > 1 else None
        means, deviations = (None if m is None else slices_first(m, axis, takes_phases) for m in (mean, std))
        frames = slices if takes_phases else slices.flatten(1, 2)
        first_gap = getattr(inputs, "meta", {}).get("first_slice", 0)
        errors, likenesses = volumes.new_zeros(shape[2 + axis], 2, dtype=torch.float64), []
        told, size = False, (volumes.shape[5] if takes_phases else 1) / self.num_samples
        even = None if progress is None else EvenProgress(lambda done: progress(done * size))
        for frame in self.stream(frames, network, factor, is_polar(inputs), first_gap, even):
            means[frame.index] = frame.mean.reshape(means.shape[1:])
            if frame.std is not None:
                deviations[frame.index] = frame.std.reshape(means.shape[1:])
            if frame.error is not None:
                error, told = frame.error.double(), True
                # Of a Laplace distribution the mean square is twice the square of the mean.
                errors[frame.index] = torch.stack([error.mean(), (2 * error.square()).mean().sqrt()])
            if frame.likeness is not None:
                likenesses.append(frame.likeness)
        return Dense(mean, std, errors.cpu() if told else None, likenesses)

    def stream(
        self,
        frames: Iterable[torch.Tensor],
        network: Interpolator,
        factor: int | None = None,
        wrap_rows: bool = False,
        first_gap: int = 0,
        progress: EvenProgress | None = None,
    ) -> Iterator[DenseFrame]:
        """Interpolate frames as they come.

        Held at any time: `batch_size + 1` acquired frames and the filled gaps between them, and as many more acquired
        frames as the method looks past the gap's ends.

        Args:
            frames: acquired frames in order, each `(B, C, *space)` in [0, 1], on the network's device: one slice of
                `B` stacks that lie side by side, such as the phases of a cine; `space` is `(H, W)`, or `(T, H, W)` for
                a method that takes phases together.
            network: the method.
            factor: dense steps per gap; `self.factor` unless given.
            wrap_rows: whether the last row of a frame is a neighbour of the first, as the A-lines of a polar one are.
            first_gap: index in the scan of the first gap, where the frames are a part of one.
            progress: told of every synthetic frame of every stack and sample.

        Yields:
            Every frame of the dense scan, in order.

        Raises:
            ValueError: for fewer than two frames or an option out of range.
            MemoryError: not even one window fits in the device's memory.
        """
        self.validate()
        factor = self.factor if factor is None else factor
        plan = plan_gap(factor, network.reach, network.resampling)
        batch, outer = BatchSize(self.batch_size), network.num_neighbours // 2 - 1
        acquired: dict[int, torch.Tensor] = {}
        frames, arrived, done, ended = iter(frames), 0, 0, False
        while not ended:
            before = arrived
            for frame in islice(frames, self.batch_size if arrived else self.batch_size + 1):
                acquired[arrived] = frame
                arrived += 1
            ended = arrived == before
            gaps = range(done, max(done, arrived - 1 if ended else arrived - 1 - outer))
            neighbours = _neighbours(acquired, gaps, outer) if gaps else None
            moments = Moments()
            places = range(first_gap + gaps.start, first_gap + gaps.stop)  # in the whole scan
            for seed_of in [partial(_seed_of, self.seed, sample, places) for sample in range(self.num_samples) if gaps]:
                with self._as_wanted(network, neighbours.device):
                    filled, doubt = fill_gaps(network, neighbours, plan, seed_of, batch, wrap_rows, progress)
                moments.add(*(None if part is None else part.unflatten(0, (-1, len(gaps))) for part in (filled, doubt)))
            mean, std, error = moments.result
            for number, gap in enumerate(gaps):
                alike = likeness(*(_planes(acquired[place]) for place in (gap, gap + 1)), wrap_rows)
                yield DenseFrame(gap * factor, False, acquired[gap], likeness=alike)
                for step in range(factor - 1):
                    parts = (None if part is None else part[:, number, step] for part in (mean, std, error))
                    yield DenseFrame(gap * factor + step + 1, True, *parts)
            done = gaps.stop
            for index in [index for index in acquired if index < done - outer]:  # no gap to come looks at it
                del acquired[index]
        if arrived < 2:
            raise ValueError(f"interpolation needs at least two frames, got {arrived}")
        yield DenseFrame((arrived - 1) * factor, False, acquired[arrived - 1])

    @contextmanager
    def _as_wanted(self, network: Interpolator, device: torch.device) -> Iterator[None]:
        """Inside, networks compute in the precision, and cuDNN chooses its algorithms, as the options say."""
        half = self.amp and network.half_precision_safe and has_bfloat16(device)
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = self.cudnn_benchmark or before
        try:
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                yield
        finally:
            torch.backends.cudnn.benchmark = before


def _planes(frame: torch.Tensor) -> torch.Tensor:
    """Frames `(B, C, *space)` as `(planes, 1, H, W)`."""
    return frame.reshape(-1, 1, *frame.shape[-2:])


def _neighbours(acquired: Mapping[int, torch.Tensor], gaps: range, outer: int) -> torch.Tensor:
    """The known frames around gaps, replicated at the scan's ends: `(stacks * gaps, 2 outer + 2, C, *space)`.

    The gaps of a stack follow each other, so that a method meets a slice that two of them share in one batch.
    """
    last, shifts = max(acquired), range(-outer, outer + 2)
    known = [torch.stack([acquired[min(max(gap + shift, 0), last)] for shift in shifts], dim=1) for gap in gaps]
    return torch.stack(known, dim=1).flatten(0, 1)


def _seed_of(seed: int, sample: int, gaps: range, item: int, window: Window) -> int:
    """A 63-bit seed that depends on the scan's, on the sample, the gap and the window, and not on the stack."""
    parts = seed, sample, gaps[item % len(gaps)], *window.noise
    # Python's integer is shifted: under NumPy 1 a uint64 and an int have no common integer type.
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


def is_polar(volume: torch.Tensor) -> bool:
    """Whether the metadata of a volume, or of the first of a batch, say that its frames are A-lines by depth."""
    coordinates = getattr(volume, "meta", {}).get("coordinates")
    return (coordinates[0] if isinstance(coordinates, (list, tuple)) else coordinates) == "polar"
