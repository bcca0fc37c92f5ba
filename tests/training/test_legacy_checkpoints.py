# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Old checkpoints: the network of MONAI core gives what the one of `generative` gave, and wrong flags are refused.

Outputs recorded from the package are in `data/generative.npz`; this file run as a script, with monai-generative 0.2.3
installed (`requirements-generative.txt`), records them again. With the package the tests also meet it itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import monai
import numpy as np
import pytest
import torch

from custom.errors import InputError
from custom.training.legacy_checkpoints import (
    KINDS,
    convert_state_dict,
    core_arguments,
    find_state_dict,
    load_generative,
)

RECORDED = Path(__file__).parent / "data" / "generative.npz"
CROSS = {"with_conditioning": True, "cross_attention_dim": 3}
SMALL = {"num_channels": [4, 4], "num_res_blocks": 1, "attention_levels": [False, True], "norm_num_groups": 2}
PLAIN = {**SMALL, "attention_levels": [False, False]} | {
    f"with_{c}_nonlocal_attn": False for c in ("encoder", "decoder")
}
DENOISER = {**SMALL, "in_channels": 2, "num_head_channels": 2}
CONTROL = {**DENOISER, "conditioning_embedding_in_channels": 1, "conditioning_embedding_num_channels": [4, 4]}
CASES = {
    "autoencoder": ("autoencoderkl", {"spatial_dims": 2, **SMALL, "latent_channels": 2}),
    "autoencoder_3d": ("autoencoderkl", {"spatial_dims": 3, **SMALL, "latent_channels": 2}),
    "autoencoder_plain": ("autoencoderkl", {"spatial_dims": 2, **PLAIN, "latent_channels": 2}),
    "unet": ("unet", {"spatial_dims": 2, "out_channels": 2, **DENOISER}),
    "unet_3d": ("unet", {"spatial_dims": 3, "out_channels": 2, **DENOISER}),
    "unet_cross": ("unet", {"spatial_dims": 2, "out_channels": 2, **DENOISER, **CROSS, "upcast_attention": True}),
    "unet_cross_3d": ("unet", {"spatial_dims": 3, "out_channels": 2, **DENOISER, **CROSS, "resblock_updown": True}),
    "controlnet": ("controlnet", {"spatial_dims": 2, **CONTROL}),
    "controlnet_3d": ("controlnet", {"spatial_dims": 3, **CONTROL}),
    "controlnet_cross": ("controlnet", {"spatial_dims": 2, **CONTROL, **CROSS}),
    "discriminator": ("discriminator", {"spatial_dims": 2, "num_channels": 4, "in_channels": 1, "num_layers_d": 2}),
}


def generative_network(kind: str, arguments: dict) -> torch.nn.Module:
    """A network of the package, all of it random: what starts at zero would hide a wrong conversion."""
    monai.config.IgniteInfo = monai.utils.IgniteInfo  # moved since; the package looks for it in the old place
    nets = pytest.importorskip("generative.networks.nets", reason="monai-generative 0.2.3 is not installed")
    network = getattr(nets, KINDS[kind].__name__)(**arguments).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # Bytes over a power of two, for a small record; of the size that keeps signals alive, attention sharp.
            scale = 2.0 ** -(6 + (parameter.ndim > 1) * round(np.log2(parameter[0].numel()) / 2) - (".to_" in name))
            parameter.copy_((torch.randn(parameter.shape, generator=generator) * 48).round().clamp(-127, 127) * scale)
    return network


