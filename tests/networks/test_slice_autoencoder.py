# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.networks.slice_autoencoder import SliceAutoencoder


@pytest.mark.parametrize(
    ("options", "space", "latent"),
    [
        ({"spatial_dims": 2}, (24, 32), (6, 8)),
        ({"spatial_dims": 3}, (8, 16, 24), (2, 4, 6)),
        ({"spatial_dims": 3, "phase_downsampling": False}, (5, 16, 24), (5, 4, 6)),
    ],
)
def test_shapes_and_factors(options, space, latent):
    network = SliceAutoencoder(channels=(4, 8, 8), norm_num_groups=2, latent_channels=3, **options)
    slices = torch.rand(2, 3, 1, *space) * 2 - 1
    reconstruction, mean, log_variance = network(slices)
    assert reconstruction.shape == slices.shape
    assert mean.shape == log_variance.shape == (2, 3, 3, *latent)
    assert tuple(a // b for a, b in zip(space, latent, strict=True)) == network.factors
    torch.testing.assert_close(network.encode(slices), mean)
    assert network.decode(mean).shape == slices.shape


def test_it_has_no_attention():
    network = SliceAutoencoder()
    assert not [name for name, _ in network.named_modules() if "attn" in name.lower() or "to_q" in name]


def test_noise_follows_the_generator_and_its_strength():
    network = SliceAutoencoder(channels=(4, 8, 8), norm_num_groups=2)
    slices = torch.rand(1, 2, 1, 16, 16)

    def run(std, seed=3):
        return network(slices, latent_noise_std=std, generator=torch.Generator().manual_seed(seed))[0]

    torch.testing.assert_close(run(0.5), run(0.5))
    assert not torch.allclose(run(0.5), run(0.5, seed=4))
    assert not torch.allclose(run(0.5), run(0.0))


def test_phases_that_keep_their_number_stay_apart_in_time():
    """Without phase downsampling a latent phase sees some neighbours: a change in the first leaves the last alone."""
    network = SliceAutoencoder(3, (4, 8, 8), norm_num_groups=1, phase_downsampling=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda x: x  # statistics over the whole cine would couple all phases
    slices = torch.rand(1, 1, 1, 24, 16, 16)
    changed = slices.clone()
    changed[..., 0, :, :] += 1
    difference = (network.encode(slices) - network.encode(changed)).abs().amax((0, 1, 2, 4, 5))
    assert difference[0] > 1e-3
    assert difference[-1] == 0


def test_the_last_layer_is_the_decoders_output_convolution():
    network = SliceAutoencoder(channels=(4, 8, 8), norm_num_groups=2)
    assert network.last_layer_weight.shape[:2] == (1, 4)
    network.decode(torch.rand(1, 1, 3, 4, 4)).sum().backward()
    assert network.last_layer_weight.grad.abs().sum() > 0
