# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""TorchScript and ONNX: equal to the network at any size, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import monai.bundle
import numpy as np
import pytest
import torch

from custom.errors import NotExportable
from custom.interpolators.calid import CaLID, CaLIDCine
from custom.interpolators.cardiointerp import CardioInterp
from custom.interpolators.diffae import DiffAE
from custom.interpolators.direct import DirectInterpolator
from custom.interpolators.dmcvr import DMCVR
from custom.interpolators.latent_bridge import LatentBridge
from custom.interpolators.motion import MotionInterpolator
from custom.networks.flavr import FLAVR
from custom.networks.i3net import I3Net
from custom.networks.regression_unet import RegressionUNet
from custom.networks.tscnet import TSCNet
from custom.paths import bundle_root
from custom.weights import load_model

ONE_PASS = {
    "motion": lambda: MotionInterpolator({"motion_features": [8] * 6, "residual_features": [8] * 6}),
    "unet": lambda: DirectInterpolator(RegressionUNet(features=[8] * 6, num_outputs=3)),
    "flavr": lambda: DirectInterpolator(FLAVR([8] * 4, [1] * 4)),
    "i3net": lambda: DirectInterpolator(I3Net(image_size=32, channels=8, window_size=8)),
    "tscnet": lambda: DirectInterpolator(TSCNet(features=8, growth=4, num_blocks=1, layers=2)),
}
SAMPLERS = [CaLID, CaLIDCine, CardioInterp, DiffAE, DMCVR, LatentBridge]


def shaken(network):
    """The network with random weights everywhere: as it starts it is linear interpolation."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * 0.1
    return network.eval()


def sizes(network):
    fixed = getattr(network, "fixed_size", None)
    return [(2, 32, 64), (1, 64, 32), (3, 96, 96)] if fixed is None else [(2, fixed, fixed), (1, fixed, fixed)]


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_trace_of_a_single_pass_equals_it_at_any_size(name):
    network = shaken(ONE_PASS[name]())
    first, *others = (torch.rand(batch, network.num_neighbours, *size) for batch, *size in sizes(network))
    with torch.no_grad():
        traced = torch.jit.trace(network, [first], check_trace=False)
        for image in (first, *others):
            torch.testing.assert_close(traced(image), network(image), rtol=0, atol=1e-4)


def test_the_command_writes_onnx_that_onnxruntime_runs_at_any_size(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-dev.txt")
    bundle, path = Path(bundle_root("motion")), tmp_path / "model.onnx"
    axes = {0: "batch", 2: "height", 3: "width"}
    monai.bundle.onnx_export(
        net_id="network_def", filepath=str(path), ckpt_file=str(bundle / "models" / "model.pt"),
        meta_file=str(bundle / "configs" / "metadata.json"), config_file=str(bundle / "configs" / "inference.json"),
        input_shape=[2, 2, 64, 96],
        converter_kwargs={
            "input_names": ["image"], "output_names": ["pred"], "dynamic_axes": {"image": axes, "pred": axes}
        },
    )  # fmt: skip
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = load_model(MotionInterpolator(), bundle / "models" / "model.pt").eval()
    for batch, *size in [(1, 32, 64), (3, 160, 96)]:
        image = torch.rand(batch, 2, *size)
        with torch.no_grad():
            wanted = network(image).numpy()
        np.testing.assert_allclose(session.run(None, {"image": image.numpy()})[0], wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", SAMPLERS)
def test_samplers_are_refused_in_one_line(method):
    network = object.__new__(method)  # it is refused before it looks at its networks
    torch.nn.Module.__init__(network)
    for export in (
        lambda: torch.jit.trace(network, [torch.rand(1, 2, 32, 32)]),
        lambda: torch.jit.script(network),
        lambda: torch.export.export(network, (torch.rand(1, 2, 32, 32),), strict=False),
    ):
        with pytest.raises(NotExportable, match=f"^{method.__name__} is not exported: .*; run inference.json instead$"):
            export()


def test_the_command_refuses_calid_and_leaves_no_file(tmp_path):
    bundle = Path(bundle_root("calid"))
    with pytest.raises(NotExportable, match="CaLID is not exported"):
        monai.bundle.ckpt_export(
            filepath=str(tmp_path / "model.ts"), bundle_root=str(bundle), use_trace=True, num_inference_steps=1,
            config_file=str(bundle / "configs" / "inference.json"),
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_single_pass_is_traced_and_not_compiled():
    with pytest.raises(NotExportable, match="add --use_trace True"):
        torch.jit.script(ONE_PASS["unet"]())
