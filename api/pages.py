"""The chat page, its widget for other sites, the operators' page and their files: read once, sent compressed."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.chat import SESSION, SESSION_COOKIE
from api.doors import Doors, Here
from api.gate import CONTENT_POLICY

FOLDER = Path(__file__).parent / "web"
PAGE = "index.html"
OPERATORS_PAGE = "ops.html"
INBOX_PAGE = "inbox.html"
LOADER = "widget.js"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# Names carry no version, so a browser asks each time; an unchanged file costs it a 304.
CACHING = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, ready to be sent."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str

    def respond(self, request: Request, **special: str) -> Response:
        """The file, or 304 where the browser has it; `special` headers go with either."""
        packed = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'"{self.tag}-gzip"' if packed else f'"{self.tag}"'
        headers = CACHING | {"ETag": tag} | special
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if packed:
            headers |= {"Content-Encoding": "gzip"}
        return Response(self.packed if packed else self.plain, headers=headers, media_type=self.media_type)


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files of the page by name; files of a kind that it does not use are left out."""
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    packed = gzip.compress(plain, mtime=0)
    return Asset(MEDIA_TYPES[path.suffix], plain, packed, hashlib.sha256(plain).hexdigest()[:16])


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request, doors: Here) -> Response:
    """The chat page; a browser that is new here gets an anonymous session that no script can read."""
    response = _assets(request)[PAGE].respond(request)
    if not _has_session(request):
        response.set_cookie(
            SESSION_COOKIE, doors.new_session(), httponly=True, samesite="strict", secure=_is_https(request)
        )
    return response


@router.api_route("/widget", methods=["GET", "HEAD"])
async def framed_page(request: Request, doors: Here) -> Response:
    """The chat page for a frame on a site that the settings name; its session holds on that site alone.

    The cookie is one of its own for each site around the frame (Partitioned, CHIPS). A browser keeps it only from
    https or from this machine itself (Secure), by its own word and not by that of a proxy.
    """
    policy = CONTENT_POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {_framing_origins(doors)}")
    response = _assets(request)[PAGE].respond(request, **{"Content-Security-Policy": policy})
    if not _has_session(request):
        # By hand: the standard library writes Partitioned from Python 3.14 on.
        cookie = f"{SESSION_COOKIE}={doors.new_session()}; HttpOnly; Path=/; SameSite=None; Secure; Partitioned"
        response.headers.append("Set-Cookie", cookie)
    return response


@router.api_route("/widget.js", methods=["GET", "HEAD"])
async def loader(request: Request, doors: Here) -> Response:
    """The script that a site puts on its pages; 404 as long as the settings name no site."""
    _framing_origins(doors)
    return _assets(request)[LOADER].respond(request, **{"Cross-Origin-Resource-Policy": "cross-origin"})


@router.api_route("/ops", methods=["GET", "HEAD"])
async def operators(request: Request) -> Response:
    """The operators' page: a shell without a figure, which asks for a key and then /admin for the rest."""
    return _assets(request)[OPERATORS_PAGE].respond(request)


@router.api_route("/ops/inbox", methods=["GET", "HEAD"])
async def inbox(request: Request) -> Response:
    """The agents' inbox: a shell without a word of a customer, which asks for a key and then /admin for the rest."""
    return _assets(request)[INBOX_PAGE].respond(request)


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def asset(request: Request, name: str) -> Response:
    """A file of the page, by its name and nothing else."""
    found = _assets(request).get(name)
    if found is None:
        raise HTTPException(404)
    return found.respond(request)


def _framing_origins(doors: Doors) -> str:
    """The sites that may show the widget, as a content policy lists them. Raises HTTPException (404) for none."""
    origins = doors.service.settings.widget_origins.replace(",", " ")
    if not origins:
        raise HTTPException(404)
    return origins


def _has_session(request: Request) -> bool:
    return SESSION.fullmatch(request.cookies.get(SESSION_COOKIE, "")) is not None


def _is_https(request: Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy that says so: who lies here deceives nobody else."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))


def _assets(request: Request) -> dict[str, Asset]:
    return cast("dict[str, Asset]", request.app.state.assets)
