"""Arrays for the rest of the controller: real ones, and those of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import SecretStr

from controller.clock import Clock
from controller.devices import Device
from controller.managed import Cost, Managed
from controller.observe import UNREADABLE
from controller.observed import Observed
from controller.secrets import Vault, rehearsed, resolve
from controller.settings import NasSettings, Settings
from controller.step import Answers, Json, answered
from controller.truenas.connect import Connection
from controller.truenas.kinds import KINDS, NAS_KINDS, context, costs
from controller.truenas.login import Login
from controller.truenas.port import JOBS, NasPort
from controller.truenas.thing import DEVICE
from controller.truenas.transport import Transport, no_answer, refused
from controller.truenas.versions import VERSION
from lab.errors import DeviceError
from simulator.truenas.api import TrueNasApi
from simulator.truenas.declared import declared
from simulator.truenas.errors import CallError, Invalid
from simulator.truenas.face import attach
from simulator.truenas.inprocess import InProcess
from simulator.truenas.install import from_answers, installed
from simulator.truenas.served import array_spec
from simulator.truenas.version import version_of
from simulator.twin import Twin

PASSWORD = "rehearsal"  # noqa: S105 - opens a twin in this process and nothing else
POLL_S = 0.5  # between looks at a job


class NasFamily:
    """Arrays, `nas/nas1`."""

    kinds: tuple[type[Managed], ...] = KINDS

    def costs(self) -> Mapping[str, Cost]:
        """To those who use what is changed."""
        return costs()

    def opened(self, settings: Settings, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Those of the settings' `nas` tables."""
        for name, written in settings.nas.items():
            login = _login(settings, written)
            login.secret()  # a reference that leads nowhere is told at the start
            connection = Connection(
                f"{DEVICE}{name}",
                written.address,
                login,
                ca=settings.path(written.ca) if written.ca is not None else None,
                timeout_s=written.timeout_s,
            )
            yield _device(name, connection, vault, clock, written.timeout_s)

    def install(self, twin: Twin) -> None:
        """Arrays with their pools and nothing on them."""
        for nas in twin.model.lab.nas:
            attach(twin, nas, installed(twin, nas))

    def stage(self, twin: Twin, observed: Observed) -> None:
        """Arrays that hold the observed documents.

        Those that were not observed, or in a form that nobody knows, hold what is declared.
        """
        for nas in twin.model.lab.nas:
            answers = _rehearsed(answered(observed.documents.get(f"{DEVICE}{nas}", {})))
            array = _held(nas, answers) if VERSION.text in answers else None
            if array is not None:
                twin.attach(array)
            else:
                attach(twin, nas, declared(twin, nas))

    def served(self, twin: Twin, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Method by method, without a wire."""
        names = [name for name in twin.model.lab.nas if f"{DEVICE}{name}" in twin.devices]
        for nas in names:
            yield _device(nas, TwinTransport(twin, nas, clock), vault, clock, 30.0)


def _held(nas: str, answers: Answers) -> TrueNasApi | None:
    """An array that would give these answers; None if none would."""
    try:
        version = version_of(str(answers[VERSION.text]))
        documents = from_answers(answers, version)
        array_spec(documents)  # what its physics asks of it
    except UNREADABLE:
        return None
    return TrueNasApi(nas, documents, version)


def _rehearsed(answers: Answers) -> Answers:
    """The same with what stands for its secrets, as the steps of a rehearsal have it."""
    vault = Vault(rehearsed)
    return {text: vault.reveal(cast(Json, answer)) for text, answer in answers.items()}


class TwinTransport:
    """An array of a twin in this process; jobs are waited for by the twin's clock."""

    def __init__(self, twin: Twin, nas: str, clock: Clock) -> None:
        self.device = f"{DEVICE}{nas}"
        self._clock = clock
        api = twin.devices[self.device]
        assert isinstance(api, TrueNasApi)
        user = api.version.administrator
        api.set_password(user, PASSWORD)
        self._way = InProcess(twin, nas, user=user, password=PASSWORD)

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """The result. Raises DeviceError."""
        answer = self._call(method, params)
        return self._ended(method, answer, timeout_s) if method in JOBS else answer

    def close(self) -> None:
        """Nothing is open."""

    def _call(self, method: str, params: Sequence[Json]) -> Any:
        try:
            return self._way.call(method, *params)
        except (ConnectionRefusedError, TimeoutError) as error:
            raise no_answer(self.device, method, error) from error
        except CallError as error:
            raise refused(self.device, method, error.number, error.text) from error
        except Invalid as error:
            raise refused(self.device, method, 22, str(error)) from error

    def _ended(self, method: str, number: Json, timeout_s: float) -> Any:
        deadline_s = self._clock.now() + timeout_s
        while True:
            (job,) = self._call("core.get_jobs", [[["id", "=", number]]])
            if job["state"] == "SUCCESS":
                return job["result"]
            if job["state"] not in ("WAITING", "RUNNING"):
                raise DeviceError(self.device, f"{method} failed: {job['error']}", status=14)
            if self._clock.now() >= deadline_s:
                raise no_answer(self.device, method, "its job still runs")
            self._clock.sleep(POLL_S)


def _device(nas: str, transport: Transport, vault: Vault, clock: Clock, timeout_s: float) -> Device:
    name = f"{DEVICE}{nas}"
    port = NasPort(name, transport, NAS_KINDS, vault, clock, timeout_s=timeout_s)
    return Device(name, port, KINDS, context, close=transport.close)


def _login(settings: Settings, written: NasSettings) -> Login:
    reference = written.api_key or written.password
    assert reference is not None, "the settings want one of the two"

    def secret() -> SecretStr:
        return resolve(reference, settings.folder)

    return Login(secret, written.user, by_key=written.api_key is not None)
