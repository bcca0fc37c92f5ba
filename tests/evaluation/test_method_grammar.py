# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`--methods`: what an entry means, what `all` stands for, and what is refused."""

from __future__ import annotations

import json

import pytest

from custom.errors import InputError
from custom.evaluation import method_grammar
from custom.evaluation.bundle_methods import MethodSpec
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import Networks


def labels(text, modality="cmr"):
    return [spec.label for spec in parse_methods(text, modality)[0]]


def test_entries_are_separated_by_commas_or_spaces_and_have_nice_labels():
    assert labels("nearest, linear cubic,flow calid") == ["Nearest", "Linear", "Cubic", "TV-L1 flow", "CaLID"]
    assert labels(("linear", "calid")) == ["Linear", "CaLID"]
    assert labels("latent_average:calid") == ["Latent average"]
    assert labels("calid?refine=true&num_inference_steps=4") == ["CaLID (refine=True, num_inference_steps=4)"]


def test_a_label_and_options_are_read_and_written_alike():
    (spec,), _ = parse_methods('"CaLID, four steps"=calid?num_inference_steps=4&tile_size=[128,128]', "cmr")
    options = {"num_inference_steps": 4, "tile_size": [128, 128]}
    assert spec == MethodSpec("CaLID, four steps", "calid", options)
    assert parse_methods(spec.entry, "cmr")[0] == [spec]


def test_options_reach_the_network():
    (spec,), _ = parse_methods("CaLID+=calid?refine=true&num_inference_steps=3", "cmr")
    network = Networks()(spec.method())
    assert network.refine and network.num_inference_steps == 3 and not network.training


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("unheard_of", "is no classical method and no bundle"),
        ("calid linear nearest=linear,nearest", "a second method named 'nearest'"),
        ("calid?refine", "is no option"),
        ("linear?steps=3", "has no options"),
        ("calid_cine", "takes whole cines"),
        ("cardiointerp", "is made for OCT"),
        ("", "names no method"),
    ],
)
def test_what_is_no_method_is_told_in_one_line(text, fault):
    text = text.replace("nearest=linear,nearest", "nearest=linear,nearest=cubic")
    with pytest.raises(InputError, match=fault):
        parse_methods(text, "cmr")


def test_unknown_options_and_options_out_of_range_are_refused():
    with pytest.raises(InputError, match="no option 'refined'"):
        parse_methods("calid?refined=true", "cmr")[0][0].method()
    with pytest.raises(InputError, match="num_inference_steps must be from 1"):
        _ = parse_methods("calid?num_inference_steps=0", "cmr")[0][0].method().fingerprint


def test_a_2d_network_on_cines_says_so():
    assert labels("calid,calid_cine", "cmr_cine") == ["CaLID (2D)", "CaLID"]


def bundle(folder, name, target=None, weights=False, kind="MR"):
    """A folder like a bundle's, of one network."""
    (folder / name / "configs").mkdir(parents=True)
    (folder / name / "models").mkdir()
    config = {
        "bundle_root": "",
        "checkpoint": "$@bundle_root + '/models/model.pt'",
        "network_def": {"_target_": target},
    }
    image = {"modality": kind, "spatial_shape": ["16*n", "16*n"]}
    metadata = {"name": f"Some ({name.upper()})", "network_data_format": {"inputs": {"image": image}, "outputs": {}}}
    (folder / name / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / name / "configs" / "metadata.json").write_text(json.dumps(metadata))
    if weights:
        (folder / name / "models" / "model.pt").write_bytes(b"")


def test_all_is_every_classical_method_and_every_fitting_bundle_with_weights(tmp_path, monkeypatch):
    here = tmp_path / "bundles"
    monkeypatch.setattr("custom.evaluation.bundle_methods.bundle_root", lambda name: str(here / name))
    monkeypatch.setattr(method_grammar, "bundle_root", lambda name: str(here / name))
    monkeypatch.setitem(method_grammar._EXTRA, "cmr", (None, None))
    cubic = "custom.interpolators.classical.CubicFrames"
    bundle(here, "trained", cubic, weights=True)
    bundle(here, "untrained", cubic)
    bundle(here, "segmenter", "torch.nn.Identity", weights=True)
    bundle(here, "other", cubic, weights=True, kind="OCT")
    (here / "stray").mkdir()
    specs, skipped = parse_methods("all", "cmr")
    assert [s.label for s in specs] == ["Nearest", "Linear", "Cubic", "TV-L1 flow", "TRAINED"]
    assert skipped.keys() == {"untrained", "segmenter"}
    assert "no trained weights" in skipped["untrained"] and "no interpolator" in skipped["segmenter"]
