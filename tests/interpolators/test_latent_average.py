# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The latent average is the average of latents, whatever the size of the slices."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from custom.interpolators.latent_average import LatentAverage
from custom.networks.padding import pad_slices


class Squares(nn.Module):
    """A codec whose latents are the squared means of 4 x 4 cells (of pairs of phases too, for cines)."""

    def __init__(self, phases: bool) -> None:
        super().__init__()
        self.takes_phases, self.divisor = phases, (2, 4, 4) if phases else (4, 4)

    def encode_latents(self, slices):
        pool = F.avg_pool3d if self.takes_phases else F.avg_pool2d
        return pool(slices.flatten(0, 1), self.divisor).unflatten(0, slices.shape[:2]).square()

    def decode_between(self, latents, slices, positions):
        scale = [float(d) for d in self.divisor]
        return F.interpolate(latents.flatten(0, 1).sqrt(), scale_factor=scale).unflatten(0, latents.shape[:2])


@pytest.mark.parametrize(("phases", "space"), ((False, (10, 13)), (True, (5, 9, 12))))
def test_it_is_the_decoded_average_of_latents(phases, space):
    neighbours = torch.stack([torch.full((1, *space), 0.2), torch.full((1, *space), 0.6)])[None]
    method = LatentAverage(Squares(phases))
    assert method.takes_phases == phases
    result = method.interpolate(neighbours, torch.tensor([0.25, 0.5]))
    assert result.shape == (1, 2, 1, *space)
    for k, t in enumerate((0.25, 0.5)):
        expected = ((1 - t) * 0.2**2 + t * 0.6**2) ** 0.5
        torch.testing.assert_close(result[0, k], torch.full((1, *space), expected))


def test_phases_are_padded_round_the_cycle():
    cine = torch.arange(3.0).reshape(1, 1, 1, 3, 1, 1).expand(1, 2, 1, 3, 4, 4) / 10
    padded, window = pad_slices(cine, Squares(True).divisor)
    assert padded[0, 0, 0, :, 0, 0].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.0])
    assert torch.equal(padded[(..., *window)], cine)


def test_the_weights_belong_to_it():
    codec = Squares(False)
    codec.scale = nn.Parameter(torch.ones(1))
    assert list(LatentAverage(codec).state_dict()) == ["network.scale"]
