# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.interpolation import lerp, slerp
from custom.diffusion.schedules import alphas_cumprod, betas
from custom.interpolators.dmcvr import DMCVR
from custom.networks.medformer import MedFormer
from custom.networks.semantic_encoder import SemanticDenoiser, SemanticEncoder
from custom.networks.semantic_unet import SemanticUNet

ALPHAS = alphas_cumprod(betas("linear", 1000, 1e-4, 0.02))


def dmcvr(channels=12, patch_size=8, **options):
    torch.manual_seed(0)
    segmenter = MedFormer(
        base_channels=4, channels=(4, 8, 8, 12), num_convolutions=1, num_attentions=1, heads=(2, 2, 2), expansion=1,
        fusion_width=8, fusion_heads=2, fusion_depth=1,
    )  # fmt: skip
    sizes = {"code_channels": 8, "norm_num_groups": 4, "patch_size": patch_size}
    encoder = SemanticEncoder((8, 8), attention=(False, False), **sizes)
    unet = SemanticUNet(
        (8, 8, 8), attention=(False,) * 3, embed_channels=8, morphology_channels=channels, morphology_level=1, **sizes
    )
    for parameter in unet.parameters():
        if parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return DMCVR(SemanticDenoiser(encoder, unet), segmenter, **{"num_inference_steps": 2, **options}).eval()


def pair(*space, seed=0):
    return torch.rand(1, 2, 1, *space, generator=torch.Generator().manual_seed(seed))


def test_any_position_of_slices_of_any_size():
    frames = dmcvr().interpolate(pair(40, 33), torch.tensor([0.2, 0.5, 0.9]))
    assert frames.shape == (1, 3, 1, 40, 33)
    assert frames.min() >= 0 and frames.max() <= 1


def test_the_morphology_code_is_the_segmenters_bottleneck():
    network, slices = dmcvr(), pair(32, 32)[0]
    z_sem, morphology = network.encode(slices)
    assert z_sem.shape == (2, 8) and morphology.shape == (2, 12, 2, 2)
    torch.testing.assert_close(morphology, network.segmenter.encode_bottleneck(slices))


def test_without_the_morphology_code_slices_come_out_otherwise():
    network, known = dmcvr(), pair(32, 32)[0]
    codes = network.encode(known)
    noise = network.invert(known, codes)
    changed = network.render(noise, [codes[0], torch.zeros_like(codes[1])])
    assert not torch.allclose(network.render(noise, codes), changed, atol=1e-3)


@pytest.mark.parametrize(("mixing", "along"), [("slerp", slerp), ("lerp", lerp)])
def test_the_map_is_mixed_as_asked_and_the_code_linearly(mixing, along):
    network = dmcvr(morphology_mixing=mixing)
    codes = network.encode(pair(32, 32)[0])
    before, after = ([code[k : k + 1] for code in codes] for k in (0, 1))
    z_sem, morphology = network.mix(before, after, torch.tensor([0.3]))
    torch.testing.assert_close(z_sem, lerp(before[0], after[0], 0.3))
    torch.testing.assert_close(morphology, along(before[1], after[1], 0.3))


def test_the_segmenter_is_frozen():
    network = dmcvr().train()
    assert network.denoiser.training and not any(m.training for m in network.segmenter.modules())
    slices = pair(32, 32)[0]
    network.denoiser(slices, torch.tensor([1, 2]), slices, **network.conditions(slices)).sum().backward()
    assert all(p.grad is not None for p in network.denoiser.parameters())
    assert all(p.grad is None and not p.requires_grad for p in network.segmenter.parameters())
    assert any(name.startswith("segmenter.") for name in network.state_dict())


@pytest.mark.parametrize("options", [{"channels": 10}, {"channels": 0}, {"patch_size": 4}])
def test_networks_that_do_not_fit_are_told(options):
    with pytest.raises(ValueError, match="the morphology code has 12 channels at 1/16 of the size, the U-Net takes"):
        dmcvr(**options)


def test_an_unknown_mixture_is_told():
    with pytest.raises(ValueError, match="morphology_mixing is 'slerp' or 'lerp', got 'cubic'"):
        dmcvr(morphology_mixing="cubic").validate()
