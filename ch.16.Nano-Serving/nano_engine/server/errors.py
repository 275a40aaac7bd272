"""Refusals in the shape of OpenAI's API: {"error": {"message", "type", "param", "code"}}.

The message is a sentence for a person, `param` the field it is about, `code` a word for a program.
"""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from .protocol import UNSUPPORTED_FIELDS


class ApiError(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = headers

    def response(self) -> JSONResponse:
        return JSONResponse(
            error_body(self.status, str(self), self.param, self.code), self.status, self.headers
        )


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> dict:
    kinds = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")


def of_validation(failure: RequestValidationError) -> ApiError:
    """The first thing that is wrong with a body, with the name of its field."""
    first = failure.errors()[0]
    field = field_name(first["loc"])
    if first["type"] == "extra_forbidden":
        if field in UNSUPPORTED_FIELDS:
            return ApiError(
                400, f"{field} is not supported by this server", param=field, code="unsupported_parameter"
            )
        return ApiError(400, f"{field} is no field of this request", param=field, code="unknown_parameter")
    if first["type"] == "missing" and field:
        return ApiError(400, f"{field} is missing", param=field, code="missing_required_parameter")
    if not field:  # of the body as a whole: no JSON, no object
        reason = first.get("ctx", {}).get("error", first["msg"])
        return ApiError(400, f"the body must be a JSON object: {reason}", code="invalid_json")
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return invalid(field, f"{field}: {message}, got {short(first.get('input'))}")


def field_name(location: tuple) -> str:
    """ "messages[0].content" for ("body", "messages", 0, "content")."""
    name = ""
    for part in location[1:] if location[:1] == ("body",) else location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return "" if location[-1:] == ("body",) or (len(location) == 2 and isinstance(location[1], int)) else name


def short(value) -> str:
    text = repr(value) if not isinstance(value, str) or len(value) < 60 else repr(value[:60])
    return text if len(text) <= 60 else text[:57] + "..."


def install(app: FastAPI) -> None:
    """Every failure of an endpoint leaves in the one shape."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, failure: ApiError) -> JSONResponse:
        return failure.response()

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, failure: RequestValidationError) -> JSONResponse:
        return of_validation(failure).response()

    @app.exception_handler(HTTPException)
    async def no_such_thing(request: Request, failure: HTTPException) -> JSONResponse:
        sentences = {
            404: f"there is nothing at {request.url.path}",
            405: f"{request.url.path} does not take {request.method}",
            400: "the body must be a JSON object in UTF-8",
        }
        message = sentences.get(failure.status_code, str(failure.detail))
        code = "invalid_json" if failure.status_code == 400 else None
        return ApiError(failure.status_code, message, code=code, headers=failure.headers).response()

    @app.exception_handler(Exception)
    async def our_mistake(request: Request, failure: Exception) -> JSONResponse:
        """uvicorn writes the traceback to the log, and closes the connection."""
        message = "the server made a mistake; its log says which"
        return ApiError(500, message, code="internal_error", headers={"connection": "close"}).response()
