# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DMCVR (He et al., MICCAI 2023): DiffAE that also knows, from a segmentation network, what lies where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from custom.diffusion.interpolation import lerp, slerp
from custom.interpolators.base import check_choice
from custom.interpolators.diffae import DiffAE
from custom.networks.medformer import MedFormer
from custom.networks.parts import build_part
from custom.networks.semantic_encoder import SemanticDenoiser


class DMCVR(DiffAE):
    """DiffAE with a second code: the bottleneck map of a frozen segmentation network, the morphology code.

    The map joins the features of one block of the U-Net's encoder, at 1/16 of the slice size. Between two slices z_sem
    is mixed linearly, x_T and the map spherically. The segmentation network is a part of this module, and so of the
    bundle's `models/model.pt`; it is never trained here and never leaves evaluation mode.

    Args:
        denoiser: see `DiffAE`; its U-Net has a `morphology_level` at 1/16 of the size and as many
            `morphology_channels` as `segmenter` has `code_channels`, which is the default.
        segmenter: the segmentation network; a module, or what differs from the defaults of `MedFormer`.
        morphology_mixing: "slerp", one angle per slice, or "lerp".
        options: see `DiffAE`.

    Raises:
        ValueError: the U-Net does not take a map of the segmentation network's.
    """

    def __init__(
        self,
        denoiser: SemanticDenoiser | Mapping[str, Any] | None = None,
        segmenter: MedFormer | Mapping[str, Any] | None = None,
        morphology_mixing: str = "slerp",
        **options: Any,
    ) -> None:
        segmenter = build_part(segmenter, MedFormer)
        denoiser = build_part(denoiser, SemanticDenoiser, morphology_channels=segmenter.code_channels)
        super().__init__(denoiser, **options)
        unet = denoiser.unet
        takes = unet.morphology_stem.in_channels if unet.morphology_stem is not None else 0
        if (takes, unet.morphology_factor) != (segmenter.code_channels, 16):
            raise ValueError(
                f"the morphology code has {segmenter.code_channels} channels at 1/16 of the size, the U-Net takes "
                f"{takes} at 1/{unet.morphology_factor}."
            )
        self.segmenter, self.morphology_mixing = segmenter.requires_grad_(False).eval(), morphology_mixing

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_choice("morphology_mixing", self.morphology_mixing, ("slerp", "lerp"))

    def train(self, mode: bool = True) -> DMCVR:
        """As any module's, but for the segmentation network, whose norms stay as they were trained."""
        super().train(mode)
        self.segmenter.eval()
        return self

    @property
    def divisor(self) -> int:
        """What height and width of a slice must be multiples of; both networks take powers of two."""
        return max(super().divisor, 16)

    @torch.no_grad()
    def conditions(self, slices: torch.Tensor) -> dict[str, torch.Tensor]:
        """The morphology code `(n, c, H / 16, W / 16)`; see `DiffAE.conditions`."""
        return {"morphology": self.segmenter.encode_bottleneck(slices)}

    def mix(
        self, before: Sequence[torch.Tensor], after: Sequence[torch.Tensor], alpha: torch.Tensor
    ) -> list[torch.Tensor]:
        """See `DiffAE.mix`."""
        along = slerp if self.morphology_mixing == "slerp" else lerp
        return [*super().mix(before, after, alpha), along(before[1], after[1], alpha.view(-1, 1, 1, 1))]
