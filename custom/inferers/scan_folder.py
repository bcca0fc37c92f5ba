# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The scans of a folder: NIfTI as it is, and exports (DICOM, zips of it), which are prepared when their turn comes."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from monai.utils import CommonKeys as Keys
from torch.utils.data import Dataset

from custom.data.sources import cmr_phantom_scan
from custom.errors import InputError
from custom.scans.nifti import SUFFIXES, find_nifti

if TYPE_CHECKING:
    from custom.importers.left_out import Unread
    from custom.importers.prepared import Preparer
    from custom.importers.studies import Study

# The importers are imported where an export is at hand: who serves or runs NIfTI needs neither them nor pydicom.

logger = logging.getLogger(__name__)
SCRIPTS = {"stack": "data_scripts/prepare_cmr.py", "pullback": "data_scripts/prepare_oct.py"}


class ScanFolder(Dataset):
    """The scans of a folder as `{"image": path}`.

    The folder is listed at first use: a missing one is then told in one line by the evaluator, rather than by the
    traceback of a config that could not be built.

    A folder without NIfTI may be an export, of one patient or many: its items are studies, and `volumes` writes the
    stacks of one into the folder `prepared` of the outputs, on the scanner's grid, nothing cropped nor resampled.

    Args:
        dataset_dir: a folder of NIfTI files, or one file; an export of DICOM, or a zip of it; None for a simulated
            short-axis scan.
        kind: what they are, "stack" or "pullback"; for messages, and for what is taken from an export.
        scan_dir: where the simulated scan is, or is made at first use (`custom.data.sources.cmr_phantom_scan`).
    """

    def __init__(self, dataset_dir: str | Path | None, kind: str = "stack", scan_dir: str | Path = "cmr_scan") -> None:
        self.dataset_dir, self.kind, self.scan_dir = dataset_dir, kind, scan_dir
        self.output_dir: Path | None = None

    @cached_property
    def paths(self) -> list[Path]:
        """The files, sorted by name; of an export the names of its studies; InputError if there are none."""
        if self.dataset_dir is not None and _is_export(Path(self.dataset_dir)):
            return list(self._items)
        folder = cmr_phantom_scan(self.scan_dir) if self.dataset_dir is None else self.dataset_dir
        return find_nifti(folder, f"{self.kind}s", SCRIPTS[self.kind])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, str]:
        return {Keys.IMAGE: str(self.paths[index])}

    def write_into(self, output_dir: str | Path, temporary: str | Path | None = None) -> None:
        """Say where outputs go, and with them what is prepared of an export.

        Args:
            output_dir: of the outputs.
            temporary: takes what is prepared instead, for a run that keeps nothing.

        Raises:
            InputError: of an export, if that is the export itself, in it or around it.
        """
        self.output_dir = Path(temporary or output_dir)
        if self.dataset_dir is not None and _is_export(Path(self.dataset_dir)):
            from custom.importers.intake import check_apart

            check_apart({"--dataset_dir": self.dataset_dir}, output_dir)

    def volumes(self, item: str) -> tuple[list[Path], list[str]]:
        """The NIfTI files of an item: itself, or those that a study of an export becomes; and faults of the study."""
        if "_items" not in self.__dict__:
            return [Path(item)], []
        found = self._items[Path(item)]
        if isinstance(found, str):
            return [], [f"{item}: {found}"]
        prepared = self._prepare(found)
        return prepared.volumes, prepared.faults

    @cached_property
    def _prepare(self) -> Preparer:
        from custom.importers.oct.conversion import ConversionOptions
        from custom.importers.prepared import Preparer

        return Preparer(self.output_dir or Path.cwd(), ConversionOptions(to="keep"))

    @cached_property
    def _items(self) -> dict[Path, Study | Unread]:
        """Of an export, item to study, and what could not be read to why."""
        from custom.importers.left_out import Unread, tell_left_out
        from custom.importers.prepared import FOLDER
        from custom.importers.studies import find_studies

        root, left_out = Path(self.dataset_dir), []
        found = find_studies(root, "auto", left_out)
        unread = {path: reason for path, reason in left_out if isinstance(reason, Unread)}  # told when their turn comes
        tell_left_out([item for item in left_out if item[0] not in unread], root)
        studies = {root / study.name: study for study in found if study.kind == self.kind}
        if not studies:
            held = " and ".join(sorted({f"{study.kind}s" for study in found}))
            raise InputError(root, f"holds {held}, and this bundle takes {self.kind}s", "use a bundle for these")
        words = "1 study" if len(studies) == 1 else f"{len(studies)} studies"
        told = "%s: an export of %s, first written as NIfTI on the scanner's grid, not cropped, into %s"
        logger.info(told, root, words, (self.output_dir or Path()) / FOLDER)
        return studies | unread


def _is_export(path: Path) -> bool:
    """Whether a folder has no NIfTI of its own but DICOM or zips in it, at any depth; or a file is one of these."""
    if path.name.endswith(SUFFIXES) or not path.exists():
        return False
    try:
        if path.is_dir() and any(file.name.endswith(SUFFIXES) and file.name[0] != "." for file in path.iterdir()):
            return False
    except OSError:
        return False  # who lists it will say why
    from custom.importers.cmr.source import visible_files
    from custom.importers.cmr.zips import is_zip
    from custom.importers.dicom_files import is_dicom

    return any(is_zip(file) or is_dicom(file) for file in ([path] if path.is_file() else visible_files(path)))
