# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.inferers.gaps import GapInferer
from custom.interpolators.calid import CaLID
from custom.interpolators.variants import variant
from custom.networks.neighbour_denoiser import NeighbourDenoiser
from custom.networks.padding import pad_slices
from custom.networks.slice_autoencoder import SliceAutoencoder

ALPHAS = alphas_cumprod(betas("scaled_linear", 1000, 0.0015, 0.0195))
HALF = torch.tensor([0.5])
SMALL = {
    "channels": (8, 16),
    "num_res_blocks": 1,
    "num_head_channels": 8,
    "norm_num_groups": 4,
    "pair_channels": (8, 8, 8),
}


def calid(cine=False, trained=True, **options):
    """CaLID of small networks; `trained` lets every zero-initialised end speak."""
    torch.manual_seed(0)
    attention = (False, not cine)
    denoiser = NeighbourDenoiser(
        3 if cine else 2, attention=attention, condition_attention=attention,
        latent_factors=(4, 4, 4) if cine else (4, 4), **SMALL,
    )  # fmt: skip
    for parameter in denoiser.parameters():
        if trained and parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.02)
    autoencoder = SliceAutoencoder(3 if cine else 2, (4, 8, 8), norm_num_groups=2)
    network = CaLID(autoencoder, denoiser, **{"num_inference_steps": 2, "realism": 1.0, **options}).eval()
    network.set_latent_statistics(0.1, 0.5)
    return network


def neighbours(*space, batch=1, seed=0):
    return torch.rand(batch, 2, 1, *space, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("cine", "space"), [(False, (32, 40)), (False, (33, 50)), (True, (6, 32, 21))])
@pytest.mark.parametrize("refine", [False, True])
def test_slices_of_any_size_keep_it_and_stay_in_range(cine, space, refine):
    network = calid(cine, refine=refine)
    slices = network.interpolate(neighbours(*space, batch=2), HALF, [1, 2])
    assert slices.shape == (2, 1, 1, *space)
    assert slices.min() >= 0 and slices.max() <= 1
    assert network.takes_phases is cine


def test_an_untrained_network_in_one_step_is_the_average_of_latents():
    network = calid(trained=False, num_inference_steps=1)
    pair = neighbours(32, 32)
    latents = network.encode_latents(pair).mean(1, keepdim=True)
    result = network.interpolate(pair, HALF, [0])[:, 0]
    torch.testing.assert_close(result, network.decode_latents(latents)[:, 0], atol=2e-3, rtol=0)


def test_sampling_an_untrained_network_walks_the_gaussian_prior():
    """With posterior means in closed form a DDIM walk is linear in its start; so is the spread that it ends with."""
    network = calid(trained=False, num_inference_steps=8).double()
    network.denoiser.prior_share.fill_(0.3)
    network.decode_latents = lambda latents: latents.repeat_interleave(4, -1).repeat_interleave(4, -2)
    pair = neighbours(16, 16).double()
    count = 200
    samples = network.interpolate(pair.expand(count, -1, -1, -1, -1), HALF, range(count))[:, 0]
    guess, variance = network.denoiser.expect(network.encode_latents(pair))
    gain, shift = torch.ones_like(variance), torch.zeros_like(variance)  # z = gain * noise + shift * guess
    grid = [ALPHAS[t - 1].item() for t in range(1000, 0, -125)]  # trailing
    for alpha, following in zip(grid, [*grid[1:], 1.0], strict=True):
        total = alpha * variance + 1 - alpha
        of_clean, of_noise = following**0.5, (1 - following) ** 0.5
        slope = (of_clean * alpha**0.5 * variance + of_noise * (1 - alpha) ** 0.5) / total
        offset = (of_clean * (1 - alpha) - of_noise * (alpha * (1 - alpha)) ** 0.5) / total
        gain, shift = slope * gain, slope * shift + offset
    samples = samples[..., ::4, ::4]
    error = (samples.mean(0, keepdim=True) - shift * guess).abs().max()
    assert error < 5 * gain.max() / count**0.5
    torch.testing.assert_close(samples.var(0).mean(), gain.square().mean(), rtol=0.1, atol=0)


