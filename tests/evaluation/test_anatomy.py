# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from custom.evaluation.anatomy import anatomy_rows, score_anatomy
from custom.evaluation.segmentation import SegmentationBenchmark, summarise
from custom.papers.values import PAPERS
from custom.pictures.anatomy import anatomy_figure
from custom.report.anatomy import anatomy_table


class Levels(nn.Module):
    """Pixel value k / 3 is class k."""

    def __init__(self):
        super().__init__()
        self.levels = nn.Parameter(torch.arange(4) / 3, requires_grad=False)

    def forward(self, images):
        return -(images - self.levels[:, None, None]).abs()


@pytest.fixture
def labels():
    labels = torch.zeros(3, 1, 24, 24, dtype=torch.uint8)
    labels[:, :, 4:16, 4:16], labels[:, :, 6:14, 6:14], labels[:2, :, 4:16, 17:22] = 2, 1, 3
    return labels


IDENTITIES = [{"patient": "A", "scan": "a"}, {"patient": "A", "scan": "a"}, {"patient": "B", "scan": "b"}]


def rows_of(method, frames, labels, pixel=(1.0, 1.0, 2.0)):
    return anatomy_rows(Levels(), method, frames, labels, pixel, IDENTITIES, (1, 2, 3))


def test_rows_know_distances_in_mm_misses_and_what_is_not_there(labels):
    shifted = labels.roll(1, dims=3)
    shifted[0][shifted[0] == 3] = 0
    rows = rows_of("m", shifted / 3, labels)
    assert len(rows) == 8  # no RV in the third slice, on neither side
    by_key = {(row["patient"], row["class"], k): row for k, row in enumerate(rows)}
    assert [row["missed"] for row in rows if row["class"] == 3] == [True, False]
    assert rows[2]["dice"] == 0 and rows[2]["hd"] is None and rows[2]["scan"] == "a"
    lv = [row["hd"] for key, row in by_key.items() if key[1] == 1]
    assert lv == pytest.approx([1, 1, 2])  # one pixel, of 1 mm and of 2 mm
    with pytest.raises(ValueError, match="pixel spacings"):
        score_anatomy(Levels(), shifted / 3, labels, (1.0,), (1,))


def test_table_has_the_form_of_table_2_with_the_papers_columns_marked(labels):
    shifted = labels.roll(2, dims=3)
    rows = rows_of("Original", labels / 3, labels) + rows_of("Ours", shifted / 3, labels)
    header, body = anatomy_table(rows, PAPERS["cmr"])
    assert header[:4] == ["Region", "Measure", "Original", "Ours"]
    assert header[4:] == [f"{n}, paper (UK Biobank, unit of distances not stated)"
                          for n in ("DiffAE", "DMCVR", "CaLID+", "Original")]  # fmt: skip
    table = {(row[0], row[1]): row[2:] for row in body}
    assert [row[0] for row in body[:20:5]] == ["Mean", "LVC", "LVM", "RVC"]
    assert table["LVC", "Dice ↑"] == ["1.000", "0.750", "0.901", "0.900", "0.920", "0.979"]
    # Patients count alike: A has 2 mm twice, B 4 mm once.
    assert table["LVC", "HD ↓ (mm)"][:2] == ["0.000", "3.000"]
    assert table["RVC", "HD ↓ (mm)"][:2] == ["0.000", "2.000"]
    mean = np.mean([float(table[r, "Dice ↑"][1]) for r in ("LVC", "LVM", "RVC")])
    assert float(table["Mean", "Dice ↑"][1]) == pytest.approx(mean, abs=1e-3)
    assert table["RVC", "Slices"][0] == "2 (1 patients)" and table["Mean", "Missed ↓ (%)"][2:] == ["-"] * 4


def test_a_missed_structure_lowers_dice_and_shows_as_missed(labels):
    blank = torch.where(labels == 3, 0, labels)
    _, body = anatomy_table(rows_of("Blank", blank / 3, labels), PAPERS["cmr"])
    table = {(row[0], row[1]): row[2] for row in body}
    assert table["RVC", "Dice ↑"] == "0.000" and table["RVC", "Missed ↓ (%)"] == "100.000"
    assert table["RVC", "HD ↓ (mm)"] == table["Mean", "HD ↓ (mm)"] == "-"


def test_partial_truth_shows_its_regions_only(labels):
    rows = anatomy_rows(Levels(), "m", labels / 3, labels, [1.0] * 3, IDENTITIES, (1,))
    _, body = anatomy_table(rows, PAPERS["cmr"])
    assert [row[0] for row in body] == ["Mean"] * 5 + ["LVC"] * 5 + ["LVC"]


def test_picture_of_segmented_hearts(tmp_path):
    grid = np.meshgrid(*(np.arange(n) - n / 2 for n in (12, 24, 24)), indexing="ij")
    radius = np.sqrt((grid[0] * 2) ** 2 + grid[1] ** 2 + grid[2] ** 2)
    heart = np.where(radius < 6, 1, np.where(radius < 9, 2, 0))
    path = anatomy_figure({"Sparse": (heart[::2], (4, 1, 1)), "Dense": (heart, (2, 1, 1))}, tmp_path / "h.png")
    assert path.stat().st_size > 10_000
    with pytest.raises(ValueError, match="No structure to draw in Nothing"):
        anatomy_figure({"Nothing": (heart * 0, (2, 1, 1))}, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_benchmark_writes_scores_by_patient_and_measures(tmp_path, labels):
    volume = labels.movedim(1, 1).repeat(1, 2, 1, 1)  # (N, T, H, W)
    volume[:, 1][volume[:, 1] == 3] = 0
    item = {"label": volume, "spacing_mm": (8.0, 1.0, 1.0), "voxel_mm3": 8.0, "scan": "s"}
    full = {**item, "image": volume / 3, "label_classes": (1, 2, 3), "patient": "A"}
    partial = {**item, "image": torch.where(volume == 1, 0, volume) / 3, "label_classes": (1,), "patient": "B"}
    benchmark = SegmentationBenchmark([full, partial], Levels(), tmp_path / "out")
    benchmark.run()
    table = {(line["kind"], line["structure"]): line for line in benchmark.summary}
    lv = table["3D", "LV cavity"]
    assert (lv["patients"], lv["cases"], lv["misses"]) == (2, 4, 2)
    assert lv["dice"] == pytest.approx(0.5) and lv["hd"] == 0 and lv["dice_low"] == 0
    assert table["3D", "RV cavity"]["cases"] == 1 and table["2D", "myocardium"]["patients"] == 1
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| 3D | LV cavity | 2 | 4 | 2 | 0.500 [0.000, 1.000] |" in text
    measures = (tmp_path / "out" / "measures.csv").read_text().splitlines()
    assert measures[1] == "A,s,LV volume,ml,0,1.536,1.536" and not any(line.startswith("B") for line in measures)


def test_summary_of_nothing_found():
    row = {"kind": "2D", "structure": "RV cavity", "patient": "A", "dice": 0.0, "missed": True}
    (line,) = summarise([row | dict.fromkeys(("hd", "hd95", "asd", "assd"))])
    assert line["dice"] == 0 and line["hd95"] is None and line["misses"] == 1
