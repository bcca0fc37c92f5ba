# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import torch

from custom.networks.frequency_mixer import DCT2d, FrequencyMixer, WindowMixer, dct_matrix


def test_the_dct_is_orthonormal_and_comes_back():
    dct, maps = DCT2d(24).double(), torch.rand(2, 3, 24, 24, dtype=torch.float64)
    dct.matrix = dct_matrix(24)  # not rounded to float32
    coefficients = dct(maps)
    torch.testing.assert_close(dct.inverse(coefficients), maps, rtol=0, atol=1e-12)
    torch.testing.assert_close(coefficients.square().sum(), maps.square().sum())  # Parseval
    torch.testing.assert_close(coefficients[..., 0, 0], maps.mean((-1, -2)) * 24)


def test_a_cosine_is_one_coefficient():
    """Type II by its definition: cos(pi (2 n + 1) k / 2 N), along rows and along columns."""
    places = (2 * torch.arange(16.0) + 1) * torch.pi / 32
    spectrum = DCT2d(16)(torch.cos(3 * places)[:, None] * torch.cos(5 * places)[None])
    expected = torch.zeros(16, 16)
    expected[3, 5] = 8.0  # N / 2
    torch.testing.assert_close(spectrum, expected, atol=1e-5, rtol=0)


def test_the_transform_is_never_in_half_precision():
    maps = 1 + 1e-3 * torch.rand(1, 1, 64, 64)
    dct = DCT2d(64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrum = dct(maps)
    assert spectrum.dtype == torch.float32
    torch.testing.assert_close(spectrum, dct(maps))


def test_tokens_are_the_places_of_a_window():
    """A change in one coefficient reaches every place of its 4x4 window, in all channels, and no other window."""
    torch.manual_seed(0)
    mixer, features = WindowMixer(3, window_size=4), torch.rand(1, 3, 12, 8)
    changed = features.clone()
    changed[0, 1, 5, 6] += 1
    difference = (mixer(features) - mixer(changed)).abs()[0]
    assert difference[:, 4:8, 4:8].min() > 0
    difference[:, 4:8, 4:8] = 0
    assert difference.max() == 0


def test_all_windows_share_their_weights():
    torch.manual_seed(0)
    mixer, features = WindowMixer(2, window_size=4), torch.rand(1, 2, 8, 8)
    rolled = mixer(features.roll((4, 4), (-2, -1)))
    torch.testing.assert_close(rolled, mixer(features).roll((4, 4), (-2, -1)))


def test_with_neutral_weights_the_branch_adds_the_normalised_slice():
    """Identity convolutions and a silent mixer leave twice the normalised spectrum (mixer and skip), brought back."""
    branch, features = FrequencyMixer(2, 8, window_size=4), torch.rand(1, 2, 8, 8)
    for module in branch.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.dirac_(module.weight)
            torch.nn.init.zeros_(module.bias)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    spectrum = branch.norm(branch.dct(features))
    torch.testing.assert_close(branch.dct(branch(features)), 2 * spectrum, atol=1e-5, rtol=1e-5)
