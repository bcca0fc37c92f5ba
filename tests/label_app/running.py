# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The real server as users start it, on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.label_app.conftest import BUNDLES

QUIET = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


class Server:
    """A running `monailabel start_server`."""

    def __init__(self, folder: Path) -> None:
        self.studies, self.temporary, self.log = folder / "studies", folder / "tmp", folder / "server.log"
        self.studies.mkdir()
        self.temporary.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(BUNDLES.parent / "label_app")]
        command += ["--studies", str(self.studies), "--host", "127.0.0.1", "--port", str(port)]
        environment = {
            **os.environ,
            **QUIET,
            "MONAI_LABEL_INFER_TIMEOUT": "1",
            "MONAI_LABEL_SESSION_PATH": str(folder / "sessions"),
            "TMPDIR": str(self.temporary),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 600  # importing it all takes a minute on a busy machine
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                requests.get(f"{self.url}/info/", timeout=5)
                return
            except requests.ConnectionError:
                time.sleep(0.5)
        self.close()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def infer(self, model: str, image: str = "", params: str = "{}", **more) -> requests.Response:
        query = {"image": image, **more.pop("query", {})}
        return requests.post(f"{self.url}/infer/{model}", params=query, data={"params": params}, **more)
