# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Entry of the MONAI Label app: which bundles are served, and one job at a time on the machine's processor.

monailabel start_server --app label_app --studies FOLDER [--conf models motion,calid] [--conf bundles FOLDER]
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of `custom` and `label_app`, from wherever it is started

from monailabel.app import app as server  # noqa: E402
from monailabel.config import settings  # noqa: E402
from monailabel.interfaces.app import MONAILabelApp  # noqa: E402
from monailabel.interfaces.datastore import Datastore  # noqa: E402
from monailabel.interfaces.exception import MONAILabelError, MONAILabelException  # noqa: E402
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType  # noqa: E402

from custom.version import VERSION  # noqa: E402
from label_app.bundle import Result, ServedBundle  # noqa: E402
from label_app.datastore import ScanDatastore  # noqa: E402
from label_app.service import adapt  # noqa: E402

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
NOTE = "Research only: synthetic slices are guesses between acquired ones, no measurements."


class BundleTask(InferTask):
    """A bundle as `/info` tells it. What it does is asked of `SliceInterpolationApp.run`."""

    def __init__(self, bundle: ServedBundle) -> None:
        self.bundle = bundle
        kind = InferType.SEGMENTATION if bundle.labels else InferType.OTHERS
        text = f"{bundle.metadata['description']} {NOTE}"
        super().__init__(kind, bundle.labels, 3, text, config=bundle.defaults)

    def is_valid(self) -> bool:
        return self.bundle.is_complete

    def info(self) -> dict[str, Any]:
        return {**super().info(), "version": self.bundle.metadata["version"], "input": self.bundle.kind}

    def __call__(self, request: Mapping[str, Any]) -> Any:
        raise MONAILabelException(MONAILabelError.INVALID_INPUT, "results are images: ask POST /infer/{model} for them")


class SliceInterpolationApp(MONAILabelApp):
    """All bundles that have weights, or those that `--conf models` names."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._one_at_a_time = threading.Lock()
        text = f"Slices between the slices of cardiac MR stacks and cines, and of OCT pullbacks. {NOTE}"
        super().__init__(app_dir, studies, conf, "Slice interpolation", text, VERSION)
        adapt(server)

    def init_datastore(self) -> Datastore:
        """The studies, where they are a folder; MONAI Label's own clients for servers of them."""
        if self.studies.startswith(("http://", "https://")):
            return super().init_datastore()
        options = {
            "auto_reload": settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            "read_only": settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        }
        return ScanDatastore(self.studies, **options)

    def init_infers(self) -> dict[str, InferTask]:
        """One task per bundle."""
        folder = Path(self.conf.get("bundles", BUNDLES)).resolve()
        bundles = {path.parents[1].name: path.parents[1] for path in sorted(folder.glob("*/configs/inference.json"))}
        wanted = self.conf.get("models", "all")
        names = list(bundles) if wanted == "all" else [name.strip() for name in wanted.split(",")]
        missing = [name for name in names if name not in bundles]
        if missing or not names:
            raise SystemExit(
                f"--conf models: no {', '.join(missing) or 'bundle'} in {folder}; it has {', '.join(bundles)}"
            )
        return {name: BundleTask(ServedBundle(bundles[name])) for name in names}

    def place(self, image: str, session_id: str) -> Path:
        """Where a scan lies that a client names; MONAILabelException where it is not there."""
        if session_id:
            session = self.sessions() and self.sessions().get_session(session_id)
            if not session:
                raise MONAILabelException(MONAILabelError.INVALID_INPUT, f"there is no session {session_id!r}")
            return Path(session.image)
        if not image:
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, "no scan: give image, session_id or file")
        return Path(self.datastore().get_image_uri(image))

    def run(self, model: str, path: Path, params: Mapping[str, Any], folder: Path) -> Result:
        """Do a scan, after those that were asked for before; see `ServedBundle.run`."""
        task = self._infers.get(model)
        if task is None or not task.is_valid():
            valid = [name for name, other in self._infers.items() if other.is_valid()]
            told = f"there is no model {model!r}; there are {', '.join(valid)}"
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, told)
        with self._one_at_a_time:
            return task.bundle.run(path, params, folder)
