# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers printed in the papers: shown beside ours, in columns marked as theirs, and never mixed with ours.

The data behind them are private or restricted (CardioInterp: Vivolight and Abbott pullbacks, one split by sub-volume;
CaLID: UK Biobank), so they are a reminder of the order of size and of the ranking, not a target.
"""

from __future__ import annotations

from custom.report.printed import PaperTable

#: CardioInterp, Table 1: method -> factor -> (PSNR in dB, SSIM in %).
CARDIOINTERP_TABLE_1: dict[str, dict[int, tuple[float, float]]] = {
    "I3Net": {2: (29.18, 56.50), 4: (28.96, 53.97)},
    "TSCNet": {2: (10.53, 11.38), 4: (14.20, 21.33)},
    "FLAVR": {2: (29.09, 51.18), 4: (28.60, 47.78), 6: (28.07, 47.56)},
    "CardioInterp": {2: (29.94, 59.21), 4: (28.78, 56.00), 6: (28.59, 51.80)},
}

#: CardioInterp, Table 2 (at x6): (PSNR in dB, SSIM in %) of each ablation row.
CARDIOINTERP_TABLE_2: dict[str, tuple[float, float]] = {
    "plain decoder": (27.91, 46.13),
    "+ P3D": (28.08, 46.67),
    "+ dual-path addition": (28.24, 49.07),
    "+ dual-path fusion": (28.59, 51.80),
}

#: CaLID, Table I: dimensions -> model -> (PSNR in dB, SSIM, LPIPS-alex, rFID, generation time at 128 steps in s).
CALID_TABLE_1: dict[str, dict[str, tuple[float | None, ...]]] = {
    "2D": {
        "Bilinear Pixel": (19.795, 0.535, 0.149, 84.050, None),
        "Bilinear Latent": (20.397, 0.586, 0.172, 92.685, None),
        "DiffAE": (20.741, 0.597, 0.127, 88.111, 7.875),
        "DMCVR": (21.023, 0.631, 0.124, 87.995, 8.966),
        "CaLID": (22.748, 0.755, 0.097, 55.585, 3.025),
        "CaLID+": (24.160, 0.778, 0.086, 31.508, 8.942),
    },
    "2D+T": {
        "CaLID": (22.246, 0.706, 0.125, 55.489, 13.480),
        "CaLID+": (23.557, 0.757, 0.116, 53.928, 39.823),
    },
}

#: CaLID, Table II, at the midpoint of a gap of two slices, by MedFormer: region -> measure -> method -> number. Whether
#: distances are in mm or in pixels is not stated (B23).
CALID_TABLE_2: dict[str, dict[str, dict[str, float]]] = {
    region: {
        measure: dict(zip(("DiffAE", "DMCVR", "CaLID+", "Original"), numbers, strict=True))
        for measure, numbers in zip(("dice", "asd", "hd", "assd"), measures, strict=True)
    }
    for region, measures in {
        "Mean": ((0.823, 0.823, 0.861, 0.955), (1.151, 1.180, 0.850, 0.330), (3.674, 3.684, 2.816, 1.835),
                 (1.153, 1.183, 0.896, 0.349)),
        "LVC": ((0.901, 0.900, 0.920, 0.979), (0.995, 1.002, 0.816, 0.253), (2.461, 2.511, 2.052, 1.244),
                (1.009, 1.022, 0.829, 0.261)),
        "LVM": ((0.752, 0.754, 0.800, 0.946), (0.874, 0.857, 0.723, 0.257), (3.107, 3.087, 2.513, 1.444),
                (0.886, 0.894, 0.757, 0.268)),
        "RVC": ((0.819, 0.816, 0.867, 0.939), (1.583, 1.681, 1.011, 0.480), (5.454, 5.455, 3.885, 2.817),
                (1.566, 1.634, 1.101, 0.518)),
    }.items()
}  # fmt: skip

#: Our names of the paper's averages: the midpoint of linear interpolation is the average of the two neighbours (B21).
_AVERAGES = {
    **dict.fromkeys(("Linear", "Pixel average", "Average"), "Bilinear Pixel"),
    **dict.fromkeys(("Latent average", "Latent linear"), "Bilinear Latent"),
}


def cardiointerp_paper() -> PaperTable:
    """Table 1 of CardioInterp."""
    label = "paper, other data"
    note = f'Columns marked "{label}" are numbers printed in the CardioInterp paper: private data, not comparable with '
    return PaperTable(label, note + "ours.", ("psnr", "ssim"), CARDIOINTERP_TABLE_1, {}, "factors")


def calid_paper(dimensions: str) -> PaperTable:
    """Tables I and II of CaLID, as seen from one half of the first; it only has midpoints, factor 2.

    Args:
        dimensions: "2D" or "2D+T". Rows of the other half keep it in their names: "CaLID (2D)".
    """
    rows = {}
    for half, models in CALID_TABLE_1.items():
        for model, numbers in models.items():
            rows[model if half == dimensions else f"{model} ({half})"] = {2: numbers}
    known_as = {ours: theirs if theirs in rows else f"{theirs} (2D)" for ours, theirs in _AVERAGES.items()}
    keys = ("psnr", "ssim", "lpips", "rfid", "gen_seconds")
    label = "paper (UK Biobank, not comparable)"
    note = f'Columns marked "{label}" are the numbers printed in Table I of the CaLID paper.'
    anatomy = CALID_TABLE_2, "paper (UK Biobank, unit of distances not stated)"
    return PaperTable(label, note, keys, rows, known_as, "metrics", *anatomy)


#: Modality (`custom.evaluation.modality`) -> the table that stands beside ours.
PAPERS = {"oct": cardiointerp_paper(), "cmr": calid_paper("2D"), "cmr_cine": calid_paper("2D+T")}
