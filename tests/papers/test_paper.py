# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The papers' tables and figures: every file is runnable, and the tools that only they use do what they say."""

from __future__ import annotations

import inspect
import json

import nibabel as nib
import numpy as np
import pytest
import torch

from custom.errors import InputError
from custom.evaluation.method_grammar import _ENTRY
from custom.papers import paper as paper_module
from custom.papers.compare import compare
from custom.papers.dense_stacks import acquire
from custom.papers.paper import TOOLS, names, paper
from custom.papers.progression import clean_estimates, progression_figure
from custom.pictures.plotting import save
from tests.interpolators.test_calid import calid

EXPECTED = {
    "motion_ingredients",
    *(
        f"calid_{what}"
        for what in ("table_1", "table_2", "figure_2", "figure_4", "figure_5", "figure_6", "figure_7", "ingredients")
    ),
    *(f"cardiointerp_{what}" for what in ("table_1", "table_2", "figure_3", "figure_4")),
}


def test_every_table_and_figure_of_the_issue_is_there():
    assert set(names()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_run_has_a_tool_that_takes_its_arguments(name):
    content = json.loads((paper_module.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert content["title"] and content["note"] and content["runs"]
    for run in content["runs"]:
        parameters = inspect.signature(TOOLS[run["tool"]]).parameters
        assert run["arguments"].keys() <= parameters.keys() and run["results"]
        assert all(_ENTRY.fullmatch(e) for e in _ENTRY.findall(run["arguments"].get("methods", "")))


def test_a_paper_runs_its_tool_with_the_users_data_and_changes(tmp_path, monkeypatch):
    calls = []
    recorded = inspect.signature(compare)

    def record(**arguments):
        recorded.bind(**arguments)
        calls.append(arguments)

    record.__signature__ = recorded
    monkeypatch.setitem(TOOLS, "compare", record)
    paper("calid_table_1", str(tmp_path), "my_data", max_windows=1)
    assert [c["modality"] for c in calls] == ["cmr", "cmr_cine"] and calls[0]["timed_steps"] == 128
    assert all(c["data"] == "my_data" and c["max_windows"] == 1 for c in calls)
    assert calls[0]["output_dir"] != calls[1]["output_dir"]
    with pytest.raises(InputError, match="calid_figure_2"):
        paper("calid_table_9")


def test_estimates_end_at_the_sample_and_come_nearer_to_it(tmp_path):
    network = calid(num_inference_steps=3)
    image = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    item = {"image": image, "patient": "P", "scan": "S", "first": 0, "crop": (0, 0)}
    estimates = clean_estimates(network, item, 4, seed=1)
    network.num_inference_steps = 4
    sample = network.interpolate(image[None, ::2], torch.tensor([0.5]), [1])[0, 0, 0]
    torch.testing.assert_close(estimates[-1], sample, atol=1e-5, rtol=0)
    distances = [float((estimate - sample).abs().mean()) for estimate in estimates]
    assert len(estimates) == 4 and distances[0] > distances[2] > distances[3]
    figure = progression_figure(image[1, 0].numpy(), {"CaLID": [e.numpy() for e in estimates]}, (1, 2, 4))
    save(figure, tmp_path / "progression.png")
    # Elsewhere nothing is cut short.
    torch.testing.assert_close(network.interpolate(image[None, ::2], torch.tensor([0.5]), [1])[0, 0, 0], sample)


def test_a_dense_stack_is_acquired_slice_by_slice_and_is_its_own_truth(tmp_path):
    values = np.random.default_rng(0).integers(0, 100, (6, 5, 14, 4)).astype(np.int16)
    affine = np.diag([1.5, 1.5, 2.0, 1.0])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "dense.nii.gz")
    acquired, truth, stride = acquire(tmp_path / "dense.nii.gz", tmp_path, 6.0, 2)
    sparse, dense = nib.load(acquired), nib.load(truth)
    assert stride == 3 and sparse.shape == (6, 5, 5, 2) and dense.shape == (6, 5, 13, 2)
    np.testing.assert_array_equal(np.asarray(sparse.dataobj), np.asarray(dense.dataobj)[:, :, ::3])
    np.testing.assert_allclose(sparse.affine, np.diag([1.5, 1.5, 6.0, 1.0]))
    assert acquire(tmp_path / "dense.nii.gz", tmp_path, 2.0, 2)[1:] == (None, 1)
