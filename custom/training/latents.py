# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Scale of the latents: measured once, before the denoiser's first iteration, and kept with its checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import Dataset

from custom.data.sizes import whole_number
from custom.training.loaders import training_loader

logger = logging.getLogger(__name__)


class LatentMoments(NamedTuple):
    """Moments of a codec's latents.

    Attributes:
        mean: of each latent channel, `(c,)`.
        std: standard deviation of each latent channel, `(c,)`.
        between: variance of the latents between the first and the last frame about the straight line between those two,
            or about the latents of the motion network's guesses.
        difference: mean squared difference of the first and the last frame's latents; or, in pixels' units, the mean
            square of the error that the motion network expects.
    """

    mean: torch.Tensor
    std: torch.Tensor
    between: torch.Tensor
    difference: torch.Tensor


@torch.no_grad()
def measure_latent_statistics(
    codec: nn.Module, loader: Iterable, num_batches: int, device: str | torch.device = "cpu"
) -> LatentMoments:
    """Moments of a codec's latents over the first batches of training data, summed over all processes.

    Sets the codec's statistics to mean 0 and standard deviation 1 first, so that the result does not depend on them,
    and leaves them so. The loader's sampler is set to epoch 0, so that it does not depend on earlier training either.

    Args:
        codec: a `custom.interpolators.latent.LatentInterpolator`.
        loader: batches with "image" `(B, L, 1, *space)` in [0, 1], and "positions" `(B, L)` where not evenly spaced.
        num_batches: how many of them are looked at.
        device: the codec's.

    Returns:
        Over all windows; "between" in units of normalised latents.
    """
    if hasattr(getattr(loader, "sampler", None), "set_epoch"):
        loader.sampler.set_epoch(0)
    codec.set_latent_statistics(0.0, 1.0)
    moves = getattr(codec, "motion", None) is not None
    sums = 0.0
    for batch in islice(iter(loader), num_batches):
        frames = batch["image"].to(device)
        latents = codec.encode_latents(frames).double().flatten(3)  # (B, L, c, places)
        if moves:
            guess, square = codec.expected_between(frames, batch.get("positions"))
            residual = latents[:, 1:-1] - guess.flatten(3)
            difference = square.double().flatten(3).sqrt().expand_as(residual)
        else:
            shares = torch.linspace(0, 1, latents.shape[1], dtype=torch.float64, device=latents.device).view(-1, 1, 1)
            first, last = latents[:, :1], latents[:, -1:]
            residual = (latents - torch.lerp(first, last, shares))[:, 1:-1]
            difference = last - first
        moments = [latents.new_tensor([x[:, :, 0].numel()]) for x in (latents, residual, difference)]
        squares = (latents.square(), residual.square(), difference.square())
        moments += [x.sum(dim=(0, 1, 3)) for x in (latents, *squares)]
        sums = sums + torch.cat(moments).cpu()
    sums = idist.all_reduce(sums)
    (count, residual_count, pairs), (total, squares, residual_squares, differences) = sums[:3], sums[3:].chunk(4)
    mean = total / count
    variance = squares / count - mean.square()
    between = (residual_squares / variance).mean() / residual_count
    difference = (differences if moves else differences / variance).mean() / pairs
    return LatentMoments(mean.float(), variance.sqrt().float(), between.float(), difference.float())


class LatentStatistics:
    """Handler that normalises the codec's latents before the denoiser trains (LVDM's shift and scale).

    A fresh training measures; a resumed one takes what its checkpoint holds. So put it into `StageCheckpoint`'s
    `save_dict`, and behind `StageCheckpoint` among the handlers.

    Args:
        network: a `custom.interpolators.latent.LatentInterpolator`. If its `denoiser` has a buffer
            `prior_variance`, it is set to the variance of in-between latents; a buffer `prior_share` to its share of
            the squared difference of the two ends.
        dataset: what the denoiser is trained on.
        batch_size: of its training.
        num_batches: how many of the first batches are looked at.

    Raises:
        InputError: of none.
    """

    def __init__(self, network: nn.Module, dataset: Dataset, batch_size: int, num_batches: int) -> None:
        self.network, self.num_batches = network, num_batches
        whole_number("--latent_statistics_batches", num_batches)
        self.loader = training_loader(dataset, batch_size, stage="denoiser")
        self._statistics: dict[str, torch.Tensor] = {}

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        if engine.state.iteration > 0:
            return
        logger.info("measuring the latents of %d batches", self.num_batches)
        moments = measure_latent_statistics(self.network, self.loader, self.num_batches, engine.state.device)
        self.load_state_dict(moments._asdict())
        logger.info(
            "Latents: mean %s, standard deviation %s; variance between key frames %.3f of theirs",
            [round(x, 3) for x in moments.mean.tolist()],
            [round(x, 3) for x in moments.std.tolist()],
            moments.between,
        )

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._statistics

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._statistics = dict(state)
        self.network.set_latent_statistics(state["mean"], state["std"])
        denoiser = self.network.denoiser
        if hasattr(denoiser, "prior_variance"):
            denoiser.prior_variance.copy_(state["between"])
        if hasattr(denoiser, "prior_share"):
            denoiser.prior_share.copy_(state["between"] / state["difference"])
