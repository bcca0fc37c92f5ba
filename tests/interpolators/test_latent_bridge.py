# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from custom.interpolators.latent_bridge import LatentBridge
from custom.interpolators.variants import variant
from custom.networks.bridge_denoiser import BridgeDenoiser
from custom.networks.slice_autoencoder import SliceAutoencoder
from custom.training.bridge_task import BridgeTask


def bridge(trained=True, **options):
    torch.manual_seed(0)
    autoencoder = SliceAutoencoder(channels=(8, 8, 8), norm_num_groups=4)
    denoiser = BridgeDenoiser(
        channels=(16, 16), num_res_blocks=1, attention=(False, True), num_head_channels=8, norm_num_groups=8
    )
    network = LatentBridge(autoencoder, denoiser, **options).eval()
    if trained:  # its last convolution starts at zero
        torch.nn.init.normal_(network.denoiser.unet.out[-1].conv.weight, std=0.1)
    return network


def known(*space, batch=1):
    return torch.rand(batch, 2, 1, *space, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["brownian_bridge", "rectified_flow"])
@pytest.mark.parametrize("steps", [1, 4])
def test_slices_of_any_size(kind, steps):
    network = bridge(kind=kind, num_inference_steps=steps)
    dense = network.interpolate(known(21, 35, batch=2), torch.tensor([0.5]), [1, 2])
    assert dense.shape == (2, 1, 1, 21, 35) and 0 <= dense.min() and dense.max() <= 1


def test_untrained_it_starts_and_ends_at_the_mean_of_the_latents():
    network = bridge(trained=False, num_inference_steps=1)
    pair = known(16, 16)
    expected = network.decode_latents(network.encode_latents(pair).mean(1, keepdim=True))
    torch.testing.assert_close(network.interpolate(pair, torch.tensor([0.5])), expected)


@pytest.mark.parametrize("kind", ["brownian_bridge", "rectified_flow"])
def test_the_likeliest_slice_needs_no_seed_and_one_step_and_draws_differ(kind):
    network, pair, middle = bridge(kind=kind), known(16, 16), torch.tensor([0.5])
    first, second = (network.interpolate(pair, middle, [seed]) for seed in (0, 1))
    assert torch.equal(first, second)
    assert torch.equal(first, variant(network, num_inference_steps=1).interpolate(pair, middle))
    for other in (variant(network, realism=1.0, num_inference_steps=2), variant(network, realism=0.5)):
        first, second, again = (other.interpolate(pair, middle, [seed]) for seed in (0, 1, 0))
        assert not torch.equal(first, second) and torch.equal(first, again)
    quiet = variant(network, realism=1.0, noise_scale=0.0, num_inference_steps=3)
    assert torch.equal(*(quiet.interpolate(pair, middle, [seed]) for seed in (0, 1)))


def test_the_network_departs_from_the_mean_in_proportion_to_the_neighbours_distance():
    network = bridge()
    centre, offset = torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8)
    departures = []
    for distance in (2.0, 4.0):
        latents = torch.stack([centre - distance * offset, centre + distance * offset], 1)
        # The same picture in units of the distance; only the network's last input tells how far it is.
        network.denoiser.unet.conv_in.conv.weight.data[:, -1] = 0
        known = network.denoiser.expect(latents)
        departures.append(network.denoiser(centre, torch.zeros(1), latents, *known) - centre)
    torch.testing.assert_close(departures[1], 2 * departures[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "option", [{"kind": "poisson"}, {"num_inference_steps": 0}, {"noise_scale": -1.0}, {"realism": 1.5}]
)
def test_bad_options_are_told_in_one_line(option):
    (name,) = option
    with pytest.raises(ValueError, match=name):
        bridge(**option).validate()


@pytest.mark.parametrize("kind", ["brownian_bridge", "rectified_flow"])
def test_training_places_lie_on_the_bridge_and_ask_for_its_end(kind):
    network = bridge(kind=kind)
    task = BridgeTask(network, start_share=0.5, seed=1)
    task._follow(SimpleNamespace(state=SimpleNamespace(iteration=1, rank=0)))
    slices = torch.rand(6, 3, 1, 16, 16)
    places, label, arguments, keywords = task({"image": slices})
    latents = network.encode_latents(slices)
    assert arguments == () and torch.allclose(keywords["neighbour_latents"], latents[:, [0, 2]], atol=1e-5)
    assert torch.allclose(label[:, :3], latents[:, 1], atol=1e-5) and (label[:, 3:] > 0).all()
    starting = keywords["times"] == 0
    assert starting.any() and not starting.all()
    start = latents[:, [0, 2]].mean(1)
    at_start = torch.isclose(places, start, atol=1e-4).flatten(1).all(1)
    assert torch.equal(at_start, starting if kind == "brownian_bridge" else torch.zeros_like(starting))
