# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""LPIPS with random weights in files of the real layout: loading and algebra need no real ones."""

from __future__ import annotations

import logging
import sys

import pytest
import torch

from custom.errors import InputError
from custom.metrics import perceptual
from custom.metrics.perceptual import BACKBONE_FILE, HEADS_FILE, Lpips, PerceptualUnavailable, load_lpips

CONVOLUTIONS = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
WIDTHS = (64, 192, 384, 256, 256)


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    """No weights from this machine: only what the test itself puts in place."""
    monkeypatch.delenv(perceptual.WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    generator = torch.Generator().manual_seed(0)
    backbone = {"classifier.6.bias": torch.zeros(1000)}  # torchvision's file holds the classifier too
    for index, (out, into, size) in CONVOLUTIONS.items():
        kernel = torch.randn(out, into, size, size, generator=generator) / (into * size * size) ** 0.5
        backbone |= {f"features.{index}.weight": kernel, f"features.{index}.bias": torch.zeros(out)}
    heads = {f"lin{k}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for k, c in enumerate(WIDTHS)}
    torch.save(backbone, folder / BACKBONE_FILE)
    torch.save(heads, folder / HEADS_FILE)
    return folder


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, 48, 64, generator=generator), torch.rand(2, 1, 48, 64, generator=generator)


def test_each_weight_lands_in_its_place(weights):
    lpips = Lpips(weights)
    backbone, heads = (torch.load(weights / name, weights_only=True) for name in (BACKBONE_FILE, HEADS_FILE))
    for index in CONVOLUTIONS:
        assert torch.equal(lpips.features[index].weight, backbone[f"features.{index}.weight"])
    for k in range(5):
        assert torch.equal(lpips.heads[k].weight, heads[f"lin{k}.model.1.weight"])
    assert not any(p.requires_grad for p in lpips.parameters())


def test_distance_is_zero_for_equal_and_grows_with_noise(weights, images):
    lpips, (a, _) = Lpips(weights), images
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    near, far = lpips(a + 0.02 * noise, a), lpips(a + 0.2 * noise, a)
    assert lpips(a, a).tolist() == [0.0, 0.0]
    assert (near > 0).all() and (far > near).all()
    torch.testing.assert_close(lpips(a, a + 0.2 * noise), far)


def test_distance_follows_the_paper(weights, images):
    """The definition, written out with functional calls on a gray image replicated to RGB."""
    a, b = images
    backbone, heads = (torch.load(weights / name, weights_only=True) for name in (BACKBONE_FILE, HEADS_FILE))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(image):
        x = (image.repeat(1, 3, 1, 1) * 2 - 1 - shift[:, None, None]) / scale[:, None, None]
        for index, (stride, padding) in zip(CONVOLUTIONS, ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1)), strict=True):
            if index in (3, 6):
                x = torch.nn.functional.max_pool2d(x, 3, 2)
            kernel, bias = backbone[f"features.{index}.weight"], backbone[f"features.{index}.bias"]
            x = torch.nn.functional.conv2d(x, kernel, bias, stride, padding).relu()
            yield x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)

    expected = torch.zeros(2)
    for k, (x, y) in enumerate(zip(features(a), features(b), strict=True)):
        expected += ((x - y) ** 2 * heads[f"lin{k}.model.1.weight"]).sum(1).mean((1, 2))
    torch.testing.assert_close(Lpips(weights)(a, b), expected)


def test_gray_is_replicated_colour(weights, images):
    a, b = images
    lpips = Lpips(weights)
    torch.testing.assert_close(lpips(a, b), lpips(a.repeat(1, 3, 1, 1), b.repeat(1, 3, 1, 1)))


def test_gradient_flows_and_is_finite_where_features_die(weights, images):
    lpips, (a, b) = Lpips(weights), images
    a = a.clone().requires_grad_()
    lpips(a, b).sum().backward()
    assert torch.isfinite(a.grad).all() and a.grad.abs().sum() > 0
    with torch.no_grad():
        lpips.features[0].weight.zero_()  # every feature is dead
    a.grad = None
    lpips(a, b).sum().backward()
    assert torch.isfinite(a.grad).all()


def test_files_are_found_in_the_variable_and_in_the_hub(weights, monkeypatch, tmp_path):
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / BACKBONE_FILE).write_bytes((weights / BACKBONE_FILE).read_bytes())
    own = tmp_path / "own"
    own.mkdir()
    (own / HEADS_FILE).write_bytes((weights / HEADS_FILE).read_bytes())
    with pytest.raises(PerceptualUnavailable):
        Lpips()
    monkeypatch.setenv(perceptual.WEIGHTS_VARIABLE, str(own))
    assert isinstance(load_lpips(), Lpips)


def test_heads_are_found_in_the_installed_package(weights, monkeypatch, tmp_path):
    package = tmp_path / "site" / "lpips"
    (package / "weights" / "v0.1").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('torchvision')")
    (package / "weights" / "v0.1" / HEADS_FILE).write_bytes((weights / HEADS_FILE).read_bytes())
    only_backbone = tmp_path / "backbone"
    only_backbone.mkdir()
    (only_backbone / BACKBONE_FILE).write_bytes((weights / BACKBONE_FILE).read_bytes())
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert package / "weights" / "v0.1" in list(perceptual.weight_folders())
    assert isinstance(Lpips(only_backbone), Lpips)


def test_missing_weights_are_told_in_one_line(caplog, tmp_path, monkeypatch):
    with pytest.raises(PerceptualUnavailable, match=BACKBONE_FILE):
        Lpips(tmp_path)
    monkeypatch.setenv(perceptual.WEIGHTS_VARIABLE, str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert load_lpips() is None
    assert len(caplog.records) == 1
    line = caplog.records[0].getMessage()
    assert "\n" not in line and "requirements-lpips.txt" in line and str(tmp_path) in line


def test_a_folder_that_was_named_and_has_no_weights_is_refused_and_its_remedies_work(weights, tmp_path):
    for named, words in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "alex.pth", "no such"),
        (tmp_path, "none"),
    ):
        with pytest.raises(InputError, match=f"--lpips_weights {named}: .*{words}.*; give the folder") as caught:
            load_lpips(named)
        assert "\n" not in str(caught.value)
    assert isinstance(load_lpips(weights), Lpips)


@pytest.mark.parametrize("content", (b"", b"<html>not found</html>"))
def test_a_file_that_is_no_weights_is_named(weights, tmp_path, content):
    (tmp_path / BACKBONE_FILE).write_bytes(content)
    with pytest.raises(PerceptualUnavailable, match=BACKBONE_FILE) as caught:
        Lpips(tmp_path)
    assert "\n" not in str(caught.value)


def test_heads_of_another_network_are_refused(weights, tmp_path):
    (tmp_path / BACKBONE_FILE).write_bytes((weights / BACKBONE_FILE).read_bytes())
    torch.save({"lin0.model.1.weight": torch.zeros(1, 128, 1, 1)}, tmp_path / HEADS_FILE)
    with pytest.raises(PerceptualUnavailable, match=HEADS_FILE):
        Lpips(tmp_path)
