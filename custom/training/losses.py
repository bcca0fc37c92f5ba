# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Losses that MONAI lacks.

MONAI's `PatchAdversarialLoss(criterion="hinge")` passes the discriminator's output through tanh first, so that the
hinge never takes effect and both losses saturate; the hinge of the papers works on the output itself.
"""

from __future__ import annotations

import torch
from monai.losses import SSIMLoss
from torch import nn

from custom.data.sizes import number


def hinge_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-E[D(fake)] (Lim and Ye, 2017, "Geometric GAN"); `fake` is the discriminator's raw output, any shape."""
    return -fake.mean()


def hinge_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """(E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]) / 2, as in LVDM; raw outputs of any shape."""
    return 0.5 * ((1 - real).relu().mean() + (1 + fake).relu().mean())


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL of the posterior from N(0, I), summed over the latent of a frame and averaged over frames.

    Args:
        mean: posterior mean, `(B, L, c, *latent)`.
        log_variance: of the same shape.
    """
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return divergence.flatten(2).sum(dim=2).mean()


def adaptive_weight(
    reconstruction_loss: torch.Tensor,
    adversarial_loss: torch.Tensor,
    weight: torch.Tensor,
    limit: float = 1e4,
    loss_scale: float = 1.0,
) -> torch.Tensor:
    """Ratio of the two losses' gradient norms at the decoder's last layer (VQGAN, Esser et al. 2021, Eq. 7; LVDM).

    Args:
        reconstruction_loss: scalar with a graph.
        adversarial_loss: scalar with a graph.
        weight: parameter at which gradients are compared.
        limit: largest ratio returned.
        loss_scale: of mixed precision, without which half-precision gradients vanish; the ratio does not depend on it.

    Returns:
        Scalar without a graph, in [0, `limit`]; 0 where a gradient overflowed under mixed precision.
    """

    def gradient_norm(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss * loss_scale, weight, retain_graph=True)[0].norm() / loss_scale

    ratio = gradient_norm(reconstruction_loss) / (gradient_norm(adversarial_loss) + 1e-4)
    return ratio.detach().nan_to_num(nan=0.0).clamp(0.0, limit)


def check_weights(**weights: float) -> None:
    """Raise an `InputError` unless no weight is below 0; `--NAME_weight` is what the configs call it."""
    for name, weight in weights.items():
        number(f"--{name}_weight", weight)


class WeightedNoiseLoss(nn.Module):
    """Error of the prediction where the label's last channel is positive, times that channel, averaged over there.

    Args:
        kind: "l2" (CardioInterp Eq. 6, CaLID Eq. 5) or "l1" (LVDM; A16).
        channel_axis: 2 for windows of frames, 1 for single slices.

    Raises:
        ValueError: unknown `kind`.
    """

    def __init__(self, kind: str = "l2", channel_axis: int = 2) -> None:
        super().__init__()
        if kind not in ("l1", "l2"):
            raise ValueError(f"kind is 'l1' or 'l2', got {kind!r}.")
        self.kind, self.channel_axis = kind, channel_axis

    def forward(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Scalar loss, computed in float32.

        Args:
            prediction: `(B, L, c, *latent)`, or `(B, c, *latent)` with `channel_axis` 1.
            label: target and weight as one tensor, with `c + 1` channels (the tasks' `PrepareBatch`es).
        """
        channels = prediction.shape[self.channel_axis]
        target, weight = label.float().split([channels, 1], dim=self.channel_axis)
        difference = prediction.float() - target
        error = difference.square() if self.kind == "l2" else difference.abs()
        return (weight * error).sum() / ((weight > 0).sum() * channels)


LEAST_RMSE = 0.01
"""Slices that are nearer than this (40 dB) to the truth gain little by coming nearer."""


class SliceDistance(nn.Module):
    """Distance of slices from the true ones: mean absolute error, log of the root mean square error, 1 - SSIM.

    By the log, slices between near neighbours, whose errors are small, count as much as those between far ones, as they
    do in a mean of PSNR.

    Args:
        log_rmse: weight of the log of each slice's root mean square error.
        ssim: weight of 1 - SSIM (11 x 11 Gaussian, data range 1).

    Raises:
        InputError: a weight below 0.
    """

    def __init__(self, log_rmse: float = 0.05, ssim: float = 0.1) -> None:
        super().__init__()
        check_weights(log_rmse=log_rmse, ssim=ssim)
        self.log_rmse, self.ssim = log_rmse, ssim
        self.dissimilarity = SSIMLoss(spatial_dims=2, data_range=1.0)

    def forward(self, image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Scalar, computed in float32, of images `(N, 1, H, W)` in [0, 1]."""
        image, label = image.float(), label.float()
        difference = image - label
        rmse = difference.square().flatten(1).mean(1).add(1e-8).sqrt()
        near = self.log_rmse * (rmse + LEAST_RMSE).log().mean()
        return difference.abs().mean() + near + self.ssim * self.dissimilarity(image, label)


class FidelityLoss(nn.Module):
    """Weighted sum of the mean absolute error, the mean squared error and 1 - SSIM of slices in [0, 1].

    Args:
        l1: weight of the absolute error.
        l2: weight of the squared error.
        ssim: weight of 1 - SSIM (MONAI's `SSIMLoss`, 11 x 11 Gaussian, data range 1).

    Raises:
        InputError: a weight below 0.
    """

    def __init__(self, l1: float = 1.0, l2: float = 0.0, ssim: float = 0.0) -> None:
        super().__init__()
        check_weights(l1=l1, l2=l2, ssim=ssim)
        self.l1, self.l2, self.ssim = l1, l2, ssim
        self.dissimilarity = SSIMLoss(spatial_dims=2, data_range=1.0)

    def forward(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Scalar, computed in float32, of slices `(B, m, H, W)`."""
        prediction, label = prediction.float(), label.float()
        difference = prediction - label
        loss = self.l1 * difference.abs().mean() + self.l2 * difference.square().mean()
        if self.ssim:
            folded = (slices.flatten(0, 1).unsqueeze(1) for slices in (prediction, label))
            loss = loss + self.ssim * self.dissimilarity(*folded)
        return loss
