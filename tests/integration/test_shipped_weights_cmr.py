# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The weights of the cardiac MR bundles: they beat linear interpolation, they use the condition, they leave no seam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch.nn.functional import avg_pool2d

from custom.interpolators.calid import CaLID
from custom.interpolators.classical import LinearFrames
from custom.interpolators.optical_flow import FlowMidpoint
from custom.interpolators.variants import variant
from custom.metrics.fidelity import psnr, ssim
from custom.networks.padding import pad_slices
from custom.networks.tiling import FrameTiler
from custom.phantoms.cmr import CmrPhantomConfig, simulate_heart
from custom.scans.stacks import stack_intensity_range
from custom.weights import load_model

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
SEED = 20_261_121  # the phantom's data sets draw their seeds otherwise: no training set holds this heart
MIDDLE = torch.tensor([0.5])


@dataclass(frozen=True)
class Case:
    """A bundle, and a heart of a size that it gets through in seconds.

    Attributes:
        bundle: its name.
        heart: 8 mm between slices, so that the neighbours of a slice lie 16 mm apart.
        large: a slice of (rows, columns) that takes several tiles.
        tile_size: those tiles.
    """

    bundle: str
    heart: CmrPhantomConfig
    large: tuple[int, int]
    tile_size: tuple[int, int]


CASES = [
    Case("calid", CmrPhantomConfig(num_phases=1, matrix=128, pitch_mm=8.0), (200, 180), (160, 160)),
    Case("calid_cine", CmrPhantomConfig(num_phases=16, matrix=64, pitch_mm=8.0, extent_mm=48.0), (104, 96), (64, 64)),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.bundle)
def case(request):
    if not (BUNDLES / request.param.bundle / "models" / "model.pt").is_file():
        pytest.skip("no weights yet")
    return request.param


@pytest.fixture(scope="module")
def network(case) -> CaLID:
    parser = ConfigParser()
    parser.read_config(BUNDLES / case.bundle / "configs" / "inference.json")
    weights = BUNDLES / case.bundle / "models" / "model.pt"
    return load_model(parser.get_parsed_content("network_def"), weights).eval()


@pytest.fixture(scope="module")
def one_step(network) -> CaLID:
    """The default: the likeliest slice, with half of the texture that it lacks."""
    assert network.realism == 0 and network.texture == 0.5
    return network


def slices_of(heart: CmrPhantomConfig, takes_phases: bool) -> torch.Tensor:
    """The slices of the heart, `(N, 1, *space)` in [0, 1]."""
    values = simulate_heart(heart, SEED).image
    low, high = stack_intensity_range(values)
    slices = torch.from_numpy(((values - low) / (high - low)).clip(0, 1).astype(np.float32)).permute(2, 3, 0, 1)
    return slices[:, None] if takes_phases else slices[:, :1]


@pytest.fixture(scope="module")
def triplets(case, network) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Slices before, between and after, each `(N, 1, *space)`."""
    slices = slices_of(case.heart, network.takes_phases)
    return slices[:-2], slices[1:-1], slices[2:]


def fidelity(predicted: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """Mean PSNR in dB and SSIM over slices and phases."""
    images = (slices.reshape(-1, 1, *slices.shape[-2:]) for slices in (predicted, truth))
    pair = tuple(images)
    return float(psnr(*pair).mean()), float(ssim(*pair).mean())


def midpoints(network: CaLID, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return network.interpolate(torch.stack([before, after], 1), torch.tensor([0.5]))[:, 0]


@pytest.fixture(scope="module")
def predicted(one_step, triplets) -> torch.Tensor:
    """The slices between, in one step."""
    return midpoints(one_step, triplets[0], triplets[2])


def test_the_default_beats_linear_interpolation_and_optical_flow(predicted, triplets):
    before, truth, after = triplets
    ours = fidelity(predicted, truth)
    linear = fidelity(LinearFrames().interpolate(torch.stack([before, after], 1), MIDDLE)[:, 0], truth)
    assert ours[0] > linear[0] + 0.5 and ours[1] > linear[1], (ours, linear)
    few = slice(None, None, 3)
    flow = fidelity(by_flow(before[few], after[few]), truth[few])
    assert fidelity(predicted[few], truth[few])[0] > flow[0], flow


def by_flow(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Optical flow, phase by phase."""
    images = (slices.reshape(-1, 1, *slices.shape[-2:]) for slices in (before, after))
    return FlowMidpoint().interpolate(torch.stack(tuple(images), 1), MIDDLE)[:, 0].view(before.shape)


def test_between_equal_slices_lies_the_same_slice(network, triplets):
    same = triplets[1][3:5]
    mean_square = (midpoints(network, same, same) - same).square().flatten(1).mean(1)
    # 36 dB: what is lost is the noise of the phantom, which the motion network smooths, most in the coarse cine.
    assert (mean_square < 2.5e-4).all(), mean_square


