# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.errors import InputError
from custom.interpolators.calid import CaLID
from custom.interpolators.latent_bridge import LatentBridge
from custom.networks.neighbour_denoiser import NeighbourDenoiser
from custom.networks.slice_autoencoder import SliceAutoencoder
from custom.training.inflation import inflated, start_from_slices
from custom.weights import save_model, start_from

ALPHAS = alphas_cumprod(betas("scaled_linear", 1000, 0.0015, 0.0195))


def calid(cine, attention=(False, False), channels=(8, 8)):
    denoiser = NeighbourDenoiser(
        3 if cine else 2, channels=channels, num_res_blocks=1, attention=attention,
        condition_attention=attention, num_head_channels=8, norm_num_groups=4, pair_channels=(8, 8, 8),
        latent_factors=(1, 4, 4) if cine else (4, 4),
    )  # fmt: skip
    options = {"phase_downsampling": False} if cine else {}
    return CaLID(SliceAutoencoder(3 if cine else 2, (4, 8, 8), norm_num_groups=2, **options), denoiser, 2).eval()


@pytest.fixture
def slices(tmp_path):
    torch.manual_seed(0)
    network = calid(False, attention=(False, True))
    network.set_latent_statistics(0.2, 0.7)
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    save_model(network, tmp_path / "model.pt")
    return network


def test_a_kernel_becomes_the_middle_of_a_deeper_one():
    kernel = torch.rand(2, 3, 3, 3)
    deep = inflated(kernel, torch.empty(2, 3, 3, 3, 3))
    torch.testing.assert_close(deep[:, :, 1], kernel)
    assert not deep[:, :, [0, 2]].any()
    torch.testing.assert_close(inflated(kernel[..., :1, :1], torch.empty(2, 3, 1, 1, 1))[:, :, 0], kernel[..., :1, :1])
    assert inflated(torch.rand(3, 1, 1), torch.empty(3, 1, 1, 1)).shape == (3, 1, 1, 1)
    assert inflated(kernel, torch.empty(2, 4, 3, 3, 3)) is None


def test_the_cine_network_starts_as_the_slice_network_phase_by_phase(slices, tmp_path, monkeypatch):
    cine = start_from_slices(calid(True, attention=(False, True)), tmp_path / "model.pt")
    for network in (slices, cine):  # what looks over all phases at once cannot agree
        for module in network.modules():
            if isinstance(module, torch.nn.GroupNorm) or type(module).__name__ == "SpatialAttentionBlock":
                monkeypatch.setattr(module, "forward", lambda x: x)
    generator = torch.Generator().manual_seed(1)
    pair = torch.rand(1, 2, 1, 4, 32, 32, generator=generator)
    reconstruction = cine.reconstruct(pair)
    torch.testing.assert_close(reconstruction[:, :, :, 1], slices.reconstruct(pair[:, :, :, 1]), atol=1e-5, rtol=0)
    z, timesteps = torch.randn(1, 3, 1, 8, 8, generator=generator).expand(-1, -1, 4, -1, -1), torch.tensor([700])
    known, latents = pair[:, :, 0, :1].expand(-1, -1, 4, -1, -1), cine.encode_latents(pair[:, :, :, :1].expand_as(pair))
    deep = cine.denoiser(z, timesteps, known, *cine.denoiser.expect(latents))
    flat = slices.denoiser(z[:, :, 0], timesteps, known[:, :, 0], *slices.denoiser.expect(latents[:, :, :, 0]))
    # Of a still cine every phase is the 2D network's slice, also where the U-Net takes every other phase.
    torch.testing.assert_close(deep, flat.unsqueeze(2).expand_as(deep), atol=1e-4, rtol=1e-4)


def test_attention_that_only_the_slices_have_is_left_out(slices, tmp_path):
    cine = start_from_slices(calid(True), tmp_path / "model.pt")
    torch.testing.assert_close(cine.latent_scale.flatten(), slices.latent_scale.flatten())


def test_own_weights_come_first_and_none_means_a_fresh_start(slices, tmp_path):
    own = calid(True)
    save_model(own, tmp_path / "own.pt")
    started = start_from_slices(calid(True), tmp_path / "model.pt", tmp_path / "own.pt")
    assert all(torch.equal(a, b) for a, b in zip(started.state_dict().values(), own.state_dict().values(), strict=True))
    fresh = calid(True)
    before = fresh.denoiser.pair_encoder.stem.weight.clone()
    assert torch.equal(start_from_slices(fresh, None).denoiser.pair_encoder.stem.weight, before)


def test_weights_that_do_not_fit_are_told_in_one_line(slices, tmp_path):
    with pytest.raises(InputError, match=r"model.pt: does not fit this network \(denoiser"):
        start_from_slices(calid(True, channels=(16, 16)), tmp_path / "model.pt")
    with pytest.raises(InputError, match="no such weights; train the 2D bundle first"):
        start_from_slices(calid(True), tmp_path / "nowhere.pt")


def test_another_method_takes_over_the_codec_and_the_scale_of_its_latents(slices, tmp_path):
    codec = {"channels": (4, 8, 8), "norm_num_groups": 2, "motion": None, "decoder": "plain"}
    denoiser = {
        "channels": (8, 8),
        "num_res_blocks": 1,
        "attention": (False, False),
        "norm_num_groups": 4,
        "num_head_channels": 8,
    }
    bridge = start_from(LatentBridge(codec, denoiser), None, codec_weights=tmp_path / "model.pt")
    theirs = slices.state_dict()
    mine = {name: tensor for name, tensor in bridge.state_dict().items() if not name.startswith("denoiser.")}
    assert mine and all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    for other, fault in (
        ({**codec, "motion": {}}, "no autoencoder of this kind"),
        ({**codec, "channels": (8, 8, 8)}, "another"),
    ):
        with pytest.raises(InputError, match=fault):
            start_from(LatentBridge(other, denoiser), None, codec_weights=tmp_path / "model.pt")
    with pytest.raises(InputError, match="no weights of an autoencoder"):
        start_from(bridge, None, codec_weights=tmp_path / "none.pt")
