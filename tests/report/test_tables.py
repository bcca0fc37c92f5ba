# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The summary averages by patient, says what it cannot say, and keeps the paper's numbers apart."""

from __future__ import annotations

import csv

import pytest

from custom.evaluation.modality import MODALITIES
from custom.evaluation.records import columns
from custom.evaluation.summary import summarise
from custom.files import atomic
from custom.papers.values import PAPERS
from custom.report.table_1 import table_1
from custom.report.tables import latex, markdown, write_summary

OCT, PAPER = MODALITIES["oct"], PAPERS["oct"]


def rows_of(method, values_by_patient, factor=6, kind="method", lpips="not available", modality=OCT, phases=1):
    """Rows of `metrics.csv` with the given PSNR values."""
    rows = []
    for patient, values in values_by_patient.items():
        for frame, psnr in enumerate(values, start=1):
            row = dict.fromkeys(columns(modality.metrics), "0") | {
                "method": method,
                "kind": kind,
                "inputs": "2",
                "samples": "1",
            }
            row |= {
                "factor": str(factor),
                "patient": patient,
                "step": str(frame),
                "seconds": "0.5",
                "phases": str(phases),
            }
            rows.append(row | {"psnr": str(psnr), "ssim": "0.5", "lpips": lpips, "speckle_psnr": str(psnr + 2)})
    return rows


def test_every_patient_counts_once_however_many_frames_it_has():
    lines = summarise(rows_of("Linear", {"P1": [20.0] * 9, "P2": [30.0]}), baseline="Linear", modality=OCT)
    (line,) = lines
    assert line["psnr"] == pytest.approx(25) and line["patients"] == 2 and line["images"] == 10
    assert line["psnr_low"] == pytest.approx(20) and line["psnr_high"] == pytest.approx(30)
    assert line["speckle_psnr"] == pytest.approx(27) and line["seconds"] == 0.5


def test_a_single_patient_has_no_interval_and_the_tables_say_so(tmp_path):
    lines = summarise(rows_of("Linear", {"P1": [20.0, 21.0]}), baseline="Linear", modality=OCT)
    write_summary(lines, tmp_path, OCT, PAPER, device="cpu", batch_size=4)
    with open(tmp_path / "summary.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["psnr"] == "20.5" and line["psnr_low"] == line["psnr_high"] == "single patient"
    assert line["lpips"] == line["lpips_low"] == "not available"
    text = (tmp_path / "summary.md").read_text()
    assert "single patient, so no intervals" in text and "not available" in text and "[" not in text.split("|")[-10]


def test_two_patients_are_told_to_have_no_test():
    rows = rows_of("Linear", {"P1": [20.0], "P2": [21.0]}) + rows_of("Rival", {"P1": [20.5], "P2": [22.0]})
    text = markdown(summarise(rows, "Linear", OCT), OCT, PAPER, device="cpu", batch_size=1)
    assert "N = 2 patients (no test: it takes 6)" in text and ", no test |" in text and "p =" not in text


def test_differences_are_paired_by_patient_with_the_baseline():
    # The patients differ by 10 dB, the methods by 1 dB in every patient: only pairing shows it.
    linear = {f"P{k}": [20.0 + 10 * (k % 2)] for k in range(8)}
    better = {patient: [values[0] + 1.0 + 0.01 * k] for k, (patient, values) in enumerate(linear.items())}
    lines = summarise(rows_of("Linear", linear) + rows_of("Rival", better), baseline="Linear", modality=OCT)
    baseline, rival = lines
    assert baseline["psnr_difference"] is None
    assert 0.99 < rival["psnr_difference_low"] <= rival["psnr_difference_high"] < 1.08
    assert rival["psnr_difference_p"] < 0.01
    assert rival["psnr_low"] < baseline["psnr_high"]  # unpaired, the intervals overlap


def test_the_papers_numbers_are_beside_ours_and_marked():
    rows = rows_of("CardioInterp", {"P1": [21.0]}) + rows_of("CardioInterp mean of 4", {"P1": [22.0]})
    header, body = table_1(summarise(rows, baseline="Linear", modality=OCT), OCT, PAPER)
    assert header == ["Method", "×6 PSNR / SSIM (%)", "×6 (paper, other data)"]
    assert body[0] == ["CardioInterp", "21.00 / 50.00", "28.59 / 51.80"]
    assert body[1] == ["CardioInterp mean of 4", "22.00 / 50.00", "-"]  # the paper reports no such row
    assert ["FLAVR", "-", "28.07 / 47.56"] in body and ["I3Net", "-", "-"] not in body


def test_oracles_are_named_as_such_in_markdown_and_latex():
    rows = rows_of("Linear", {"P1": [20.0]}) + rows_of("Autoencoder", {"P1": [40.0]}, kind="oracle")
    lines = summarise(rows, baseline="Linear", modality=OCT)
    assert "| Autoencoder (oracle) |" in markdown(lines, OCT, PAPER, device="cpu", batch_size=1)
    text = latex(lines, OCT, PAPER)
    assert r"Autoencoder (oracle) & 40.00 / 50.00" in text
    body = text[text.index(r"\toprule") :]
    assert all(line.count("&") == 2 for line in body.splitlines() if line.endswith(r"\\"))
    assert "%" not in text.replace(r"\%", "")


def test_every_markdown_row_has_the_columns_of_its_header():
    rows = rows_of("Linear", {"P1": [20.0], "P2": [21.0]}) + rows_of("Rival", {"P1": [20.0], "P2": [22.0]}, lpips="0.2")
    lines = summarise(rows + rows_of("Linear", {"P1": [25.0]}, factor=2), "Linear", OCT)
    text = markdown(lines, OCT, PAPER, device="cpu", batch_size=1)
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


def test_a_file_that_could_not_be_written_whole_is_not_there(tmp_path):
    (tmp_path / "summary.csv").write_text("old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "summary.csv") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "summary.csv").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
