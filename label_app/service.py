# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The server's answers: inference off the event loop, results as images, mistakes as HTTP 400 with their sentence.

MONAI Label 0.8.5 runs an inference on the event loop, where nothing else is answered meanwhile, takes any path on the
server for an image, and makes a bare "Internal Server Error" of every mistake. This module replaces that one endpoint
of the server that is starting, so that its stock command needs no further option.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from monailabel.config import RBAC_USER, settings
from monailabel.endpoints.infer import ResultType
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from requests_toolbelt import MultipartEncoder

from custom.errors import input_error_in
from label_app.bundle import Result

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Infer"])
MAY_USE = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))


def adapt(server: FastAPI) -> None:
    """Put our endpoints and our answers to mistakes into MONAI Label's server, which may have started."""
    stock = len(server.router.routes)
    server.include_router(router, prefix=settings.MONAI_LABEL_API_STR)
    routes = server.router.routes
    routes[:] = [*routes[stock:], *routes[:stock]]  # the first that fits a request answers it
    server.add_exception_handler(MONAILabelException, _told)
    server.middleware_stack = server.build_middleware_stack()  # the running one has the handlers of before


def _told(_: Request, error: MONAILabelException) -> JSONResponse:
    missing = isinstance(error, ImageNotFoundException | LabelNotFoundException)
    return JSONResponse({"detail": error.msg}, 404 if missing else 400)


@router.post("/infer/{model}", dependencies=[MAY_USE], summary=f"{RBAC_USER}Interpolate, or segment, one scan")
def infer(  # not async: FastAPI then gives it a thread, and the event loop answers others meanwhile
    background: BackgroundTasks,
    model: str,
    image: str = "",
    session_id: str = "",
    params: Annotated[str, Form()] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    output: ResultType | None = None,
) -> Response:
    """Do a scan that lies among the studies (`image`), came before (`session_id`) or comes now (`file`)."""
    app, started = app_instance(), time.perf_counter()
    job = Path(tempfile.mkdtemp(prefix="slice_interpolation_"))
    background.add_task(shutil.rmtree, job, ignore_errors=True)
    try:
        options = _decoded(params)
        path = _received(file, job) if file is not None else app.place(image, session_id)
        result = app.run(model, path, options, job)
        result.record["latencies"] = {"total": round(time.perf_counter() - started, 2)}
        return _answer(result, output, background)
    except Exception as error:
        shutil.rmtree(job, ignore_errors=True)
        raise _as_http(error, [job, Path(app.studies)]) from error


@router.post("/infer/wsi/{model}", include_in_schema=False)
@router.post("/infer/wsi_v2/{model}", include_in_schema=False)
@router.post("/batch/infer/{model}", include_in_schema=False)
def refuse(model: str) -> None:
    """What MONAI Label offers besides makes labels of a data set."""
    raise HTTPException(400, f"{model} makes images and no labels: ask POST /infer/{model} for each of them")


def _decoded(params: str) -> dict[str, Any]:
    try:
        options = json.loads(params or "{}")
    except ValueError as error:
        raise ValueError(f"params are no JSON ({error})") from error
    if not isinstance(options, dict):
        raise ValueError(f'params must be a JSON object such as {{"factor": 4}}, got {params}')
    return options


def _received(file: UploadFile, job: Path) -> Path:
    """What a client sends along, under its own name, for messages and the result's name."""
    name = Path((file.filename or "").replace("\\", "/")).name
    path = job / (name.lstrip(".") or "scan.nii.gz")
    with path.open("wb") as out:
        shutil.copyfileobj(file.file, out)
    return path


def _answer(result: Result, output: ResultType | None, background: BackgroundTasks) -> Response:
    """The image alone, the record alone, or both; all of it with the samples' deviation."""
    if output == ResultType.dicom_seg:
        raise ValueError("output=dicom_seg: the result is an image and no segmentation; ask for image, json or all")
    if output == ResultType.json:
        return JSONResponse(result.record, background=background)
    if output == ResultType.image:
        return FileResponse(result.image, 200, None, "application/octet-stream", background, result.image.name)
    fields = {"params": (None, json.dumps(result.record), "application/json")}
    parts = {"image": result.image} | ({"std": result.std} if result.std and output == ResultType.all else {})
    for name, path in parts.items():
        fields[name] = (path.name, path.read_bytes(), "application/gzip")
    message = MultipartEncoder(fields=fields)
    return Response(message.to_string(), media_type=message.content_type, background=background)


def _as_http(error: Exception, folders: list[Path]) -> HTTPException:
    """Mistakes of the client are 400 with the sentence of the command line; what we did wrong is 500 and in the log."""
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, MONAILabelException):
        return HTTPException(404 if isinstance(error, ImageNotFoundException) else 400, error.msg)
    told = input_error_in(error) or (error if isinstance(error, ValueError) else None)
    if told is None and isinstance(error, MemoryError):
        return HTTPException(507, f"the scan is too large for this server's memory ({error})")
    if told is None:
        logger.exception("inference failed")
        return HTTPException(500, f"the server failed ({type(error).__name__}); its log says where")
    sentence = str(told)
    for folder in folders:  # where things lie on the server is not the client's business
        sentence = sentence.replace(f"{folder}/", "").replace(str(folder), "the request")
    sentence = sentence.replace("--", "")
    logger.info("refused: %s", sentence)
    return HTTPException(400, sentence)
