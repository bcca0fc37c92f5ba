# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Inception with random weights in a file of the real layout: loading and algebra need no real ones."""

from __future__ import annotations

import logging

import pytest
import torch

from custom.metrics import inception
from custom.metrics.inception import FILES, InceptionFeatures, InceptionUnavailable, load_inception


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    """No weights from this machine: only what the test itself puts in place."""
    monkeypatch.delenv(inception.WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with the names that the published one has: no counters of batch normalisation."""
    patch = pytest.MonkeyPatch()
    patch.setattr(inception, "_find", lambda weights: None)
    patch.setattr(inception, "_load", lambda module, path: None)
    torch.manual_seed(0)
    state = InceptionFeatures().state_dict()
    patch.undo()
    path = tmp_path_factory.mktemp("inception") / FILES[0]
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, path)
    return path


@pytest.fixture(scope="module")
def network(weights):
    return InceptionFeatures(weights)


def test_the_network_has_the_published_size_and_names(network, weights):
    # torchvision's Inception-v3 without auxiliary head has 23,834,568 parameters at 1000 classes; 8 more classes.
    assert sum(p.numel() for p in network.parameters()) == 23_834_568 + 8 * 2049
    names = set(torch.load(weights, weights_only=True))
    assert {
        "Conv2d_1a_3x3.conv.weight",
        "Mixed_5b.branch5x5_1.bn.running_mean",
        "Mixed_6a.branch3x3dbl_3.bn.bias",
    } < names
    assert {"Mixed_6e.branch7x7dbl_5.conv.weight", "Mixed_7a.branch7x7x3_4.conv.weight", "fc.weight"} < names
    assert network.Mixed_6c.branch7x7_2.conv.weight.shape == (160, 160, 1, 7)
    assert network.Mixed_7c.branch3x3dbl_3b.conv.weight.shape == (384, 384, 3, 1)
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_gray_images_give_2048_features_each_by_itself(network):
    images = torch.rand(2, 1, 40, 56, generator=torch.Generator().manual_seed(1))
    features = network(images)
    assert features.shape == (2, 2048) and (features >= 0).all()
    torch.testing.assert_close(features[1:], network(images[1:].expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(features[0], features[1])


def test_grids_are_those_of_the_paper(network):
    sizes = {}
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
        for name, module in network.named_children()
    ]
    network(torch.zeros(1, 1, 128, 128))
    for hook in hooks:
        hook.remove()
    assert sizes["Mixed_5d"] == (288, 35, 35) and sizes["Mixed_6e"] == (768, 17, 17)
    assert sizes["Mixed_7a"] == (1280, 8, 8) and sizes["Mixed_7c"] == (2048, 8, 8)


def test_average_pooling_leaves_the_padding_out():
    assert torch.equal(inception._average(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_the_file_is_found_by_argument_variable_and_cache(weights, monkeypatch, tmp_path):
    assert next(inception.weight_files(weights)) == weights
    assert weights in list(inception.weight_files(weights.parent))
    monkeypatch.setenv(inception.WEIGHTS_VARIABLE, str(weights))
    assert next(inception.weight_files()) == weights
    assert tmp_path / "hub" / "checkpoints" / FILES[1] in list(inception.weight_files())


def test_missing_or_foreign_weights_are_told_in_one_line(caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        assert load_inception(tmp_path) is None
    assert len(caplog.records) == 1
    line = caplog.records[0].getMessage()
    assert "\n" not in line and FILES[0] in line and inception.WEIGHTS_VARIABLE in line
    for content in (b"", b"<html>not found</html>"):
        (tmp_path / FILES[0]).write_bytes(content)
        with pytest.raises(InceptionUnavailable, match=FILES[0]) as caught:
            InceptionFeatures(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_file_that_lacks_or_adds_a_tensor_is_refused(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    for wrong in ({**state, "AuxLogits.fc.bias": torch.zeros(1)}, {k: v for k, v in state.items() if k != "fc.bias"}):
        torch.save(wrong, tmp_path / FILES[0])
        with pytest.raises(InceptionUnavailable, match="Error"):
            InceptionFeatures(tmp_path)
