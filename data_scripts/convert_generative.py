# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Take a checkpoint of the `generative` package (monai-generative 0.2.3) over into MONAI core.

    python data_scripts/convert_generative.py --checkpoint old.pt --kind unet --arguments args.json --output new.pt

`args.json` holds the arguments with which the network of `generative` was built. What comes out is the state dict of
the network of MONAI core that gives the same outputs; its arguments are printed. docs/adding_a_rival.md says how a
converted autoencoder gets into `bundles/calid` with `--prefix` and `--into`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fire

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.errors import InputError, report_input_errors  # noqa: E402
from custom.importers.intake import as_typed  # noqa: E402
from custom.training.legacy_checkpoints import KINDS, core_arguments, load_generative  # noqa: E402
from custom.weights import load_tensors, save_atomically  # noqa: E402


def convert(
    checkpoint: str,
    kind: str,
    arguments: str,
    output: str,
    entry: str | None = None,
    prefix: str = "",
    into: str | None = None,
) -> None:
    """Convert one network.

    Args:
        checkpoint: file of `generative`, a state dict alone or with others in a dictionary.
        kind: autoencoderkl, unet, controlnet or discriminator.
        arguments: JSON file, the network's arguments under the names of `generative`.
        output: state dict to write.
        entry: which entry of the checkpoint holds the network, where that is not plain.
        prefix: put before every name, such as "autoencoder.vae." for the autoencoder of CaLID.
        into: weights of a whole network, such as a bundle's models/model.pt. They are written with those under `prefix`
            replaced; `into` itself is only read.

    Raises:
        InputError: a file is missing, damaged, or does not fit.
    """
    try:
        given = json.loads(Path(arguments).read_text())
        if not isinstance(given, dict):
            raise ValueError("not a dictionary")
    except (OSError, ValueError) as error:
        raise InputError(arguments, f"is no JSON file of arguments ({error})", "write {name: value, ...}") from error
    try:
        core = core_arguments(kind, given)
        network = KINDS[kind](**core)
    except (TypeError, ValueError) as error:
        raise InputError(arguments, str(error), "give the arguments the network was trained with") from error
    state = load_generative(network, checkpoint, entry).state_dict()
    state = {f"{prefix}{name}": tensor.contiguous() for name, tensor in state.items()}
    if into is not None:
        state = _replaced(into, prefix, state)
    save_atomically(state, output)
    print(f"{output}: {len(state)} tensors; {KINDS[kind].__name__}({json.dumps(core)})")


def _replaced(path: str, prefix: str, part: dict) -> dict:
    """The weights of a file with `part` in place of all that begin with `prefix`."""
    if not Path(path).is_file():
        raise InputError(path, "no such file", "give the weights of the whole network, such as models/model.pt")
    whole = load_tensors(path)
    there = {name: tuple(tensor.shape) for name, tensor in whole.items() if name.startswith(prefix)}
    here = {name: tuple(tensor.shape) for name, tensor in part.items()}
    differing = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    if differing:
        name = differing[0]
        fault = (
            f"{len(differing)} weights differ, '{name}' is {there.get(name, 'absent')}, not {here.get(name, 'there')}"
        )
        raise InputError(path, fault, "give weights of a network with the same autoencoder, or another --prefix")
    return whole | part


if __name__ == "__main__":
    report_input_errors()
    fire.Fire(as_typed(convert))
