# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

import custom
from custom.errors import InputError
from custom.paths import bundle_root, check_one_code


@pytest.mark.parametrize("config", ["train", "inference"])
def test_the_root_of_a_bundle_is_where_its_config_lies(config, tmp_path, monkeypatch):
    """Not where the package lies, nor the folder that the command was started in."""
    monkeypatch.chdir(tmp_path)
    for folder in ("first", "second"):
        shutil.copytree(Path(bundle_root("motion")) / "configs", tmp_path / folder / "configs")
    flows = [
        ConfigWorkflow(f"{folder}/configs/{config}.json", logging_file=False, workflow_type=config)
        for folder in ("first", "second")
    ]
    for flow, folder in zip(flows, ("first", "second"), strict=True):
        flow.initialize()
        assert flow.bundle_root == str(tmp_path / folder)
        name = "checkpoint" if config == "inference" else "output_dir"
        flow.add_property(name, required=True, config_id=name)
        wanted = tmp_path / folder / "models" / "model.pt" if config == "inference" else tmp_path / "runs" / folder
        assert Path(getattr(flow, name)) == wanted
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def copy_on_the_path(tmp_path, monkeypatch):
    """Puts another copy of two of this package's files on the path, as a packed bundle does; gives its folder."""
    for name in ("command_line.py", "geometry.py"):
        (tmp_path / "custom").mkdir(exist_ok=True)
        shutil.copy(Path(custom.__path__[0]) / name, tmp_path / "custom")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path / "custom"


def test_copies_of_the_same_code_go_together(copy_on_the_path):
    check_one_code()


def test_copies_of_different_code_do_not(copy_on_the_path):
    (copy_on_the_path / "geometry.py").write_text("SPACING = 1\n")
    with pytest.raises(InputError, match="geometry.py: is not the code that this process has from .*; use bundles"):
        check_one_code()


def test_another_package_of_this_name_is_left_alone(copy_on_the_path):
    (copy_on_the_path / "geometry.py").write_text("SPACING = 1\n")
    (copy_on_the_path / "command_line.py").unlink()
    check_one_code()
