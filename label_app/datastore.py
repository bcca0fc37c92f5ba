# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Scans of a folder as MONAI Label lists them: NIfTI files, zips of DICOM files, and folders of these by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.exception import ImageNotFoundException, MONAILabelError, MONAILabelException

EXTENSIONS = ("*.nii.gz", "*.nii", "*.zip")


class ScanDatastore(LocalDatastore):
    """A folder of scans.

    Args:
        folder: of the scans.
        options: of `LocalDatastore`.
    """

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(folder, extensions=EXTENSIONS, **options)

    def get_image_uri(self, image_id: str) -> str:
        """Path of a listed file, or of a folder of DICOM files right below the scans' own.

        Raises:
            ImageNotFoundException: there is no such scan.
        """
        listed = super().get_image_uri(image_id)
        if listed:
            return listed
        root = Path(self._datastore_path).resolve()
        folder = root / image_id
        if image_id and folder.is_dir() and folder.resolve().parent == root and image_id != self._datastore.labels_dir:
            return str(folder)
        raise ImageNotFoundException(f"there is no scan {image_id!r}; GET /datastore/?output=all lists what there is")

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Add an uploaded scan; its name must not lead out of the folder."""
        if image_id and (Path(image_id).name != image_id or image_id.startswith(".")):
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, f"{image_id!r} is no name of a scan")
        return super().add_image(image_id, image_filename, image_info)
