# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Motion-compensated interpolation: optical flow between the known slices, both warped, blended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from skimage.registration import optical_flow_tvl1

from custom.interpolators.base import Interpolator, central_pair


class FlowMidpoint(Interpolator):
    """TV-L1 flow (Zach et al., 2007) between the two known slices, in both directions; the strongest method that learns
    nothing.

    A point at position t is looked for in both known slices. The way there is read from both flows, the average of the
    one forwards and the other backwards, so that the answer does not depend on which slice is called the first:

        motion(t) = (1 - t) F_01 - t F_10,   warp_0 = I_0(x - t motion),   warp_1 = I_1(x + (1 - t) motion)

    and the two are blended in proportion to their nearness. Channels share no flow, nor do the phases of a cine: each
    2D image is a pair of its own.

    Args:
        attachment: weight of the data term (scikit-image's `attachment`); smaller is smoother.
        tightness: see `skimage.registration.optical_flow_tvl1`.
        num_warp: warpings of the moving image per pyramid level.
    """

    def __init__(self, attachment: float = 15.0, tightness: float = 0.3, num_warp: int = 5) -> None:
        super().__init__()
        self.attachment, self.tightness, self.num_warp = attachment, tightness, num_warp

    @torch.no_grad()
    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`; runs on the CPU, image by image."""
        before, after = central_pair(neighbours)
        size = before.shape[-2:]
        pairs = zip(
            before.reshape(-1, *size).float().cpu().numpy(), after.reshape(-1, *size).float().cpu().numpy(), strict=True
        )
        fractions = positions.double().cpu().tolist()
        slices = np.stack([self._between(first, second, fractions) for first, second in pairs], axis=1)
        return torch.from_numpy(slices).to(neighbours).unflatten(1, before.shape[:-2]).movedim(0, 1).clamp(0, 1)

    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Displacement `(2, H, W)` in pixels (rows, columns): `second[x + flow(x)]` shows what `first[x]` does."""
        return optical_flow_tvl1(
            first, second, attachment=self.attachment, tightness=self.tightness, num_warp=self.num_warp, prefilter=False
        )

    def _between(self, first: np.ndarray, second: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
        """Images `(m, H, W)` at the fractions of the way from `first` to `second`, each `(H, W)`."""
        forwards, backwards = self.flow(first, second), self.flow(second, first)
        grid = np.indices(first.shape).astype(np.float32)
        slices = []
        for t in fractions:
            motion = (1 - t) * forwards - t * backwards
            warped = (_sample(first, grid - t * motion), _sample(second, grid + (1 - t) * motion))
            slices.append((1 - t) * warped[0] + t * warped[1])
        return np.stack(slices)


def _sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The image at points `(2, H, W)`, linear; beyond the border, the border pixel."""
    return map_coordinates(image, points, order=1, mode="nearest")
