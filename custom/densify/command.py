# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m custom densify EXPORT OUT`: from an export to dense volumes, and a page for each to look at them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fire
from fire.decorators import SetParseFn

from custom.densify.help import help_of, overview
from custom.errors import InputError
from custom.importers.intake import check_apart, check_arguments
from custom.memory import keep_freed_memory

logger = logging.getLogger(__name__)
PROGRAM = "cardiac-slices"
"""As it is installed; `python -m custom` is the same."""
UNUSABLE, SOME_FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes besides 0."""


OURS = ("frame_pitch_mm", "depth_spacing_mm", "geometry", "modality", "slice_axis")
"""Options that importers advise, and that are here too."""


@SetParseFn(str, "export", "out", "method", "modality", "coordinates", "geometry")
def densify(
    export: str,
    out: str,
    *,
    factor: int | None = None,
    spacing: float | None = None,
    method: str | None = None,
    modality: str = "auto",
    coordinates: str = "keep",
    frame_pitch_mm: float | None = None,
    depth_spacing_mm: float | None = None,
    geometry: str = "none",
    page: bool = True,
    dicom: bool = True,
    **options: Any,
) -> None:
    """Fill the gaps between the slices of cardiac MR stacks and cines, and between the frames of OCT pullbacks.

    EXPORT is what you have; what it holds is found out. Each scan gets a folder OUT/NAME with
    NAME_interp.nii.gz on the scanner's own grid (acquired slices bit for bit), a JSON that says what made it and which
    slices are synthetic, and index.html, one page to look at it in any browser; from DICOM, NAME_interp_dicom also
    holds a derived series, in which synthetic images say that they are. OUT/sources.csv lists every source
    and what became of it. The same command again does only what is missing. A scan that cannot be done is told in one
    line, the others are done. Exit code 0 is all done, 1 some failed, 2 options or folders that cannot be used.

    Research only. Synthetic slices are not measurements.

    Args:
        export: folder or file. DICOM as a scanner exports it, zips of it, NIfTI, NRRD or MetaImage volumes, trees of
            these; OCT as DICOM, folders of PNG or TIFF frames, TIFF stacks, .npy, .npz or prepared NIfTI.
        out: folder for the results, neither in EXPORT nor around it.
        factor: steps per gap, so that n slices become (n - 1) * factor + 1. By default 4 for MR, 6 for OCT.
        spacing: distance of slices in mm to reach instead, with the smallest factor that does it.
        method: motion (default, fast), calid, calid_cine, cardiointerp or any other bundle; or without weights linear,
            flow (TV-L1), cubic, nearest. For OCT, motion means motion_oct, flavr flavr_oct, and so on.
        modality: cmr or oct, to take everything for that; auto looks at headers.
        coordinates: of OCT frames, keep them, or make them polar or cartesian first.
        frame_pitch_mm: of OCT, distance between frames. By default that of the DICOM header or the geometry, else 0.2.
        depth_spacing_mm: of OCT, size of a pixel. By default that of the DICOM header or the geometry, else unknown.
        geometry: of OCT, what a system's frames measure where nothing else says so, vivolight or abbott.
        page: no page is written (--page false is the same).
        dicom: no derived DICOM series of an EXPORT that is DICOM.
        options: anything else that the method's inference.json has, such as --dry_run (what would become of each scan,
            in what time and memory; nothing is written), --preview (a small piece of each, and its picture),
            --texture 1 (as sharp as the acquired slices beside; the default is 0.5 for MR, 0 for OCT),
            --num_samples 4 (diffusion, their spread becomes NAME_std.nii.gz and an overlay of the page),
            --num_inference_steps 8, --seed 1, --device cpu.
    """
    logger.info("looking through %s", export)
    keep_freed_memory()
    from custom.importers.left_out import LeftOut, tell_left_out, unread
    from custom.importers.oct.conversion import ConversionOptions  # here, and not above: `--help` does not wait for it
    from custom.importers.studies import find_studies

    if factor is not None and spacing is not None:
        raise InputError("--spacing", "asks for the same as --factor in another way", "leave one of them out")
    pullbacks = ConversionOptions(
        to=coordinates, geometry=geometry, frame_pitch_mm=frame_pitch_mm, depth_spacing_mm=depth_spacing_mm
    )
    root = Path(os.path.abspath(export))
    check_apart({"EXPORT": root}, out)
    left_out: LeftOut = []
    studies = find_studies(root, modality, left_out)
    from tqdm import tqdm  # not before it is known what for: PyTorch takes seconds
    from tqdm.contrib.logging import logging_redirect_tqdm

    from custom.densify.method import interpolator_for
    from custom.densify.run import Run
    from custom.importers.prepared import Preparer
    from custom.inferers.claims import Claims
    from custom.scans.nifti import check_output_dir
    from custom.switches import is_on

    evaluators = {
        kind: interpolator_for(kind, method, factor, spacing, options)
        for kind in dict.fromkeys(study.kind for study in studies)
    }
    passed_over = tell_left_out(left_out, root)
    lost = unread(left_out)
    rehearsed = is_on(options.get("dry_run", False))
    asked = {**options, "factor": factor, "spacing": spacing, "method": method, "page": page, "dicom": dicom}
    with logging_redirect_tqdm(), TemporaryDirectory() as temporary:
        folder = Path(out) if rehearsed else check_output_dir(out)
        work = Path(temporary) if rehearsed else folder
        with Claims(work, {"options": {**asked, **asdict(pullbacks)}}) as claims:
            prepare = Preparer(work, pullbacks, options.get("slice_axis"), OURS)
            run = Run(root, folder, prepare, evaluators, claims, page, dicom)
            run.expect(studies)
            run.do(tqdm(studies, desc="studies", unit="study", disable=len(studies) == 1))
            if not rehearsed:
                run.write_fates(passed_over)
    logger.info("%s%s", "dry run: nothing was written" if rehearsed else run.summary(), f"; {lost}" if lost else "")
    if run.failures or lost:
        sys.exit(SOME_FAILED)


COMMANDS = {"densify": densify}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; options that nothing knows, and folders that cannot be used, cost one line and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    asks = not words or bool({"--help", "-h"} & set(words))
    if asks and words[:1] and words[0] in COMMANDS:
        print(help_of(PROGRAM, words[0], COMMANDS[words[0]]))
        return
    if asks:
        print(overview(PROGRAM, COMMANDS))
        return
    if words[0] not in COMMANDS:
        _refuse(f"{words[0]}: no such command; the commands are {', '.join(COMMANDS)}")
    check_arguments(COMMANDS[words[0]], words[1:])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("ignite").setLevel(logging.WARNING)
    for module in ("monai", "ignite", "torch"):
        warnings.filterwarnings("ignore", module=module)
    try:
        fire.Fire(COMMANDS, command=words, name=PROGRAM)
    except ValueError as error:  # InputError among them
        _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _refuse(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)
    raise SystemExit(UNUSABLE)
