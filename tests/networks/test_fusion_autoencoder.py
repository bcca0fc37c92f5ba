# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The autoencoder: shapes, what each option of Table 2 changes, and where gradients go."""

from __future__ import annotations

import pytest
import torch

from custom.networks.fusion_autoencoder import FusionAutoencoder


def small(**options) -> FusionAutoencoder:
    torch.manual_seed(0)
    return FusionAutoencoder(channels=8, num_res_blocks=1, **options)


def test_shapes_at_factor_eight():
    recon, mean, log_variance = small()(torch.rand(2, 5, 1, 32, 40))
    assert recon.shape == (2, 5, 1, 32, 40)
    assert mean.shape == log_variance.shape == (2, 5, 4, 4, 5)


def test_fusion_is_silent_before_training():
    """Zero-initialised projections: the decoder with fusion starts as the decoder without (A6)."""
    fused, plain = small(fusion="flow"), small(fusion="none")
    plain.load_state_dict({k: v for k, v in fused.state_dict().items() if "fusions" not in k})
    frames = torch.rand(1, 3, 1, 16, 16)
    assert torch.allclose(fused(frames)[0], plain(frames)[0])


def test_shift_has_no_parameters_and_couples_frames():
    shifted, single = small(temporal="shift", fusion="none"), small(temporal="none", fusion="none")
    assert sum(p.numel() for p in shifted.parameters()) == sum(p.numel() for p in single.parameters())
    single.load_state_dict(shifted.state_dict())
    frames = torch.rand(1, 3, 1, 16, 16)
    changed = frames.clone()
    changed[:, 0] = 0
    reach = [(model(frames)[0] - model(changed)[0]).abs().amax(dim=(0, 2, 3, 4)) for model in (single, shifted)]
    assert reach[0][1:].max() == 0  # frames of the 2D decoder know nothing of each other
    assert reach[1][1] > 0


@pytest.mark.parametrize("fusion", ["addition", "flow"])
def test_key_frames_reach_middle_frames_once_fusion_is_open(fusion):
    model = small(temporal="none", fusion=fusion)
    for path in model.decoder.fusions:
        torch.nn.init.normal_(path.project.weight)
    frames = torch.rand(1, 3, 1, 16, 16)
    latents, positions = model.encode(frames), torch.linspace(0, 1, 3)
    one, other = (model.decode(latents, keys, positions) for keys in (frames[:, [0, 2]], frames[:, [2, 0]]))
    asymmetric = fusion == "flow"  # addition gives every frame the mean of both, whatever their order
    assert torch.allclose(one[:, 0], other[:, 0], atol=1e-5) != asymmetric


def test_every_parameter_is_trained():
    model = small()
    frames = torch.rand(1, 5, 1, 16, 16)
    for _ in range(2):  # the second step opens what a zero-initialised projection holds back
        recon, _, log_variance = model(frames)
        (recon.square().mean() + log_variance.mean()).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_latent_noise_spares_key_frames_and_repeats_with_its_generator():
    model = small(temporal="none", fusion="none")
    frames = torch.rand(1, 4, 1, 16, 16)
    clean = model(frames)[0]
    noisy = [model(frames, 0.5, torch.Generator().manual_seed(1))[0] for _ in range(2)]
    assert torch.equal(*noisy)
    assert torch.allclose(noisy[0][:, [0, -1]], clean[:, [0, -1]], atol=1e-6)
    assert (noisy[0] - clean)[:, 1:-1].abs().max() > 1e-4


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="temporal"):
        small(temporal="lstm")
