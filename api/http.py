"""The HTTP face: the API under `/api/v1`, health, figures, and the status page.

`create_app` puts together what the routes answer from a `View`; `Server` runs it beside whatever
else the process does. Leaves out what is shown (the view) and when passes run (`service`).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import TracebackType

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from api import events, problems
from api.events import Listeners
from api.metrics import Metrics
from api.routes import acts, health, simulations, state
from api.routes.simulations import Bench
from api.security import Guarded
from api.view import View
from lab.errors import VlabError

PAGE = Path(__file__).parent / "page"
BODY_BYTES = 64 * 1024
GRACE_S = 5  # for answers under way when the server stops
KEEP_S = 75  # an idle connection; longer than clients do, or one asks just as it is closed


class ServerFailed(VlabError):
    """The page can't be served; says where and why."""


def create_app(view: View, metrics: Metrics | None = None) -> FastAPI:
    """The application over `view`; `metrics`: where passes are counted, if anybody counts them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.loop = asyncio.get_running_loop()
        yield
        app.state.bench.close()

    app = FastAPI(
        title="vlab",
        version=version("vlab"),
        description="A virtualization lab kept as git says, and its twin. Times are seconds since"
        " the Unix epoch, or since the start of a simulated run.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the interactive pages of FastAPI load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=BODY_BYTES,
    )
    app.state.view = view
    app.state.metrics = metrics or Metrics()
    app.state.bench = Bench()
    app.state.listeners = Listeners()
    problems.install(app)
    for router in (state.router, simulations.router, acts.router, events.router):
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))
    app.add_middleware(Guarded, view=view)
    return app


class Server:
    """An application served by a thread of its own, from `with` to its end."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Take the port. Raises ServerFailed; `port` 0 takes any."""
        self._app = app
        self._host = host
        try:
            self._socket = _listening(host, port)
        except OSError as error:
            raise ServerFailed(f"{host}:{port}: {error.strerror}") from error
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=KEEP_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http", daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._socket.getsockname()[1]}/"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if (loop := getattr(self._app.state, "loop", None)) is not None:
            self._app.state.listeners.close(loop)
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that answers from now on: who knows the address need not try again."""
    try:
        family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    except ValueError:  # a name
        family = socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(128)
    except OSError:
        taken.close()
        raise
    return taken
