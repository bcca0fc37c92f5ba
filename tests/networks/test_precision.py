# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What half precision must not touch, it does not: here on the CPU, whose autocast works as a GPU's."""

from __future__ import annotations

import pytest
import torch

from custom.networks.feature_flow import backward_warp, feature_flow, flow_interpolation
from custom.networks.frequency_mixer import DCT2d
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.tiling import FrameTiler

HALF = pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])


def features(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@HALF
def test_half_precision_would_change_matches(half):
    """The reason for the rest: cells that all look much alike are told apart by what half precision drops."""
    first, last = features(1, 8, 24, 24) + 10, features(1, 8, 24, 24, seed=1) + 10

    def match(dtype):
        a, b = (torch.nn.functional.normalize(x, dim=1).to(dtype).flatten(2) for x in (first, last))
        return torch.einsum("bcp,bcq->bpq", a, b).argmax(2)

    assert (match(half) != match(torch.float32)).float().mean() > 0.1


@HALF
@pytest.mark.parametrize("search_radius", [None, 3])
def test_flow_is_matched_in_single_precision_under_autocast(half, search_radius):
    first, last = features(1, 8, 24, 24) + 10, features(1, 8, 24, 24, seed=1) + 10
    positions = torch.tensor([0.3, 0.5])
    plain = feature_flow(first, last, search_radius), flow_interpolation(first, last, positions, search_radius)
    with torch.autocast("cpu", half):
        flow = feature_flow(first, last, search_radius)
        between = flow_interpolation(first, last, positions, search_radius)
        narrow = feature_flow(first.to(half), last.to(half), search_radius)
    assert torch.equal(flow, plain[0]) and torch.equal(between, plain[1])
    assert narrow.dtype == torch.float32
    assert torch.equal(narrow, feature_flow(first.to(half).float(), last.to(half).float(), search_radius))


@HALF
def test_a_warp_reads_half_precision_features_at_exact_places(half):
    """A place near 200 has steps of a whole cell in bfloat16."""
    ramp = torch.arange(256.0).expand(1, 1, 2, 256).to(half)
    shift = torch.zeros(1, 2, 2, 256)
    shift[:, 0] = 0.25
    with torch.autocast("cpu", half):
        warped = backward_warp(ramp, shift)
    assert warped.dtype == half
    torch.testing.assert_close(warped, backward_warp(ramp.float(), shift).to(half))


@HALF
def test_key_frames_are_encoded_in_single_precision_where_they_are_matched(half):
    torch.manual_seed(0)
    network = FusionAutoencoder(channels=8).eval()
    seen = []

    def note(_, arguments):
        seen.append(arguments[1])

    network.decoder.register_forward_pre_hook(note)
    latents, keys = features(1, 3, 4, 2, 2), features(1, 2, 1, 16, 16)
    with torch.no_grad():
        network.decode(latents, keys, torch.tensor([0.0, 0.5, 1.0]))
        with torch.autocast("cpu", half):
            network.decode(latents, keys, torch.tensor([0.0, 0.5, 1.0]))
    assert all(torch.equal(*pair) for pair in zip(*seen, strict=True))


@HALF
def test_tiles_are_blended_in_single_precision(half):
    image = torch.rand(1, 1, 64, 64)
    result = FrameTiler((32, 32), overlap=0.5)(lambda tile: tile.to(half), (image, 8), out_scale=8)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, image.to(half).float(), atol=1e-6, rtol=0)


def test_spectra_know_no_autocast_and_no_device_without_it():
    dct, maps = DCT2d(8), features(1, 1, 8, 8)
    plain = dct(maps)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(dct(maps), plain)
    assert DCT2d(8).to("meta")(maps.to("meta")).device.type == "meta"
