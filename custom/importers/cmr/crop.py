# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The window around the heart: cut out of the scanner's plane, and put back into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter1d


@dataclass(frozen=True)
class PlaneCrop:
    """A window of a slice plane, on a grid of its own.

    Pixel `k` of the window lies at `start + k * step` of the scanner's pixel indices, in each of the two axes.

    Args:
        shape: `(H, W)` of the scanner's plane.
        start: of the window, in scanner pixels; may be negative where the window is larger than the plane.
        step: scanner pixels per pixel of the window.
        size: `(h, w)` of the window.
    """

    shape: tuple[int, int]
    start: tuple[float, float]
    step: tuple[float, float]
    size: tuple[int, int]

    @property
    def is_exact(self) -> bool:
        """Whether the window's pixels are pixels of the scanner, so that nothing is resampled."""
        return self.step == (1.0, 1.0) and all(float(value).is_integer() for value in self.start)

    def to_window(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point in scanner pixels as indices of the window."""
        return tuple((p - start) / step for p, start, step in zip(point, self.start, self.step, strict=True))

    def affine(self, affine: np.ndarray, plane_axes: tuple[int, int]) -> np.ndarray:
        """The affine `(4, 4)` of the window, from that of the scanner; `plane_axes` are the array axes of H and W."""
        change = np.eye(4)
        for axis, start, step in zip(plane_axes, self.start, self.step, strict=True):
            change[axis, axis], change[axis, 3] = step, start
        return np.asarray(affine, np.float64) @ change

    def cut(self, slices: np.ndarray, fill: float, order: int = 1) -> np.ndarray:
        """The window of each slice.

        Windows on the scanner's own pixels are copied. Others are interpolated; where pixels grow, a Gaussian takes out
        first what the coarser grid cannot hold (sigma of (step - 1) / 2 pixels, as `skimage.transform.resize` does).

        Args:
            slices: `(..., H, W)`.
            fill: value beyond the plane.
            order: of the spline; 0 for labels.

        Returns:
            `(..., h, w)` in the dtype of `slices`.
        """
        if self.is_exact:
            return self._copy(slices, fill)
        images = slices.reshape(-1, *self.shape)
        window = np.empty((len(images), *self.size), slices.dtype)
        for image, out in zip(images, window, strict=True):
            smooth = image.astype(np.float64)
            for axis, step in enumerate(self.step):
                if order and step > 1:
                    smooth = gaussian_filter1d(smooth, (step - 1) / 2, axis, mode="nearest")
            values = affine_transform(smooth, self.step, self.start, self.size, order=order, cval=fill, prefilter=False)
            out[...] = as_dtype(values, slices.dtype)
        return window.reshape(*slices.shape[:-2], *self.size)

    def paste(self, window: np.ndarray, order: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The window on the scanner's grid again.

        Args:
            window: `(..., h, w)`.
            order: of the spline; 0 for labels.

        Returns:
            Float32 `(..., H, W)` (the dtype of `window` if nothing is resampled), and the bool mask `(H, W)` of where
            it has a value: at scanner pixels between pixel centres of the window. Elsewhere it is 0.
        """
        indices = [
            (np.arange(length) - start) / step
            for length, start, step in zip(self.shape, self.start, self.step, strict=True)
        ]
        inside = [(k > -1e-6) & (k < n - 1 + 1e-6) for k, n in zip(indices, self.size, strict=True)]
        mask = np.outer(*inside)
        back = np.zeros((*window.shape[:-2], *self.shape), window.dtype if self.is_exact else np.float32)
        if self.is_exact:
            rows, columns = (k[part].round().astype(int) for k, part in zip(indices, inside, strict=True))
            back[..., mask] = window[..., rows[:, None], columns].reshape(*window.shape[:-2], -1)
            return back, mask
        scale = [1 / step for step in self.step]
        offset = [-start / step for start, step in zip(self.start, self.step, strict=True)]
        for image, out in zip(window.reshape(-1, *self.size), back.reshape(-1, *self.shape), strict=True):
            values = affine_transform(
                image.astype(np.float64), scale, offset, self.shape, order=order, mode="nearest", prefilter=False
            )
            out[mask] = values[mask]
        return back, mask

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; :meth:`from_dict` reads it."""
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PlaneCrop:
        """The crop of a record.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        shape, size = (tuple(int(value) for value in record[key]) for key in ("shape", "size"))
        start, step = (tuple(float(value) for value in record[key]) for key in ("start", "step"))
        if not all(len(pair) == 2 for pair in (shape, size, start, step)):
            raise ValueError("A crop has two axes.")
        return cls(shape, start, step, size)

    def _copy(self, slices: np.ndarray, fill: float) -> np.ndarray:
        window = np.full((*slices.shape[:-2], *self.size), fill, slices.dtype)
        source, target = [], []
        for start, size, length in zip(self.start, self.size, self.shape, strict=True):
            low, high = max(int(start), 0), min(int(start) + size, length)
            source.append(slice(low, high))
            target.append(slice(low - int(start), high - int(start)))
        window[(..., *target)] = slices[(..., *source)]
        return window


def plan_crop(
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    centre: tuple[float, float],
    size: int = 128,
    target_mm: float = 1.8,
) -> PlaneCrop:
    """The window of `size` x `size` pixels of `target_mm` around a point.

    It is moved rather than reach beyond the plane, and reaches beyond only where it is larger than the plane.

    Args:
        shape: `(H, W)` of the plane.
        spacing_mm: of its pixels, along H and W.
        centre: of the window, in pixels along H and W.
        size: pixels of the window; 0 for the whole plane.
        target_mm: pixel of the window; 0 for the scanner's.
    """
    start, step, count = [], [], []
    for length, spacing, middle in zip(shape, spacing_mm, centre, strict=True):
        ratio = float(target_mm / spacing) if target_mm else 1.0
        n = size or max(1, round(length / ratio))
        extent = (n - 1) * ratio
        if size:
            # The outer edges of the first and the last pixel stay within those of the plane.
            limits = sorted(((ratio - 1) / 2, length - 1 - extent - (ratio - 1) / 2))
            first = float(np.clip(middle - extent / 2, *limits))
        else:
            first = (length - 1 - extent) / 2
        start.append(float(round(first)) if ratio == 1 else first)
        step.append(ratio)
        count.append(int(n))
    return PlaneCrop(tuple(shape), tuple(start), tuple(step), tuple(count))


def as_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Real values in a stored dtype: rounded and saturated where it holds whole numbers."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def equalise_gains(slices: np.ndarray, percentile: float = 99.5) -> np.ndarray:
    """Factors that give each slice the same bright tissue, for stacks that were scaled slice by slice.

    Args:
        slices: `(N, T, H, W)` in units where 0 is no signal.
        percentile: of a slice, all its phases together, that is made equal.

    Returns:
        `(N,)`, at least 1: the brightest slice keeps its values. Slices without signal keep theirs as well.
    """
    bright = np.array([np.percentile(part, percentile) for part in slices], np.float64)
    gains = np.ones(len(bright))
    gains[bright > 0] = bright.max() / bright[bright > 0]
    return gains
