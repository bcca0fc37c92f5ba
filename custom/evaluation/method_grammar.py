# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which methods are compared: the grammar of `--methods`.

An entry is `SPEC` or `LABEL=SPEC`; entries are separated by commas or spaces, a label with spaces stands in quotes. A
SPEC is a classical name (nearest, linear, cubic, flow), `latent_average:BUNDLE`, or a BUNDLE, the name of a folder in
`bundles/` or the path of one. Options, ids of the bundle's `inference.json`, follow after a question mark:
`calid+=calid?refine=true&num_inference_steps=4`. `all` stands for every classical method, every bundle that fits and
has weights, and CaLID+.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.evaluation.bundle_methods import LATENT_AVERAGE, MethodSpec, bundle_folder
from custom.interpolators.named import CLASSICAL
from custom.paths import bundle_root

ALL = "all"
#: Modality -> the bundle whose codec the plain latent average is made with, and whose `evaluate.json` is the protocol.
MAIN_BUNDLE = {"cmr": "calid", "cmr_cine": "calid_cine", "oct": "cardiointerp"}
#: Entries of `all` besides the classical names, before and after the bundles.
_EXTRA = {
    "cmr": ("latent_average:calid", "CaLID+=calid?refine=true"),
    "cmr_cine": ("latent_average:calid_cine", "CaLID+=calid_cine?refine=true"),
    "oct": (None, None),
}
_ENTRY = re.compile(r"(?:[^\s,\[\]\"']|\[[^\]]*\]|\"[^\"]*\"|'[^']*')+")
_REMEDY = "an entry of --methods is SPEC or LABEL=SPEC, such as linear, calid or 'calid+=calid?refine=true'"


def parse_methods(text: str | Sequence[str], modality: str) -> tuple[list[MethodSpec], dict[str, str]]:
    """Read `--methods`.

    Args:
        text: the entries, see the module; a command line may hand over a sequence of them.
        modality: "oct", "cmr" or "cmr_cine".

    Returns:
        The methods in order, labels unique, and bundles that `all` left out -> why.

    Raises:
        InputError: an entry is not of the grammar, names no method, or one that cannot run on this modality.
    """
    text = text if isinstance(text, str) else ",".join(map(str, text))
    specs: dict[str, MethodSpec] = {}
    skipped: dict[str, str] = {}
    for entry in _ENTRY.findall(text):
        if entry == ALL:
            found, left_out = everything(modality)
            skipped |= left_out
        else:
            found = [_parse(entry, modality)]
        for spec in found:
            if spec.label in specs and spec != specs[spec.label]:
                raise InputError(entry, f"a second method named {spec.label!r}", "give it a label, LABEL=SPEC")
            specs[spec.label] = spec
    if not specs:
        raise InputError(text or "--methods", "names no method", _REMEDY)
    return list(specs.values()), skipped


def everything(modality: str) -> tuple[list[MethodSpec], dict[str, str]]:
    """What `all` stands for, and the bundles of this modality that cannot take part -> why."""
    specs = [_parse(name, modality) for name in CLASSICAL]
    skipped: dict[str, str] = {}
    bundles = Path(bundle_root(MAIN_BUNDLE[modality])).parent
    fitting = [folder.name for folder in sorted(bundles.iterdir()) if _unfit(folder, modality) is None]
    # What the entries besides the bundles need may be missing as well.
    before, after = _EXTRA[modality]
    for entry in filter(None, (before, *fitting, after)):
        spec = _parse(entry, modality)
        reason = _missing(spec)
        if reason is None:
            specs.append(spec)
        elif entry in fitting:
            skipped[spec.source] = reason
    return specs, skipped


def _missing(spec: MethodSpec) -> str | None:
    """Why a bundle cannot take part; None if it can."""
    try:
        _ = spec.method().fingerprint
    except InputError as error:
        return f"{error.fault}; {error.remedy}"
    return None


def _unfit(folder: Path, modality: str) -> str | None:
    """Why a folder is no bundle of this modality; None if it is. A 2D bundle does a cine phase by phase."""
    try:
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        image = metadata["network_data_format"]["inputs"]["image"]
        outputs = metadata["network_data_format"]["outputs"]
        kind, axes = image["modality"], len(image["spatial_shape"])
    except (OSError, ValueError, KeyError, TypeError):
        return "has no configs/metadata.json that names its input's modality"
    if kind != ("OCT" if modality == "oct" else "MR"):
        return f"is made for {kind}"
    if modality == "cmr" and axes == 3:
        return "takes whole cines; use --modality cmr_cine"
    if any(output.get("format") == "segmentation" for output in outputs.values()):
        return "gives no images"  # a segmenter
    return None


def _parse(entry: str, modality: str) -> MethodSpec:
    match = re.fullmatch(
        r"""(?:(?P<label>"[^"]+"|'[^']+'|[^=?"']+)=)?(?P<source>[^=?]+)(?:\?(?P<options>.+))?""", entry
    )
    if match is None:
        raise InputError(entry, "is no method", _REMEDY)
    label = (match["label"] or "").strip("\"'")
    options = dict(_options(entry, match["options"] or ""))
    source, latent_average = match["source"], False
    if source in CLASSICAL:
        if options:
            raise InputError(entry, f"{source} has no options", "options after ? are those of bundles")
        return MethodSpec(label or CLASSICAL[source][0], source)
    if source.startswith(f"{LATENT_AVERAGE}:"):
        source, latent_average = source.removeprefix(f"{LATENT_AVERAGE}:"), True
    folder = bundle_folder(source)
    if (unfit := _unfit(folder, modality)) is not None:
        raise InputError(folder, unfit, "leave it out, or compare on what it is made for")
    name = _bundle_label(folder, modality)
    if latent_average:
        default = "Latent average" if folder.name == MAIN_BUNDLE[modality] else f"Latent average ({name})"
    else:
        default = name + (f" ({', '.join(f'{k}={v}' for k, v in options.items())})" if options else "")
    return MethodSpec(label or default, source, options, latent_average)


def _options(entry: str, text: str) -> Iterator[tuple[str, Any]]:
    for part in filter(None, text.split("&")):
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise InputError(entry, f"{part!r} is no option", "options are name=value, joined by &")
        try:
            yield name, json.loads(value)
        except ValueError:
            yield name, value


def _bundle_label(folder: Path, modality: str) -> str:
    """The method's name at the end of the bundle's own, in brackets; a 2D network on cines says that it is one."""
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    match = re.search(r"\(([^()]+)\)\s*$", metadata.get("name", ""))
    name = match[1] if match else folder.name
    axes = len(metadata["network_data_format"]["inputs"]["image"]["spatial_shape"])
    return f"{name} (2D)" if modality == "cmr_cine" and axes == 2 else name
