# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The real server, asked over HTTP: `make test-label` runs this in an environment that has MONAI Label.

NumPy is 1.26 there, so that what this does is also what the bundles do under NumPy 1.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import nibabel as nib
import numpy as np
import pytest
import requests

from label_app.client import Refused, interpolate
from tests.label_app.conftest import BUNDLES, assert_same, command, write_dicom, write_scan
from tests.label_app.running import QUIET, Server

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("monailabel") is None, reason="`make test-label` runs this where MONAI Label is installed"
)
ALL = sorted(path.parents[1].name for path in BUNDLES.glob("*/models/model.pt"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def served(server):
    """A stack among the studies; gives its path there."""
    path = write_scan(server.studies / "stack.nii.gz")
    for _ in range(50):  # the server watches the folder
        if "stack" in requests.get(f"{server.url}/datastore/?output=all").json()["objects"]:
            return path
        time.sleep(0.2)
    raise RuntimeError("the server does not see a new file")


def refusal(answer):
    assert answer.status_code in (400, 404), answer.text
    sentence = answer.json()["detail"]
    assert "\n" not in sentence and "/tmp" not in sentence, sentence
    return sentence


def test_the_environment_is_that_of_monai_label(server):
    assert np.__version__.startswith("1.26.")


def test_info_lists_every_bundle_as_one_that_makes_images(server):
    models = requests.get(f"{server.url}/info/").json()["models"]
    assert sorted(models) == ALL
    for name, model in models.items():
        config = json.loads((BUNDLES / name / "configs" / "inference.json").read_text())
        assert model["type"] == ("others" if "factor" in config else "segmentation")
        assert model["config"].items() <= config.items()
        assert ("num_inference_steps" in model["config"]) == ("num_inference_steps" in config)
        assert "Research only" in model["description"]


def test_what_is_served_is_what_a_user_gets_from_the_command_line(server, served, tmp_path):
    image = interpolate(server.url, "motion", str(served), str(tmp_path / "served"), factor=3)
    config = BUNDLES / "motion" / "configs" / "inference.json"
    typed = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(config), "--factor", "3"]
    typed += ["--dataset_dir", str(served), "--output_dir", str(tmp_path / "cli")]
    subprocess.run(typed, check=True, cwd=tmp_path, capture_output=True, env={**os.environ, **QUIET})
    assert_same(image, tmp_path / "cli" / "stack_interp.nii.gz")
    sidecars = [json.loads((tmp_path / way / "stack_interp.json").read_text()) for way in ("served", "cli")]
    assert sidecars[0] == sidecars[1] and sidecars[0]["synthetic_slices"] == [1, 2, 4, 5, 7, 8]
    assert b"synthetic" in nib.load(image).header["descrip"].item()


@pytest.mark.parametrize("name", ALL)
def test_every_bundle(server, tmp_path, name):
    config = json.loads((BUNDLES / name / "configs" / "inference.json").read_text())
    if config["preprocessing"]["transforms"][0].get("kind") == "pullback":
        scan = write_scan(tmp_path / "scan.nii.gz", (64, 40, 3), (0.02, 0.02, 0.2), b"OCT polar", dtype=np.uint8)
    else:
        scan = write_scan(tmp_path / "scan.nii.gz", (24, 28, 3, 2), (1.5, 1.4, 8.5))
    options = {key: value for key, value in {"factor": 2, "num_inference_steps": 2}.items() if key in config}
    image = interpolate(server.url, name, str(scan), str(tmp_path / "served"), **options)
    assert_same(image, command(name, scan, tmp_path / "cli", **options))
    assert nib.load(image).ndim == nib.load(scan).ndim, "cines stay cines"


def test_forms_of_an_answer(server, served, tmp_path):
    alone = server.infer("motion", "stack", '{"factor": 2}', query={"output": "image"})
    assert alone.headers["content-type"] == "application/octet-stream"
    assert "stack_interp.nii.gz" in alone.headers["content-disposition"]
    (tmp_path / "alone.nii.gz").write_bytes(alone.content)
    assert nib.load(tmp_path / "alone.nii.gz").shape == (24, 28, 7)
    record = server.infer("motion", "stack", '{"factor": 2}', query={"output": "json"}).json()
    assert record["synthetic"] and record["sidecar"]["factor"] == 2 and "synthetic" in record["description"]
    image = interpolate(
        server.url, "calid", "stack", str(tmp_path), factor=2, num_samples=2, num_inference_steps=1, seed=3, realism=1.0
    )
    assert nib.load(tmp_path / "stack_std.nii.gz").get_fdata().max() > 0
    sidecar = json.loads(image.with_name("stack_interp.json").read_text())
    assert (sidecar["seed"], sidecar["options"]["num_inference_steps"]) == (3, 1)


def test_bad_requests_are_told_and_the_server_keeps_serving(server, served, tmp_path):
    values = nib.load(served).get_fdata(dtype=np.float32)
    values[3, 4, 1] = np.nan
    nib.save(nib.Nifti1Image(values, nib.load(served).affine), tmp_path / "nan.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "text.zip").write_text("no archive")
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 1), np.int16), np.eye(4)), tmp_path / "one.nii.gz")

    def send(name):
        return server.infer("motion", files={"file": (name, (tmp_path / name).read_bytes())})

    assert "nan.nii.gz: has NaN or Inf, first at voxel [3, 4, 1]" in refusal(send("nan.nii.gz"))
    assert "text.nii.gz: is not a NIfTI image" in refusal(send("text.nii.gz"))
    assert "text.zip: " in refusal(send("text.zip"))
    assert "one.nii.gz: has one slice only" in refusal(send("one.nii.gz"))
    told = {
        '{"factor": 1000000}': "factor must be at most 1000, got 1000000",
        '{"target_spacing": 1e-9}': "stack.nii.gz: a spacing of 1e-09 mm is",
        '{"target_spacing": 9}': "already meets the target of 9 mm; ask for a smaller target_spacing",
        '{"factor": "4"}': "factor must be a whole number, got '4'",
        '{"factor": -1}': "factor must be an integer of at least 2",
        '{"factor": "$__import__(\'os\').abort()"}': "factor must be a whole number",
        '{"seed": 0.5}': "seed must be a whole number",
        '{"num_samples": 0}': "num_samples must be an integer of at least 1",
        '{"num_inference_steps": 8}': "num_inference_steps: no such option",
        '{"method": "best"}': "method must be one of nearest, linear, cubic, flow",
        '{"device": "cuda:7"}': "no CUDA device",
        '{"save_label": true}': "the result is an image and no label",
        '{"factor"': "params are no JSON",
        "[4]": "params must be a JSON object",
        '{"target_spacing": NaN}': "target_spacing must be a number",
    }
    for params, message in told.items():
        assert message in refusal(server.infer("motion", "stack", params)), params
    assert "from 1 to 1000, got 5000" in refusal(server.infer("calid", "stack", '{"num_inference_steps": 5000}'))
    for name in ("nobody", "../../etc/passwd", "/etc/passwd", "./stack.nii.gz", "..", "labels", "a\x00b"):
        assert "there is no scan" in refusal(server.infer("motion", name)), name
    assert "no scan: give image" in refusal(server.infer("motion"))
    assert "there is no model 'nothing'; there are calid" in refusal(server.infer("nothing", "stack"))
    assert "no session" in refusal(server.infer("motion", query={"session_id": "../.."}))
    assert "no segmentation" in refusal(server.infer("motion", "stack", query={"output": "dicom_seg"}))
    assert "no scan '../../etc/passwd'" in refusal(
        requests.get(f"{server.url}/datastore/image", params={"image": "../../etc/passwd"})
    )
    upload = {"file": ("x.nii.gz", served.read_bytes())}
    assert "no name of a scan" in refusal(
        requests.put(f"{server.url}/datastore/image", params={"image": "../escaped"}, files=upload)
    )
    assert not (server.studies.parent / "escaped.nii.gz").exists()
    assert "no labels" in refusal(requests.post(f"{server.url}/batch/infer/motion"))
    with pytest.raises(Refused, match="no such option; did you mean factor"):
        interpolate(server.url, "motion", "stack", str(tmp_path), factr=3)
    assert not list(tmp_path.glob("stack*"))
    assert server.process.poll() is None
    assert server.infer("motion", "stack", '{"factor": 2}').status_code == 200