def test_at_the_realistic_end_slices_are_as_sharp_as_those_beside(network, triplets):
    before, _, after = (slices[2:6] for slices in triplets)
    sharp = [_finest(slices) for slices in (midpoints(variant(network, realism=1.0), before, after), before, after)]
    assert 0.85 < 2 * sharp[0] / (sharp[1] + sharp[2]) < 1.15


def _finest(slices: torch.Tensor) -> float:
    images = slices.reshape(-1, 1, *slices.shape[-2:])
    return float((images - avg_pool2d(images, 3, 1, 1)).square().mean().sqrt())


def test_eight_steps_stay_within_three_decibels_of_linear_interpolation(network, triplets):
    """Each sample is one of many hearts that the neighbours allow: it cannot be as near to the truth as their mean."""
    before, truth, after = (slices[::4] for slices in triplets)
    assert network.num_inference_steps == 8
    ours, _ = fidelity(midpoints(variant(network, realism=1.0), before, after), truth)
    linear, _ = fidelity((before + after) / 2, truth)
    assert ours > linear - 3


def test_neighbours_of_another_place_cost_decibels(one_step, predicted, triplets):
    before, truth, after = triplets
    shift = len(before) // 2
    wrong = midpoints(one_step, before.roll(shift, 0), after.roll(shift, 0))
    assert fidelity(predicted, truth)[0] > fidelity(wrong, truth)[0] + 1


def test_refinement_starts_from_the_neighbours_and_not_from_noise(network, triplets):
    before, truth, after = (slices[3:4] for slices in triplets)
    plain, refined = (
        [
            variant(network, realism=float(not refine), num_inference_steps=2, refine=refine).interpolate(
                torch.stack([before, after], 1), MIDDLE, [seed]
            )
            for seed in (0, 1)
        ]
        for refine in (False, True)
    )
    assert not torch.equal(*plain) and torch.equal(*refined)
    assert fidelity(refined[0], truth)[0] > fidelity((before + after) / 2, truth)[0] - 6


def test_tiles_leave_no_seam(case, one_step):
    """Where tiles begin and end, the slice departs from that of one great tile no more steeply than beside it."""
    heart = CmrPhantomConfig(
        num_phases=case.heart.num_phases, matrix=max(case.large), pitch_mm=16.0, extent_mm=32.0, pixel_mm=1.6
    )
    slices = slices_of(heart, one_step.takes_phases)[1:, ..., : case.large[0], : case.large[1]]
    cell = one_step.autoencoder.factor
    tiled, whole = (
        variant(one_step, tiler=FrameTiler(size, one_step.tiler.overlap, 4, cell))
        for size in (case.tile_size, (256, 256))
    )
    padded, (*_, rows, columns) = pad_slices(slices[None, :, 0], tiled.divisor)
    tiles = tiled.tiler.tiles([extent // cell for extent in padded.shape[-2:]])
    departure = midpoints(tiled, slices[:1], slices[1:]) - midpoints(whole, slices[:1], slices[1:])
    relative = []
    for axis, window in ((-2, rows), (-1, columns)):
        steps = departure.diff(dim=axis).abs().movedim(axis, 0).flatten(1).mean(1)
        borders = {border * cell - window.start for tile in tiles for border in (tile[axis].start, tile[axis].stop)}
        inner = [border - 1 for border in borders if 0 < border < departure.shape[axis]]
        relative += [float(steps[k] / steps[max(0, k - 8) : k + 9].median()) for k in inner]
    assert len(tiles) >= 4 and len(relative) >= 4
    # 1.0 and 1.3 for the two bundles; 3.9 and 3.8 with tiles put side by side.
    assert np.mean(relative) < 2, relative


@pytest.mark.parametrize("name", ["motion", "unet_regression", "flavr"])
def test_networks_of_one_pass_beat_linear_interpolation(name):
    slices = slices_of(CASES[0].heart, False)
    parser = ConfigParser()
    parser.read_config(BUNDLES / name / "configs" / "inference.json")
    network = load_model(parser.get_parsed_content("network_def"), BUNDLES / name / "models" / "model.pt").eval()
    gaps = range(1, len(slices) - 3)  # the slices beyond are two further on, the distance of the known ones
    known = torch.stack([slices[[max(k - 2, 0), k, k + 2, min(k + 4, len(slices) - 1)]] for k in gaps])
    known = known if network.num_neighbours == 4 else known[:, 1:3]
    truth = torch.stack([slices[k + 1] for k in gaps])
    ours, linear = (fidelity(method.interpolate(known, MIDDLE)[:, 0], truth) for method in (network, LinearFrames()))
    assert ours[0] > linear[0] + 0.3 and ours[1] > linear[1], (ours, linear)