@torch.no_grad()
def outputs(kind: str, arguments: dict, network: torch.nn.Module) -> torch.Tensor:
    """All outputs of a network for fixed inputs, as one row."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    size = (8,) * arguments["spatial_dims"] if arguments["spatial_dims"] == 2 else (4,) * 3
    if kind == "autoencoderkl":
        mean, deviation = network.encode(random(2, 1, *size))
        found = [mean, deviation.log(), network.decode(random(*mean.shape))]
    elif kind == "discriminator":
        found = network(random(2, 1, 16, 16))
    else:
        images, timesteps = random(2, arguments["in_channels"], *size), torch.tensor([3, 700])
        context = random(2, 5, 3) if "cross_attention_dim" in arguments else None
        if kind == "unet":
            found = [network(images, timesteps, context=context)]
        else:
            condition = random(2, 1, *(2 * n for n in size))
            down, middle = network(images, timesteps, condition, context=context)
            found = [*down, middle]
    return torch.cat([tensor.flatten() for tensor in found])


def core_network(kind: str, arguments: dict, **flags: object) -> torch.nn.Module:
    torch.manual_seed(2)
    return KINDS[kind](**core_arguments(kind, arguments) | flags).eval()


def recorded(case: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """State dict and outputs of the network of the package."""
    with np.load(RECORDED) as record:
        shapes = json.loads(str(record[f"{case}_shapes"]))
        flat, found = torch.from_numpy(record[f"{case}_weights"]).float(), torch.from_numpy(record[f"{case}_outputs"])
    parts = flat.split([int(np.prod(shape)) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}, found


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert 0.3 < expected.std() < 3, "outputs too small to tell"
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_recorded_outputs(case: str) -> None:
    kind, arguments = CASES[case]
    state, expected = recorded(case)
    assert_equal(outputs(kind, arguments, load_generative(core_network(kind, arguments), state)), expected)


@pytest.mark.parametrize("case", CASES)
def test_the_package_itself(case: str) -> None:
    kind, arguments = CASES[case]
    old = generative_network(kind, arguments)
    new = load_generative(core_network(kind, arguments), old.state_dict())
    assert_equal(outputs(kind, arguments, new), outputs(kind, arguments, old))


@pytest.mark.parametrize("case", ["autoencoder", "unet", "unet_cross", "controlnet", "controlnet_cross"])
def test_wrong_flags_are_refused_and_change_nothing(case: str) -> None:
    kind, arguments = CASES[case]
    state, _ = recorded(case)
    wrong = not core_arguments(kind, arguments)["include_fc"]
    network = core_network(kind, arguments, include_fc=wrong)
    before = outputs(kind, arguments, network)
    with pytest.raises(ValueError, match=f"include_fc={wrong}, these weights need include_fc={not wrong}"):
        load_generative(network, state)
    assert torch.equal(outputs(kind, arguments, network), before)
    with pytest.raises(ValueError, match="use_combined_linear"):
        load_generative(core_network(kind, arguments, use_combined_linear=True), state)


def test_other_networks_are_refused() -> None:
    state, _ = recorded("unet")
    for case, fault in (("unet_cross", "with_conditioning"), ("unet_3d", "another shape"), ("controlnet", "too many")):
        with pytest.raises(ValueError, match=fault) as error:
            load_generative(core_network(*CASES[case]), state)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="Linear is none of"):
        load_generative(torch.nn.Linear(1, 1), state)


def test_conversion_leaves_the_checkpoint_and_takes_core_as_it_is() -> None:
    kind, arguments = CASES["unet"]
    state, _ = recorded("unet")
    names = list(state)
    converted = convert_state_dict(kind, state)
    assert list(state) == names and converted.keys() == core_network(kind, arguments).state_dict().keys()
    assert convert_state_dict(kind, converted).keys() == converted.keys()


def test_checkpoints_as_people_have_them(tmp_path: Path) -> None:
    kind, arguments = CASES["unet"]
    state, expected = recorded("unet")
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1}]}
    path = tmp_path / "old.pt"
    for content, entry in (
        ({"model": wrapped, "optimizer": optimizer, "epoch": 3}, None),
        ({"model": wrapped, "ema": {}, "discriminator": state}, None),
        ({"diffusion": wrapped, "optimizer": optimizer}, None),
        ({"first": wrapped, "second": {"a": torch.ones(1)}}, "first"),
    ):
        torch.save(content, path)
        assert_equal(outputs(kind, arguments, load_generative(core_network(kind, arguments), path, entry)), expected)


def test_faults_of_a_file_are_one_line(tmp_path: Path) -> None:
    network, path = core_network(*CASES["unet"]), tmp_path / "old.pt"
    with pytest.raises(InputError, match="no such file"):
        load_generative(network, path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="damaged"):
        load_generative(network, path)
    torch.save(network, path)  # a pickled module: opening it would run its code
    with pytest.raises(InputError, match="not a PyTorch file of tensors"):
        load_generative(network, path)
    weights = {"a": torch.ones(1)}
    for content, entry, fault in (
        ({"epoch": 1}, None, "no weights"),
        ({"first": weights, "second": weights}, None, "several networks"),
        ({"first": weights}, "third", "no weights under 'third'"),
        (weights, None, "are missing"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=fault) as error:
            load_generative(network, path, entry)
        assert "\n" not in str(error.value)


def test_arguments() -> None:
    assert core_arguments("autoencoderkl", {"num_channels": (8,), "use_checkpointing": True}) == {
        "channels": (8,), "use_checkpoint": True, "include_fc": False,
    }  # fmt: skip
    assert core_arguments("unet", {"use_flash_attention": True}) == {"include_fc": False}
    assert core_arguments("controlnet", {"with_conditioning": True})["include_fc"] is True
    for kind, arguments, fault in (
        ("vqvae", {}, "kind is one of"),
        ("unet", {"channels": (8,)}, "'channels' is no argument"),
        ("autoencoderkl", {"include_fc": True}, "'include_fc' is no argument"),
        ("autoencoderkl", {"use_convtranspose": True}, "no autoencoder like that"),
    ):
        with pytest.raises(ValueError, match=fault):
            core_arguments(kind, arguments)


def test_a_list_is_not_a_checkpoint() -> None:
    with pytest.raises(ValueError, match="no weights"):
        find_state_dict([torch.ones(1)])


def record() -> None:
    """Write `data/generative.npz`."""
    arrays = {}
    for case, (kind, arguments) in CASES.items():
        network = generative_network(kind, arguments)
        state = network.state_dict()
        arrays[f"{case}_shapes"] = json.dumps({name: list(tensor.shape) for name, tensor in state.items()})
        arrays[f"{case}_weights"] = torch.cat([tensor.flatten() for tensor in state.values()]).half().numpy()
        arrays[f"{case}_outputs"] = outputs(kind, arguments, network).numpy()
    RECORDED.parent.mkdir(exist_ok=True)
    np.savez_compressed(RECORDED, **arrays)


if __name__ == "__main__":
    record()