def test_refined_between_equal_slices_it_returns_the_slice():
    """Inversion and sampling undo each other, and the slerp of equal noise is that noise."""
    network = calid(refine=True, num_inference_steps=100)
    slices = neighbours(32, 32)[:, :1].expand(-1, 2, -1, -1, -1)
    result = network.interpolate(slices, HALF, [0])[:, 0]
    torch.testing.assert_close(result, network.reconstruct(slices)[:, 0], atol=0.02, rtol=0)


def test_refinement_needs_no_seed_and_noise_does():
    pair = neighbours(32, 32)
    plus = calid(refine=True)
    torch.testing.assert_close(plus.interpolate(pair, HALF, [1]), plus.interpolate(pair, HALF, [2]))
    plain = calid()
    assert not torch.allclose(plain.interpolate(pair, HALF, [1]), plain.interpolate(pair, HALF, [2]))
    torch.testing.assert_close(plain.interpolate(pair, HALF, [1]), plain.interpolate(pair, HALF, [1]), rtol=0, atol=0)


@pytest.mark.parametrize("options", [{"inversion_condition": "self"}, {"slerp_per_phase": True}])
def test_alternatives_of_the_refinement_change_it(options):
    pair = neighbours(8, 32, 32)
    plus = calid(cine=True, refine=True)
    assert not torch.allclose(plus.interpolate(pair, HALF), variant(plus, **options).interpolate(pair, HALF), atol=1e-4)


def test_tiles_agree_with_the_whole_where_the_tiles_see_enough(monkeypatch):
    whole, tiled = calid(tile_size=(128, 128)), calid(tile_size=(64, 64), tile_overlap=0.5)
    for network in (whole, tiled):  # what looks across the whole slice cannot agree: norms and attention
        for module in network.modules():
            if isinstance(module, torch.nn.GroupNorm):
                monkeypatch.setattr(module, "forward", lambda x: x)
            if type(module).__name__ == "SpatialAttentionBlock":
                monkeypatch.setattr(module, "forward", lambda x: x)
    pair = neighbours(128, 128)
    a, b = (network.interpolate(pair, HALF, [3]) for network in (whole, tiled))
    assert (a - b).abs().mean() < 0.01


def test_a_batch_gives_what_its_items_give():
    network = calid(batch_size=3)
    pairs = neighbours(32, 32, batch=4)
    together = network.interpolate(pairs, HALF, [5, 6, 7, 8])
    alone = torch.cat([network.interpolate(pairs[k : k + 1], HALF, [5 + k]) for k in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_phases_are_continued_around_the_cycle():
    """A cine that starts at another phase comes out the same but for that, up to what the padding's ends see."""
    network = calid(cine=True, trained=False, num_inference_steps=1)
    pair = neighbours(8, 32, 32)
    slices, window = pad_slices(pair[:, :, 0, :5], network.divisor)
    assert slices.shape[2] == 8 and window[0] == slice(1, 6)
    torch.testing.assert_close(slices[:, :, 0], pair[:, :, 0, 4])
    torch.testing.assert_close(slices[:, :, 6], pair[:, :, 0, 0])


def test_samples_give_mean_and_spread():
    slices = torch.rand(1, 1, 32, 32, 3)
    inferer = GapInferer(factor=2, num_samples=3)
    frames = list(inferer.stream(slices.unbind(-1), calid()))
    assert [frame.synthetic for frame in frames] == [False, True, False, True, False]
    assert frames[1].std.max() > 0 and frames[0].std is None


def test_less_noise_at_the_start_brings_samples_together():
    pair = neighbours(32, 32)
    spread = []
    for scale in (0.0, 0.5, 1.0):
        network = calid(realism=scale)
        samples = torch.cat([network.interpolate(pair, HALF, [seed]) for seed in range(4)])
        spread.append(samples.std(0).mean().item())
    assert spread[0] == 0 < spread[1] < spread[2]
    with pytest.raises(ValueError, match="realism must be from 0 to 1, got -1"):
        calid(realism=-1).validate()


def test_variants_share_weights_and_know_their_options():
    network = calid()
    twin = variant(network, num_inference_steps=7, refine=True)
    assert twin.num_inference_steps == 7 and network.num_inference_steps == 2
    assert twin.denoiser is network.denoiser
    with pytest.raises(ValueError, match="no option 'steps'"):
        variant(network, steps=3)


def test_a_prior_of_noise_needs_a_network_that_predicts_noise():
    with pytest.raises(ValueError, match="prediction_type 'v_prediction' needs a denoiser with prior 'none'"):
        calid(prediction_type="v_prediction").validate()
