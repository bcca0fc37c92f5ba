# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CardioInterp as an interpolator: reproducible, independent of batch and tiling, seamless, any size."""

from __future__ import annotations

import pytest
import torch

from custom.interpolators.cardiointerp import CardioInterp
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.video_denoiser import MaskedVideoDenoiser


def small(**options) -> CardioInterp:
    torch.manual_seed(0)
    denoiser = MaskedVideoDenoiser(
        channels=(16, 16), num_res_blocks=1, spatial_attention=(False, True),
        temporal_attention=(True, True), num_head_channels=8, norm_num_groups=8,
    )  # fmt: skip
    autoencoder = FusionAutoencoder(channels=8, num_res_blocks=1)
    return CardioInterp(autoencoder, denoiser, **{"num_inference_steps": 2, "realism": 1.0} | options).eval()


POSITIONS = torch.tensor([0.25, 0.5, 0.75])


def test_a_seed_gives_the_same_frames_in_any_batch():
    model, pairs = small(), torch.rand(3, 2, 1, 32, 32)
    together = model.interpolate(pairs, POSITIONS, [1, 2, 3])
    alone = model.interpolate(pairs[1:2], POSITIONS, [2])
    assert together.shape == (3, 3, 1, 32, 32)
    assert torch.allclose(together[1:2], alone, atol=1e-5)
    assert not torch.allclose(alone, model.interpolate(pairs[1:2], POSITIONS, [3]), atol=1e-4)


@pytest.mark.parametrize("options", [{"guidance_weight": 0.1}, {"eta": 1.0}])
def test_guidance_and_eta_keep_reproducibility(options):
    model, pair = small(**options), torch.rand(1, 2, 1, 32, 32)
    first, again = (model.interpolate(pair, POSITIONS, [4]) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, small().interpolate(pair, POSITIONS, [4]), atol=1e-5)


@pytest.mark.parametrize("size", [(33, 50), (64, 64), (70, 131)])
def test_any_frame_size_comes_back(size):
    model = small(tile_size=(64, 64))
    frames = model.interpolate(torch.rand(1, 2, 1, *size), POSITIONS)
    assert frames.shape == (1, 3, 1, *size) and frames.min() >= 0 and frames.max() <= 1


def test_no_seam_where_tiles_meet():
    """Neighbouring pixels differ no more across tile borders than elsewhere, in a smooth pair of frames."""
    model = small(tile_size=(64, 64), batch_size=4)
    ramp = torch.linspace(0.3, 0.7, 160).expand(1, 1, 1, 160, 160)
    frame = model.interpolate(torch.cat([ramp, ramp.flip(-1)], dim=1), POSITIONS, [0])[0, 1, 0]
    jumps = frame.diff(dim=-1).abs().mean(0)[16:-16]  # one value per column border, away from the image's own edge
    starts = sorted({8 * tile[1].start for tile in model.tiler.tiles((20, 20))} - {0})
    borders = torch.tensor([column - 1 - 16 for column in starts if 16 < column < 144])
    assert jumps[borders].mean() < 1.5 * jumps.mean()


def test_wrapped_rows_continue_past_the_first_and_last_a_line():
    """The networks see the last A-lines above the first ones, and the first below the last."""
    frames = torch.rand(1, 2, 1, 49, 40)
    model = small()
    padded, (rows, columns) = model._pad(frames, wrap_rows=True)
    around = padded[..., rows.start - 16 : rows.stop + 16, columns]
    assert torch.equal(around, torch.cat([frames[..., -16:, :], frames, frames[..., :16, :]], dim=-2))
    assert padded.shape[-2] % 16 == padded.shape[-1] % 16 == 0


def test_neighbours_beyond_the_pair_are_not_read():
    model, four = small(), torch.rand(1, 4, 1, 32, 32)
    assert torch.equal(model.interpolate(four, POSITIONS, [0]), model.interpolate(four[:, 1:3], POSITIONS, [0]))


def test_latent_statistics_travel_with_the_state_and_undo_themselves():
    model, frames = small(), torch.rand(1, 3, 1, 32, 32)
    before = model.reconstruct(frames)
    model.set_latent_statistics(torch.tensor([0.1, 0.2, 0.3, 0.4]), 0.5)
    assert torch.allclose(model.reconstruct(frames), before, atol=1e-5)
    other = small()
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other.encode_latents(frames), model.encode_latents(frames))


def test_network_forward_has_the_shape_the_metadata_promises():
    assert small()(torch.rand(2, 2, 40, 48)).shape == (2, 5, 40, 48)
