# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The papers' methods with a motion network inside: what it guesses, they start from."""

from __future__ import annotations

import pytest
import torch

from custom.inferers.gaps import GapInferer
from custom.interpolators.base import ANYWHERE, MIDDLE
from custom.interpolators.calid import CaLID, CaLIDCine
from custom.interpolators.cardiointerp import CardioInterp
from custom.interpolators.latent_average import LatentAverage
from custom.interpolators.latent_bridge import LatentBridge
from custom.interpolators.latent_midpoint import shared_noise
from custom.interpolators.motion import MotionInterpolator
from custom.interpolators.variants import variant
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.motion import MotionNetwork
from custom.networks.slice_autoencoder import SliceAutoencoder

PLACES = torch.tensor([0.25, 0.5, 0.8])
SMALL = {"channels": (8, 16), "num_res_blocks": 1, "num_head_channels": 8, "norm_num_groups": 4}


def speaking():
    """A small motion network whose zero-initialised heads speak."""
    torch.manual_seed(0)
    network = MotionNetwork((8,) * 6, (8,) * 6, norm_num_groups=4).eval()
    for head in (network.motion.final_conv, network.residual.final_conv):
        torch.nn.init.normal_(head.weight, std=0.05)
    return network


def slice_codec(spatial_dims=2):
    keeps = {} if spatial_dims == 2 else {"phase_downsampling": False}
    return SliceAutoencoder(spatial_dims, (4, 8, 8), norm_num_groups=2, motion=speaking(), decoder="fusion", **keeps)


def network_of(kind, **options):
    torch.manual_seed(1)
    if kind == "calid":
        return CaLID(slice_codec(), {**SMALL, "pair_channels": (8, 8, 8), "attention": (False, True)}
                     | {"condition_attention": (False, True)}, **options).eval()  # fmt: skip
    if kind == "cine":
        attention = {"attention": (False, False), "condition_attention": (False, False)}
        return CaLIDCine(slice_codec(3), {**SMALL, "pair_channels": (8, 8, 8), **attention}, **options).eval()
    if kind == "bridge":
        return LatentBridge(slice_codec(), {**SMALL, "attention": (False, True)}, **options).eval()
    codec = FusionAutoencoder(channels=8, motion=speaking(), fusion="motion", upsampling="resize")
    attention = {"spatial_attention": (False, True), "temporal_attention": (True, True)}
    return CardioInterp(codec, {**SMALL, **attention}, **options).eval()


def let_speak(network):
    """Give every zero-initialised end of a network something to say."""
    torch.manual_seed(2)
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.02)
    return network


def frames(kind, batch=2, size=(40, 36)):
    space = (3, *size) if kind == "cine" else size
    return torch.rand(batch, 2, 1, *space, generator=torch.Generator().manual_seed(3))


