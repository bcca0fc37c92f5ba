# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import nn

from custom.errors import InputError
from custom.weights import load_model, save_model


class Network(nn.Module):
    def __init__(self, channels=3, value=1 / 3):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)
        nn.init.constant_(self.conv.weight, value)
        nn.init.zeros_(self.conv.bias)
        self.register_buffer("latent_scale", torch.tensor(1 / 3))


def test_round_trip_is_exact_and_holds_tensors_only(tmp_path):
    path, network = tmp_path / "models" / "model.pt", Network()
    save_model(network, path)
    stored = torch.load(path, weights_only=True)
    assert set(stored) == set(network.state_dict()) and all(isinstance(v, torch.Tensor) for v in stored.values())
    for name, tensor in load_model(Network(value=0.0), path).state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    assert [f.name for f in path.parent.iterdir()] == ["model.pt"]


def test_half_file_fills_a_float_network_and_keeps_buffers(tmp_path):
    path, network = tmp_path / "model.pt", Network()
    save_model(network, path, half=True)
    copy = load_model(Network(value=0.0), path)
    assert copy.conv.weight.dtype == torch.float32
    assert torch.equal(copy.conv.weight, network.conv.weight.half().float())
    assert torch.equal(copy.latent_scale, network.latent_scale)
    assert network.conv.weight.dtype == torch.float32


def test_previous_weights_are_kept_once(tmp_path):
    path = tmp_path / "model.pt"
    previous = tmp_path / "stages" / "model_previous.pt"
    save_model(Network(value=1.0), path)
    save_model(Network(value=1.0), path)
    first = path.read_bytes()
    save_model(load_model(Network(), path), path)
    assert not previous.exists() and path.read_bytes() == first
    save_model(Network(value=2.0), path)
    assert previous.read_bytes() == first
    assert load_model(Network(), path).conv.weight.mean() == 2.0
    assert load_model(Network(), previous).conv.weight.mean() == 1.0


def test_missing_weights_say_what_to_run(tmp_path):
    path = tmp_path / "bundles" / "cardiointerp" / "models" / "model.pt"
    with pytest.raises(InputError, match="no trained weights; train first: python -m monai.bundle run") as caught:
        load_model(Network(), path)
    assert "cardiointerp/configs/train.json" in str(caught.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (Network(channels=4).state_dict(), "size mismatch for conv.weight"),
        ({"conv.weight": torch.zeros(3, 1, 3, 3)}, "Missing key"),
        ([1, 2], "does not fit"),
    ],
)
def test_other_networks_weights_are_refused_in_one_line(tmp_path, content, words):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputError, match=words) as caught:
        load_model(Network(), tmp_path / "model.pt")
    assert "\n" not in str(caught.value)


def test_text_is_not_weights(tmp_path):
    (tmp_path / "model.pt").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match="damaged"):
        load_model(Network(), tmp_path / "model.pt")
