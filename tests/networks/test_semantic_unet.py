# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from custom.networks.semantic_encoder import SemanticDenoiser, SemanticEncoder
from custom.networks.semantic_unet import SemanticResBlock, SemanticUNet

TINY = {"channels": (8, 8, 16), "attention": (False, False, True), "code_channels": 6, "norm_num_groups": 4}


def unet(**options):
    torch.manual_seed(0)
    network = SemanticUNet(**{**TINY, "embed_channels": 8, "morphology_level": 1, **options}).double().eval()
    for parameter in network.parameters():  # the ends that start at zero are to speak
        if parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def noisy(count=2, edge=16, seed=0):
    return torch.randn(count, 1, edge, edge, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def recorded(network, *arguments):
    """What goes into and comes out of each residual block, in order."""
    calls, hooks = [], []
    for block in (m for m in network.modules() if isinstance(m, SemanticResBlock)):
        hooks.append(block.register_forward_hook(lambda m, given, out: calls.append((m, given, out))))
    with torch.no_grad():
        network(*arguments)
    for hook in hooks:
        hook.remove()
    return calls


@pytest.mark.parametrize("patch_size", [1, 2])
def test_noise_has_the_size_of_the_slice(patch_size):
    network = unet(patch_size=patch_size)
    assert network.divisor == 4 * patch_size
    x = torch.zeros(2, 1, 24, 16, dtype=torch.float64)
    assert network(x, torch.tensor([0, 999]), torch.zeros(2, 6, dtype=torch.float64)).shape == x.shape


def test_an_untrained_network_predicts_no_noise():
    network = SemanticUNet(**TINY)
    assert not network(torch.randn(1, 1, 16, 16), torch.tensor([5]), torch.randn(1, 6)).any()


def test_the_code_reaches_every_block_by_itself():
    """With its input and the timestep held, each block's output still follows the code, and the timestep likewise."""
    x, t, code = noisy(), torch.tensor([3, 700]), torch.randn(2, 6, dtype=torch.float64)
    network = unet()
    calls = recorded(network, x, t, code)
    assert (
        len(calls)
        == len({id(block) for block, *_ in calls})
        == sum(isinstance(m, SemanticResBlock) for m in network.modules())
    )
    for block, (features, embedding, own), out in calls:
        assert not torch.allclose(block(features, embedding, own + 1), out, atol=1e-3)
        assert not torch.allclose(block(features, embedding + 1, own), out, atol=1e-3)


def test_the_timestep_scales_and_shifts_then_the_code_scales_only():
    torch.manual_seed(1)
    block = SemanticResBlock(8, 8, 4, embed_channels=5, code_channels=6).double()
    torch.nn.init.normal_(block.conv_out.weight)
    x, embedding, code = noisy(edge=8).expand(-1, 8, -1, -1), torch.randn(2, 5).double(), torch.randn(2, 6).double()
    normed = F.group_norm(block.conv_in(F.silu(block.norm_in(x))), 4)
    scale, shift = block.of_time(F.silu(embedding))[..., None, None].chunk(2, 1)
    told = (normed * (1 + scale) + shift) * (1 + block.of_code(F.silu(code))[..., None, None])
    torch.testing.assert_close(block(x, embedding, code), x + block.conv_out(F.silu(told)))
    # A code that says -1 silences the branch, shift and all.
    torch.nn.init.zeros_(block.of_code.weight)
    torch.nn.init.constant_(block.of_code.bias, -1)
    torch.testing.assert_close(block(x, embedding, code), x)


def test_the_map_enters_one_block_of_the_encoder_and_no_other():
    network = unet(morphology_channels=3, patch_size=1)
    assert network.morphology_factor == 2
    x, t, code = noisy(), torch.tensor([3, 700]), torch.randn(2, 6, dtype=torch.float64)
    morphology = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with_map, without = (recorded(network, x, t, code, m) for m in (morphology, torch.zeros_like(morphology)))
    entry = next(k for k, (block, *_) in enumerate(with_map) if block is network.encoder[1][1].block)
    for (_, one, _), (_, other, _) in zip(with_map[:entry], without[:entry], strict=True):
        torch.testing.assert_close(one[0], other[0], rtol=0, atol=0)
    one, other = with_map[entry][1][0], without[entry][1][0]
    torch.testing.assert_close(one[:, :8], other[:, :8], rtol=0, atol=0)
    torch.testing.assert_close(one[:, 8:], network.morphology_stem(morphology))
    assert one.shape[1] == 16
    # No other block is any wider than without a map.
    plain = recorded(unet(patch_size=1), x, t, code)
    widths = [[given[0].shape[1] for _, given, _ in calls] for calls in (with_map, plain)]
    assert [k for k, pair in enumerate(zip(*widths, strict=True)) if pair[0] != pair[1]] == [entry]
    assert not torch.allclose(*(network(x, t, code, m) for m in (morphology, 0 * morphology)), atol=1e-4)


def test_the_encoder_sums_a_slice_up_wherever_its_size():
    torch.manual_seed(0)
    encoder = SemanticEncoder(**TINY)
    assert encoder.divisor == 8
    codes = [encoder(torch.randn(2, 1, *size)) for size in ((16, 16), (24, 40))]
    assert codes[0].shape == codes[1].shape == (2, 6)


def test_encoder_and_denoiser_are_trained_together():
    torch.manual_seed(0)
    network = SemanticDenoiser(SemanticEncoder(**TINY), unet().float())
    assert network.divisor == 8
    x = torch.randn(2, 1, 16, 16)
    network(x, torch.tensor([1, 2]), x).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.encoder.layers[1].weight.grad.any()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"attention": (True,)}, "one per scale, got 3 and 1"),
        ({"morphology_channels": 3, "morphology_level": 3}, "morphology_level is from 1 to 2, got 3"),
    ],
)
def test_options_that_do_not_fit_are_told(options, line):
    with pytest.raises(ValueError, match=line):
        SemanticUNet(**{**TINY, **options})
