"""An HTTPS server on loopback for a device's face: it listens, refuses or is silent as that is.

Of the served lab (`lab`), which says when time has passed. A device that is off refuses
connections; one that hangs or can't be reached accepts them and keeps silent, which to a client is
a timeout. Leaves out: what is answered, which is the face's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from simulator.served.authority import Authority
from simulator.served.door import turn_away
from simulator.served.face import Close, Conversation, Face, HttpRequest, Shown
from simulator.served.multipart import Form, FormReader, MalformedForm
from simulator.served.place import Place
from simulator.twin import Twin

TICK_S = 0.05  # how often a server looks whether its device is there, and has something to say
BODY_LIMIT_BYTES = 512 * 1024  # pve-http-server
FILE_LIMIT_BYTES = 16 * 2**30  # assumed: the largest image that anybody sends; none of it is kept
MESSAGE_LIMIT_BYTES = 2 * 2**20  # the largest that TrueNAS takes; its conversations check less


class HttpsServer:
    """Serves one face at one address. `port` 0 takes a free one, and keeps it."""

    def __init__(
        self, face: Face, twin: Twin, advance: Callable[[], None], address: str, port: int
    ) -> None:
        self.face = face
        self.name = face.name
        self.twin = twin
        self.advance = advance
        self.place = Place(address, port)
        self._socket: socket.socket | None = None

    async def open(self, authority: Authority) -> None:
        """Prepare, and listen unless the device is off."""
        self._authority = authority
        self._context: ssl.SSLContext = authority.server_context(self.name, self.place.address)
        self._context.sni_callback = self._choose_certificate
        self.face.shows(Shown(authority.certificate, authority.issued[self.name]))
        app = web.Application(client_max_size=BODY_LIMIT_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self.place.take()
        await self.follow()

    def _choose_certificate(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        """Show a new client the certificate that the device was given, if it was."""
        if (own := self.face.own_certificate()) is not None:
            connection.context = self._authority.given_context(self.name, own)

    async def follow(self) -> None:
        """Listen or not, as the device is."""
        listening = self.face.reachable(self.twin) != "refused"
        if listening and self._socket is None:
            self._socket = self.place.bound()
            site = web.SockSite(self._runner, self._socket, ssl_context=self._context)
            await site.start()
        elif not listening:
            await self._close_door()

    async def _close_door(self) -> None:
        """Accept nobody any more, so that connecting is refused."""
        if self._socket is None:
            return
        await turn_away(self._socket)
        for site in list(self._runner.sites):
            await site.stop()
        self._socket = None

    async def close(self) -> None:
        """Stop for good, and let go of clients that stay connected."""
        await self._close_door()
        server = self._runner.server
        for connection in list(server.connections if server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        self.place.leave()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not await self._reached(request):
            return web.Response(status=503)  # nobody hears it: the connection is cut
        if request.headers.get("upgrade", "").lower() == "websocket":
            conversation = self.face.conversation(request.rel_url.raw_path, secure=True)
            if conversation is not None:
                return await self._converse(request, conversation)
        form = await self._form(request)
        asked = HttpRequest(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            {name.lower(): value for name, value in request.headers.items()},
            b"" if form is not None else await request.read(),
            form=form,
        )
        if not await self._reached(request):  # the device may have died while the body came
            return web.Response(status=503)
        response = self.face.answer(self.twin, asked)
        return web.Response(
            status=response.status,
            reason=response.reason or None,
            body=response.body,
            headers=response.headers,
        )

    async def _form(self, request: web.Request) -> Form | None:
        """A form with a file, read as it arrives; None for every other request."""
        digest_field = self.face.digest_field(request.rel_url.raw_path)
        kind = request.headers.get("content-type", "")
        if digest_field is None or not kind.lower().startswith("multipart/form-data"):
            return None
        size_bytes = request.content_length
        if size_bytes is None:  # pve-http-server
            raise web.HTTPNotImplemented(reason="chunked transfer encoding not supported")
        if size_bytes > FILE_LIMIT_BYTES:
            raise web.HTTPRequestEntityTooLarge(FILE_LIMIT_BYTES, size_bytes)
        try:
            reader = FormReader(kind, digest_field)
            async for piece in request.content.iter_any():
                reader.feed(piece)
            return reader.end()
        except MalformedForm as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    async def _reached(self, request: web.Request) -> bool:
        """Keep silent for as long as the device can't be reached; cut off who asks a dead one.

        False if it is dead, and does nothing.
        """
        self.advance()
        while (state := self.face.reachable(self.twin)) == "timeout":
            await asyncio.sleep(TICK_S)
        if state == "refused" and request.transport is not None:
            request.transport.abort()
        return state != "refused"

    async def _converse(
        self, request: web.Request, conversation: Conversation
    ) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(max_msg_size=MESSAGE_LIMIT_BYTES)
        await stream.prepare(request)
        turn = asyncio.Lock()  # a thread compresses what is long: others would pass it
        talker = asyncio.create_task(self._deliver(request, stream, conversation, turn))
        try:
            async for message in stream:
                if message.type is not WSMsgType.TEXT:
                    continue
                async with turn:
                    if not await self._reached(request):
                        break
                    await _send(stream, conversation.receive(self.twin, message.data))
        finally:
            talker.cancel()
        return stream

    async def _deliver(
        self,
        request: web.Request,
        stream: web.WebSocketResponse,
        conversation: Conversation,
        turn: asyncio.Lock,
    ) -> None:
        """Send what comes of itself; a dead device's connections are cut, without a word."""
        while not stream.closed:
            await asyncio.sleep(TICK_S)
            async with turn:
                match self.face.reachable(self.twin):
                    case "refused":
                        if request.transport is not None:
                            request.transport.abort()
                        return
                    case "":
                        await _send(stream, conversation.deliver(self.twin))


async def _send(stream: web.WebSocketResponse, messages: list[str | Close]) -> None:
    with suppress(ConnectionResetError):  # whoever asked has gone
        for message in messages:
            if stream.closed:
                return
            if isinstance(message, Close):
                await stream.close(code=message.code, message=message.reason.encode())
            else:
                await stream.send_str(message)
