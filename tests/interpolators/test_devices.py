# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Methods on a device that can say nothing about its tensors, as a GPU cannot without being waited for.

A tensor of PyTorch's meta device has a shape and no content: asking for a number raises, and so does mixing it with
tensors of the CPU. What runs there runs on a GPU, from the first frame to the last, without one wait.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from torch.nn.functional import avg_pool2d
from torch.utils._python_dispatch import TorchDispatchMode

from custom.inferers.gaps import GapInferer
from custom.interpolators.diffae import DiffAE
from custom.weights import load_model

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parts[-3] for path in BUNDLES.glob("*/configs/inference.json") if "medformer" not in path.parts[-3])
SMALL = {"num_inference_steps": 2, "tile_size": [64, 64]}


class NumbersAsked(TorchDispatchMode):
    """Counts how often code waits for a tensor's number: `.item()`, `bool()`, `float()`."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def build(name, **options):
    config = ConfigParser.load_config_file(BUNDLES / name / "configs" / "inference.json")
    config |= {option: value for option, value in {**SMALL, **options}.items() if option in config}
    return ConfigParser(config).get_parsed_content("network_def").eval()


def frames(network, device, count=3, size=(40, 72)):
    space = (4, *size) if network.takes_phases else size
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 1, *space, generator=generator).to(device) for _ in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_a_method_runs_where_no_number_can_be_asked_for(name, monkeypatch):
    # Which slices of a batch are the same is the one thing that DiffAE and DMCVR ask their device for, once a batch;
    # by how much a polar frame is turned, methods with a motion network, once a pair.
    for module in ("motion", "cardiointerp"):
        monkeypatch.setattr(f"custom.interpolators.{module}.whole_turn", lambda first, last: 0)
    monkeypatch.setattr(DiffAE, "_distinct", lambda self, slices: (slices, torch.arange(len(slices), device="meta")))
    network = build(name).to("meta")
    known = frames(network, "meta")
    wrap_rows = name == "cardiointerp" or name.endswith("_oct")
    dense = list(GapInferer(factor=3, batch_size=2, num_samples=2).stream(known, network, wrap_rows=wrap_rows))
    assert len(dense) == 7
    assert all(frame.mean.is_meta and frame.mean.shape == known[0].shape for frame in dense)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("calid", {"realism": 1.0, "eta": 0.5}), ("calid", {"refine": True}),
        ("calid_cine", {"refine": True, "slerp_per_phase": True}),
        ("cardiointerp", {"realism": 1.0, "guidance_weight": 0.1, "eta": 0.5}),
        ("latent_bridge", {"kind": "rectified_flow", "realism": 1.0}),
    ],
)  # fmt: skip
def test_so_do_its_options(name, options, monkeypatch):
    # How much speckle key frames have is measured on the CPU.
    monkeypatch.setattr("custom.interpolators.cardiointerp.speckle_like", lambda frames, *_: (frames, None))
    network = build(name, **options).to("meta")
    dense = list(GapInferer(factor=2, batch_size=2).stream(frames(network, "meta"), network))
    assert len(dense) == 5


@pytest.mark.parametrize(("name", "steps"), [("calid", 8), ("diffae", 20), ("cardiointerp", 8)])
def test_numbers_asked_for_do_not_grow_with_the_steps(name, steps):
    """Before schedules were plain numbers it was 16, 160 and 16 for one gap."""
    network = build(name, num_inference_steps=steps, realism=1.0)
    known = frames(network, "cpu", 2, (32, 32))
    with NumbersAsked() as asked:
        list(GapInferer(factor=2).stream(known, network))
    assert asked.count == 0


@pytest.mark.parametrize("name", ["calid", "latent_bridge", "i3net", "cardiointerp", "flavr_oct", "unet_regression"])
def test_bfloat16_changes_less_than_a_gray_level_where_it_is_said_to_be_safe(name):
    """On the CPU, whose autocast works as a GPU's."""
    network = load_model(build(name), BUNDLES / name / "models" / "model.pt").eval()
    assert network.half_precision_safe
    smooth = [avg_pool2d(frame.flatten(0, -3), 9, 1, 4).view_as(frame) for frame in frames(network, "cpu", 2, (64, 64))]
    known = [(3 * frame - 1).clamp(0, 1) for frame in smooth]
    inferer = GapInferer(factor=2)
    plain = list(inferer.stream(known, network))[1].mean
    with torch.autocast("cpu", torch.bfloat16):
        narrow = list(inferer.stream(known, network))[1].mean
    difference = (narrow - plain).abs()
    assert narrow.dtype == torch.float32 and 0 < difference.square().mean().sqrt() < 1 / 255


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize("name", ["unet_regression", "motion", "calid", "cardiointerp"])
def test_half_precision_is_used_where_a_processor_has_it(name, able, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": able})
    network = load_model(build(name), BUNDLES / name / "models" / "model.pt").eval()
    known = [avg_pool2d(frame.flatten(0, -3), 5, 1, 2).view_as(frame) for frame in frames(network, "cpu", 2)]
    plain, half = (list(GapInferer(2, amp=amp, cudnn_benchmark=amp).stream(known, network)) for amp in (False, True))
    error = (plain[1].mean - half[1].mean).abs().mean()
    assert half[1].mean.dtype == torch.float32 and not torch.backends.cudnn.benchmark
    assert 0 < error < 1 / 255 if able else error == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_makes_what_the_cpu_makes(name, amp):
    network = load_model(build(name), BUNDLES / name / "models" / "model.pt").eval()
    known = [avg_pool2d(frame.flatten(0, -3), 5, 1, 2).view_as(frame) for frame in frames(network, "cpu")]
    results = []
    for device in ("cpu", "cuda"):
        network.to(device)
        inferer = GapInferer(factor=3, batch_size=2, amp=amp)
        results.append([f.mean.cpu() for f in inferer.stream([k.to(device) for k in known], network) if f.synthetic])
    for on_cpu, on_gpu in zip(*results, strict=True):
        assert (on_cpu - on_gpu).abs().mean() < (4 / 255 if amp else 1 / 255)
