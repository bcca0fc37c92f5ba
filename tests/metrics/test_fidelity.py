# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from custom.metrics.fidelity import PSNR_CAP_DB, error_map, legacy_ssim, psnr, speckle_filtered_psnr, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 1, 40, 33, generator=generator)
    noise = torch.randn(3, 1, 40, 33, generator=generator)
    return (target + torch.tensor([0.02, 0.1, 0.4]).reshape(3, 1, 1, 1) * noise).clamp(0, 1), target


def test_psnr_by_hand():
    target = torch.full((2, 1, 4, 4), 0.5)
    pred = target + torch.tensor([0.1, 0.01]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(psnr(pred, target), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)
    eight_bit = psnr(255 * pred, 255 * target, data_range=255.0)
    torch.testing.assert_close(eight_bit, torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_legacy_ssim_is_that_of_images_in_minus_one_to_one_at_data_range_one(pair):
    pred, target = pair
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = [
        structural_similarity(2 * p[0].numpy() - 1, 2 * t[0].numpy() - 1, **options)
        for p, t in zip(pred, target, strict=True)
    ]
    np.testing.assert_allclose(legacy_ssim(pred, target), expected, atol=1e-3)
    flat = torch.full_like(target, 0.5)
    noisy = flat + 0.02 * (pred - target).sign()
    assert (legacy_ssim(noisy, flat) < ssim(noisy, flat)).all()


def test_metrics_agree_with_scikit_image(pair):
    pred, target = pair
    for k in range(3):
        a, b = pred[k, 0].double().numpy(), target[k, 0].double().numpy()
        assert psnr(pred, target)[k].item() == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4)
        reference = structural_similarity(
            b, a, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
        )
        assert ssim(pred, target)[k].item() == pytest.approx(reference, abs=1e-5)


def test_equal_images_score_the_cap_and_one(pair):
    _, target = pair
    assert psnr(target, target).tolist() == [PSNR_CAP_DB] * 3
    assert speckle_filtered_psnr(target, target).tolist() == [PSNR_CAP_DB] * 3
    torch.testing.assert_close(ssim(target, target), torch.ones(3))


@pytest.mark.parametrize("metric", (psnr, ssim, speckle_filtered_psnr))
def test_intensities_are_clipped_and_half_precision_is_raised(metric, pair):
    pred, target = pair
    wild = pred.clone()
    wild[:, :, :5] = wild[:, :, :5] + 7
    tame = wild.clamp(0, 1)
    torch.testing.assert_close(metric(wild, target), metric(tame, target))
    assert metric(pred.half(), target).dtype == torch.float32
    assert metric(pred, target).shape == (3,)


@pytest.mark.parametrize("metric", (psnr, ssim, speckle_filtered_psnr, error_map))
def test_shapes_must_agree(metric, pair):
    pred, target = pair
    with pytest.raises(ValueError, match="shape|share"):
        metric(pred, target[:1])
    with pytest.raises(ValueError, match="shape|share"):
        metric(pred[0], target[0])


def test_nan_is_not_hidden(pair):
    pred, target = pair
    broken = pred.clone()
    broken[1, 0, 20, 20] = math.nan
    for metric in (psnr, ssim, speckle_filtered_psnr):
        values = metric(broken, target)
        assert torch.isnan(values).tolist() == [False, True, False]


def test_speckle_filter_prefers_the_right_anatomy_to_the_blurred_one():
    """Plain PSNR ranks a smear above the true anatomy under fresh speckle; the filtered one ranks them rightly."""
    rng = np.random.default_rng(0)
    anatomy = np.full((96, 96), 0.15)
    anatomy[:, 48:] = 0.4
    smear = np.broadcast_to(0.15 + 0.25 * np.clip((np.arange(96) - 24) / 48, 0, 1), (96, 96))

    def speckled():
        return anatomy * rng.rayleigh(scale=math.sqrt(2 / math.pi), size=anatomy.shape)

    target, fresh, blurred = (torch.tensor(a)[None, None] for a in (speckled(), speckled(), smear))
    assert psnr(blurred, target) > psnr(fresh, target)
    assert speckle_filtered_psnr(fresh, target) > speckle_filtered_psnr(blurred, target) + 3


def test_speckle_filter_invents_nothing_at_the_border():
    target = torch.full((1, 1, 20, 20), 0.8)
    assert speckle_filtered_psnr(target - 0.1, target).item() == pytest.approx(20.0, abs=1e-3)


def test_error_map(pair):
    pred, target = pair
    errors = error_map(pred + 2, target)
    torch.testing.assert_close(errors, 1 - target)
