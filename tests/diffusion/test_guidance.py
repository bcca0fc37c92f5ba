# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.guidance import guide
from custom.diffusion.interpolation import lerp, slerp


def gaussian(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_weight_zero_is_off_and_one_is_not():
    eps, free = gaussian(4, seed=1), gaussian(4, seed=2)
    assert torch.equal(guide(eps, free, 0.0), eps)
    torch.testing.assert_close(guide(eps, free, 1.0), 2 * eps - free)


def test_weight_is_the_usual_scale_less_one():
    eps, free = gaussian(4, seed=1), gaussian(4, seed=2)
    torch.testing.assert_close(guide(eps, free, 0.1), free + 1.1 * (eps - free))


def test_slerp_keeps_the_norm_that_lerp_loses():
    a, b = gaussian(3, 4, 32, 32, seed=1), gaussian(3, 4, 32, 32, seed=2)
    norms = [x.flatten(1).norm(dim=1) for x in (a, b, slerp(a, b, 0.5), lerp(a, b, 0.5))]
    torch.testing.assert_close(norms[2], (norms[0] + norms[1]) / 2, rtol=0.02, atol=0)
    assert (norms[3] / norms[0]).max().item() < 0.75


def test_slerp_in_the_plane_moves_at_constant_angle():
    a, b = torch.tensor([[2.0, 0.0]]).double(), torch.tensor([[0.0, 2.0]]).double()
    for alpha in (0.0, 0.25, 0.5, 1.0):
        angle = torch.tensor(alpha * torch.pi / 2, dtype=torch.float64)
        torch.testing.assert_close(slerp(a, b, alpha), 2 * torch.stack([angle.cos(), angle.sin()])[None])


def test_slerp_has_one_angle_per_item():
    a, b = gaussian(2, 3, 5, seed=1), gaussian(2, 3, 5, seed=2)
    both = slerp(a, b, 0.3)
    torch.testing.assert_close(both[1:], slerp(a[1:], b[1:], 0.3))
    per_frame = slerp(a, b, 0.3, start_dim=2)
    torch.testing.assert_close(per_frame[:, 1:2], slerp(a[:, 1:2], b[:, 1:2], 0.3))
    assert not torch.allclose(both, per_frame)


def test_slerp_of_many_positions_at_once():
    a, b = gaussian(2, 1, 3, 4, seed=1), gaussian(2, 1, 3, 4, seed=2)
    alphas = torch.tensor([0.25, 0.5]).double()
    together = slerp(a, b, alphas.reshape(2, 1, 1), start_dim=2)
    torch.testing.assert_close(together[:, 1:], slerp(a, b, 0.5, start_dim=2))


@pytest.mark.parametrize("factor", (1.0, -1.0, 0.0))
def test_slerp_of_parallel_latents_is_lerp(factor):
    a = gaussian(2, 8, seed=1)
    a[1] = 1.0
    b = factor * a
    if factor:
        torch.testing.assert_close(slerp(a, b, 0.25), lerp(a, b, 0.25))
    assert torch.isfinite(slerp(a, b, 0.25)).all()


def test_slerp_in_half_precision_is_computed_in_single():
    a, b = gaussian(1, 4, 64, 64, seed=1, dtype=torch.float16), gaussian(1, 4, 64, 64, seed=2, dtype=torch.float16)
    mixed = slerp(a, b, 0.5)
    assert mixed.dtype == torch.float16
    torch.testing.assert_close(mixed.float(), slerp(a.float(), b.float(), 0.5), atol=4e-3, rtol=0)


def test_slerp_is_differentiable_where_latents_agree():
    a = gaussian(2, 8, seed=1).requires_grad_()
    slerp(a, a.detach().clone(), 0.5).sum().backward()
    assert torch.isfinite(a.grad).all()