def test_two_at_once_get_each_their_own(server, tmp_path):
    scans = [write_scan(tmp_path / f"scan{n}.nii.gz", seed=n) for n in range(2)]
    found = {}

    def ask(n):
        found[n] = interpolate(server.url, "motion", str(scans[n]), str(tmp_path / f"served{n}"), factor=n + 2)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(2):
        assert_same(found[n], command("motion", scans[n], tmp_path / f"cli{n}", factor=n + 2))


def test_a_long_job_meets_no_time_out_and_others_are_answered_meanwhile(server, served):
    """MONAI Label's own time-out is set to one second here."""
    answers, waits = [], []

    def ask():
        answers.append(server.infer("calid", "stack", '{"factor": 4, "num_inference_steps": 200, "realism": 1.0}'))

    job = threading.Thread(target=ask)
    started = time.perf_counter()
    job.start()
    while job.is_alive():
        before = time.perf_counter()
        assert requests.get(f"{server.url}/info/", timeout=60).status_code == 200
        assert requests.get(f"{server.url}/datastore/", timeout=60).status_code == 200
        waits.append(time.perf_counter() - before)
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    print(f"a job of {seconds:.1f} s; {len(waits)} times /info and /datastore meanwhile, {max(waits):.2f} s at most")
    assert answers[0].status_code == 200 and seconds > 2, "too short to show anything"
    assert len(waits) >= 4 and max(waits) < seconds / 2


def test_dicom_studies(server, tmp_path):
    study = write_dicom(tmp_path / "study")
    shutil.copytree(study, server.studies / "dicom_study")
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", study)
    sent = interpolate(server.url, "motion", archive, str(tmp_path / "sent"), factor=2)
    assert nib.load(sent).shape == (24, 20, 7, 2)
    there = interpolate(server.url, "motion", "dicom_study", str(tmp_path / "there"), factor=2)
    files = [("files", (path.name, path.read_bytes())) for path in sorted(study.iterdir())]
    session = requests.put(f"{server.url}/session/", files=files).json()["session_id"]
    answer = server.infer("motion", params='{"factor": 2}', query={"session_id": session, "output": "image"})
    (tmp_path / "session.nii.gz").write_bytes(answer.content)
    for other in (there, tmp_path / "session.nii.gz"):
        assert_same(sent, other)
    write_dicom(server.studies / "dicom_study", slices=5, series=5)
    assert 'name one of them as "scan"' in refusal(server.infer("motion", "dicom_study"))


def test_nothing_of_a_job_stays(server):
    for _ in range(50):  # a job's folder goes after its answer
        left = list(server.temporary.glob("slice_interpolation_*"))
        if not left:
            break
        time.sleep(0.2)
    assert not left
    assert "Traceback" not in server.log.read_text()