KINDS = ["calid", "cine", "bridge", "cardiointerp"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texture", [0.0, 0.7])
def test_untrained_it_gives_what_the_motion_network_guesses_at_any_position(kind, texture):
    network, known = network_of(kind, texture=texture), frames(kind, size=(32, 64))  # whole cells: nothing is padded
    made = network.interpolate(known, PLACES)
    motion = MotionInterpolator(network.motion, both_ways=kind == "cardiointerp", texture=texture)
    if kind == "cine":
        guess = torch.stack([motion.interpolate(known[:, :, :, t], PLACES) for t in range(3)], dim=3)
    else:
        guess = motion.interpolate(known, PLACES)
    assert made.shape == guess.shape
    torch.testing.assert_close(made, guess, atol=1e-4, rtol=0)
    assert network.reach == (ANYWHERE if kind != "cardiointerp" else network.reach)


def test_looked_at_from_both_ways_the_order_of_the_frames_makes_no_difference():
    network, known = network_of("cardiointerp"), frames("cardiointerp", size=(32, 64))
    for both_ways in (True, False):
        network.both_ways = both_ways
        one, other = network.interpolate(known, PLACES), network.interpolate(known.flip(1), 1 - PLACES.flip(0)).flip(1)
        assert torch.allclose(one, other, atol=1e-4) is both_ways


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_slice_needs_no_seed_and_samples_do(kind):
    network, known = let_speak(network_of(kind, realism=1.0, num_inference_steps=2)), frames(kind)
    one, other = (network.interpolate(known, PLACES, [seed, 5]) for seed in (1, 2))
    assert not torch.allclose(one[0], other[0], atol=1e-4) and torch.allclose(one[1], other[1], atol=1e-5)
    network = variant(network, realism=0.0)
    one, other = (network.interpolate(known, PLACES, [seed, 5]) for seed in (1, 2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_likeliest_slice_it_says_how_far_off_it_may_be(kind):
    network, known = let_speak(network_of(kind)), frames(kind)
    made, error = network.predict(known, PLACES)
    assert error.shape == made.shape and (error > 0).all() and torch.equal(made, network.interpolate(known, PLACES))
    assert variant(network, realism=1.0, num_inference_steps=1).predict(known, PLACES)[1] is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_does_not_depend_on_the_others_asked_with_it(kind):
    if kind == "cardiointerp":
        pytest.skip("frames of a window attend to each other")
    network, known = let_speak(network_of(kind)), frames(kind)
    together = network.interpolate(known, PLACES)
    alone = network.interpolate(known, PLACES[1:2])
    torch.testing.assert_close(together[:, 1:2], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_motion_network_is_not_trained_with_the_others(kind):
    network = network_of(kind)
    assert not any(parameter.requires_grad for parameter in network.motion.parameters())
    assert any(parameter.requires_grad for parameter in network.autoencoder.parameters())


@pytest.mark.parametrize("codec", ["slices", "window"])
def test_the_autoencoder_reconstructs_what_lies_between_known_ends(codec):
    torch.manual_seed(0)
    if codec == "slices":
        network = slice_codec()
    else:
        network = FusionAutoencoder(channels=8, motion=speaking(), fusion="motion", upsampling="resize")
    window = torch.rand(2, 4, 1, 32, 32) * 2 - 1
    made, mean, log_variance, target = network(window, 0.1, torch.Generator().manual_seed(0))
    assert network.knows_ends and made.shape == target.shape == (2, 2, 1, 32, 32)
    # What is asked of the decoder lies between the guess, which an untrained decoder gives, and the true slice.
    guess, truth = made.detach(), window[:, 1:-1]
    shares = ((target - guess) * (truth - guess)).flatten(2).sum(2) / (truth - guess).square().flatten(2).sum(2)
    assert ((shares > -1e-5) & (shares < 1 + 1e-5)).all() and shares.std() > 0.1
    torch.testing.assert_close(target, torch.lerp(guess, truth, shares[:, :, None, None, None]))
    assert mean.shape == log_variance.shape and mean.shape[:2] == (2, 4)
    (made - window[:, 1:-1]).abs().mean().backward()
    assert network.last_layer_weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.motion.parameters())


def test_the_turn_of_a_whole_polar_frame_is_undone_and_redone():
    network = network_of("cardiointerp")
    rows = torch.linspace(0, 2 * torch.pi, 65)[:-1]
    frame = (0.5 + 0.4 * torch.sin(rows) * torch.cos(3 * rows))[:, None].expand(-1, 32).contiguous()
    frame = frame * torch.linspace(0.2, 1, 32)
    known = torch.stack([frame, frame.roll(12, 0)])[None, :, None]
    made = network.interpolate(known, torch.tensor([0.5]), wrap_rows=True)[0, 0, 0]
    still = network.interpolate(known[:, [0, 0]], torch.tensor([0.5]), wrap_rows=True)[0, 0, 0]
    torch.testing.assert_close(made, still.roll(6, 0), atol=0.02, rtol=0)


def test_slices_of_a_gap_and_phases_of_a_cine_share_their_noise():
    like = torch.zeros(6, 3, 4, 8, 8)
    draw = shared_noise(lambda first: torch.randn(first.shape, generator=torch.Generator().manual_seed(0)), 3, True)
    noise = draw(like)
    assert noise.shape == like.shape and torch.equal(noise[0], noise[2]) and not torch.equal(noise[0], noise[3])
    assert torch.equal(noise[:, :, 0], noise[:, :, 3])


def test_without_motion_it_knows_the_middle_only_and_averages_latents_plainly():
    plain = CaLID(SliceAutoencoder(2, (4, 8, 8), norm_num_groups=2), {**SMALL, "pair_channels": (8, 8, 8)}
                  | {"attention": (False, True), "condition_attention": (False, True)})  # fmt: skip
    assert plain.reach == MIDDLE and plain.denoiser.prior == "linear" and plain.motion is None
    with pytest.raises(ValueError, match="positions"):
        plain.interpolate(frames("calid"), PLACES)
    assert LatentAverage(network_of("calid")).interpolate(frames("calid"), PLACES).shape == (2, 3, 1, 40, 36)


def test_a_decoder_that_fuses_needs_a_motion_network():
    with pytest.raises(ValueError, match="fusion"):
        SliceAutoencoder(decoder="fusion")
    with pytest.raises(ValueError, match="motion"):
        FusionAutoencoder(fusion="motion")


def test_several_samples_of_the_likeliest_slice_are_refused():
    inferer = GapInferer(factor=2, num_samples=2)
    with pytest.raises(ValueError, match="would be the same at realism 0; add --realism 1"):
        inferer.validate(network_of("calid"))
    inferer.validate(network_of("calid", realism=1.0))
    with pytest.raises(ValueError, match="would be the same at realism 0; add --realism 1"):
        inferer.validate(network_of("bridge"))
