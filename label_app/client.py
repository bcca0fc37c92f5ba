# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Ask the server from Python, from a terminal or from 3D Slicer's console (docs/monai_label.md); needs `requests` only.

python label_app/client.py http://localhost:8000 motion scan.nii.gz results/ --factor 4
"""

from __future__ import annotations

import json
import re
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import requests


class Refused(RuntimeError):
    """The server's sentence about a request that it does not do.

    Attributes:
        status: of the HTTP answer; 400 for a mistake of the request, 404 where there is no such thing.
    """

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


def interpolate(server: str, model: str, scan: str, output_dir: str, **options: Any) -> Path:
    """Have a scan interpolated, and write the answer and its record.

    Args:
        server: address, such as http://localhost:8000.
        model: a bundle, such as motion.
        scan: a file here (NIfTI, or a zip of DICOM files), which is sent; or the name of a scan on the server.
        output_dir: made if needed; receives `<scan>_interp.nii.gz` and `.json`, and `_std.nii.gz` of several samples.
        options: of the model, as `/info` lists them: factor=4, target_spacing=2.0, num_samples=4, seed=0, ...

    Returns:
        The image's path.

    Raises:
        Refused: with the server's sentence.
    """
    request: dict[str, Any] = {"params": {"output": "all"}, "data": {"params": json.dumps(options)}}
    path = Path(scan)
    if path.is_file():
        request["files"] = {"file": (path.name, path.read_bytes())}
    else:
        request["params"]["image"] = scan
    answer = requests.post(f"{server.rstrip('/')}/infer/{model}", **request)  # no time-out: a cine takes minutes
    if answer.status_code != 200:
        raise Refused(answer.status_code, _sentence(answer))
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    record, files = _parts(answer)
    for name, content in files:
        (folder / name).write_bytes(content)
    image = folder / files[0][0]
    sidecar = folder / re.sub(r"\.nii(\.gz)?$", ".json", image.name)
    sidecar.write_text(json.dumps(record["sidecar"], indent=2) + "\n")
    return image


def _sentence(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _parts(answer: requests.Response) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
    """The record, and the names and bytes of the files, of a multipart answer."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.content)
    record, files = {}, []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        if part.get_filename() is None:
            record = json.loads(content)
        else:
            files.append((Path(part.get_filename()).name, content))
    return record, files


if __name__ == "__main__":
    import sys

    import fire

    try:
        fire.Fire(interpolate)
    except Refused as refused:
        sys.exit(f"error: {refused}")
