"""A cluster of real corosync daemons on this machine, to be split, healed and killed at will.

Every node is a process that holds a network and a mount namespace of its own, without a name, so
all of it is gone when the processes are; and they end with us, however we end. Every two nodes are
joined by a pair of virtual Ethernet ports for each link, so that any of them can be cut alone.
Nothing of the machine's own network, `/run`, `/var/lib` or shared memory is touched; a killed
daemon would leave its buffers there, 4 MiB each.

Needs root and the programs of `NEEDED`; `missing` says what is not there. Times are seconds of the
system clock, as the daemons write it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from calendar import timegm
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, Self

from lab.errors import VlabError
from simulator.emulate.corosync_conf import (
    DEVICE,
    DEVICE_LINK,
    LINKS,
    address_of,
    config,
    port_of,
)

# Debian packages: corosync, corosync-qdevice, corosync-qnetd, iproute2, util-linux.
NEEDED = (
    "corosync", "corosync-cmapctl", "corosync-quorumtool", "ip", "nice", "nsenter", "setpriv",
    "unshare",
)  # fmt: skip
NEEDED_FOR_DEVICE = ("corosync-qdevice", "corosync-qnetd")

_POLL_S = 0.1
ENVIRONMENT: dict[str, str] = {
    **os.environ,
    "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    "LC_ALL": "C",
    "TZ": "UTC",  # an hour of local time comes twice a year, or not at all
}
_START_S = 60.0  # of a busy machine
# A process that ends when the thread that started it does; not even begun if that is gone already.
_ENDING_WITH_US = ("setpriv", "--pdeathsig=KILL", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
# Of what else the machine does, if we may: it is the daemons' own time that is looked at.
_AHEAD = ("nice", "-n", "-15")
_HOLD = """
ip link set lo up
mount -t tmpfs none /run && mount -t tmpfs none /var/lib/corosync && mount -t tmpfs none /dev/shm
mkdir /run/corosync-qdevice /run/corosync-qnetd
echo held
exec cat
"""
_LINE = re.compile(r"(\w+ \d+ \d+:\d+:\d+)\.(\d+) \[\d+\] \S+ \S+ +\w+ +\[(\w+) *\] (.*)")


class Entry(NamedTuple):
    """A line of a daemon's log."""

    at_s: float
    part: str  # QUORUM, TOTEM, KNET, ...
    text: str


class Quorum(NamedTuple):
    """What `corosync-quorumtool -s` says on a node."""

    quorate: bool
    nodes: int
    expected: int
    total: int
    flags: str


def missing(*, device: bool = False) -> str:
    """What keeps real daemons from running here: `corosync is not installed`; empty if nothing."""
    programs = (*NEEDED, *(NEEDED_FOR_DEVICE if device else ()))
    if absent := [
        name for name in programs if shutil.which(name, path=ENVIRONMENT["PATH"]) is None
    ]:
        return f"{', '.join(absent)} not installed"
    if os.geteuid() != 0:
        return "namespaces need root"
    trial = "mount -t tmpfs none /run && ip link add name near type veth peer name far"
    command = ["unshare", "--net", "--mount", "sh", "-c", trial]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    return f"no namespaces or cables here: {made.stderr.strip()}" if made.returncode else ""


class Cluster:
    """Real nodes 1 to `nodes`; as a context it ends all of them."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        *,
        totem: Mapping[str, int] | None = None,
        quorum: Mapping[str, int | str] | None = None,
        device: str = "",
    ) -> None:
        """`totem`, `quorum`: keys of those sections of corosync.conf. `device`: algorithm of a
        quorum device that all nodes reach.
        """
        self.nodes = range(1, nodes + 1)
        self._folder = folder
        self._holders: dict[int, subprocess.Popen[str]] = {}
        self._daemons: dict[int, subprocess.Popen[bytes]] = {}
        self._devices: dict[int, subprocess.Popen[bytes]] = {}
        self._begun: dict[int, int] = {}  # how long the log was when the daemon was started
        self._device = device
        for number in self.nodes:
            text = config(self._log(number), self.nodes, totem or {}, quorum or {}, device)
            self._conf(number).write_text(text)

    def __enter__(self) -> Self:
        try:
            for number in (*self.nodes, *((DEVICE,) if self._device else ())):
                self._holders[number] = _held()
            for one, other in combinations(self.nodes, 2):
                for link in LINKS:
                    self._cable(one, other, link)
            if self._device:
                for number in self.nodes:
                    self._cable(number, DEVICE, DEVICE_LINK)
                self.start_device()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every process; the namespaces and cables go with them."""
        daemons = [*self._devices.values(), *self._daemons.values()]
        for process in daemons:
            process.kill()
            process.wait()
        for holder in self._holders.values():
            holder.kill()
            holder.communicate()

    # acts

    def start(self, *numbers: int) -> None:
        """Start corosync on nodes, and the device's client with it."""
        for number in numbers:
            file = self._log(number)
            self._begun[number] = file.stat().st_size if file.exists() else 0
            command = ["corosync", "-f", "-c", str(self._conf(number))]
            self._daemons[number] = self._run(number, command)
            if self._device:
                self.until(partial(self._answers, number), _START_S)
                self._devices[number] = self._run(number, ["corosync-qdevice", "-f"])

    def stop(self, number: int) -> None:
        """Let a node leave in order."""
        self._signal(number, signal.SIGTERM)

    def kill(self, *numbers: int) -> None:
        """End the daemons of nodes at once."""
        for number in numbers:
            self._signal(number, signal.SIGKILL)
            self._daemons.pop(number).wait()
            if (device := self._devices.pop(number, None)) is not None:
                device.kill()
                device.wait()

    def pause(self, number: int) -> None:
        """Freeze the daemon of a node."""
        self._signal(number, signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """Let it go on."""
        self._signal(number, signal.SIGCONT)

    def start_device(self) -> None:
        """Start the quorum device's server."""
        self._daemons[DEVICE] = self._run(DEVICE, ["corosync-qnetd", "-f", "-s", "off"])

    def kill_device(self) -> None:
        """End it at once."""
        self.kill(DEVICE)

    def split(self, *groups: Collection[int], links: Iterable[int] = LINKS) -> None:
        """Cut every cable between nodes of different groups; all others are whole."""
        self._plug(
            (one, other, link, any({one, other} <= set(group) for group in groups))
            for link in links
            for one, other in combinations(self.nodes, 2)
        )

    def heal(self) -> None:
        """Mend every cable."""
        self.split(self.nodes)

    def cut(self, number: int, link: int) -> None:
        """Cut one link of a node."""
        others = [other for other in self.nodes if other != number]
        self._plug((min(number, other), max(number, other), link, False) for other in others)

    # what is seen

    def log(self, number: int, since_s: float = 0.0) -> list[Entry]:
        """What a node's daemon wrote from an instant on."""
        file = self._log(number)
        lines = file.read_text().splitlines() if file.exists() else []
        entries = (entry for line in lines for entry in _entries(line, time.time()))
        return [entry for entry in entries if entry.at_s >= since_s]

    def quorum(self, number: int) -> Quorum | None:
        """What a node thinks of the quorum; None if its daemon does not answer."""
        command = [*self._inside(number), "corosync-quorumtool", "-s"]
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, env=ENVIRONMENT
        )
        found = dict(re.findall(r"^([\w ]+):\s+(.*?)\s*$", asked.stdout, re.MULTILINE))
        if "Quorate" not in found or "Total votes" not in found:
            return None
        return Quorum(
            found["Quorate"] == "Yes",
            int(found["Nodes"]),
            int(found["Expected votes"]),
            int(found["Total votes"]),
            found["Flags"],
        )

    def members(self, number: int) -> frozenset[int]:
        """Whom a node took for members last since it started, by its log; it says so once it knows
        its verdict.
        """
        file = self._log(number)
        said = file.read_text()[self._begun[number] :] if file.exists() else ""
        last = said.rpartition("[QUORUM] Members[")[2].partition("\n")[0]  # `2]: 1 2`
        return frozenset(map(int, last.partition(": ")[2].split()))

    def timer_ms(self, number: int, name: str) -> int:
        """A timer in force on a node: `token`, `consensus`."""
        key = f"runtime.config.totem.{name}"
        command = [*self._inside(number), "corosync-cmapctl", "-g", key]
        told = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        if told.returncode:
            why = (
                f"has ended: {self._daemons[number].poll()}" if self._ended(number) else told.stderr
            )
            last = [entry.text for entry in self.log(number)][-3:]
            raise VlabError(f"corosync of n{number} does not tell its {name}: {why} {last}")
        return int(told.stdout.rpartition("=")[2])

    def until(self, true: Callable[[], bool], limit_s: float) -> bool:
        """Wait for something; whether it came. The last look begins after the limit, however long
        a look takes.
        """
        end_s = time.monotonic() + limit_s
        while True:
            last = time.monotonic() > end_s
            if true():
                return True
            if last:
                return False
            time.sleep(_POLL_S)

    # below

    def _conf(self, number: int) -> Path:
        return self._folder / f"{number}.conf"

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    def _ended(self, number: int) -> bool:
        return self._daemons[number].poll() is not None

    def _answers(self, number: int) -> bool:
        return self.quorum(number) is not None

    def _inside(self, number: int) -> list[str]:
        return ["nsenter", f"--target={self._holders[number].pid}", "--net", "--mount"]

    def _run(self, number: int, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """A daemon on a node; it replaces the commands before it, so its id is the process's."""
        inside = [*_AHEAD, *self._inside(number), *command]
        return subprocess.Popen(
            [*_ENDING_WITH_US, str(os.getpid()), *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )

    def _signal(self, number: int, what: signal.Signals) -> None:
        self._daemons[number].send_signal(what)

    def _ip(self, number: int, *words: str, text: str = "") -> None:
        command = [*self._inside(number), "ip", *words]
        done = subprocess.run(
            command, input=text, check=False, capture_output=True, text=True, env=ENVIRONMENT
        )
        if done.returncode:
            raise VlabError(f"real daemons: ip {' '.join(words)}: {done.stderr.strip()}")

    def _cable(self, one: int, other: int, link: int) -> None:
        near, far = port_of(link, other), port_of(link, one)
        self._ip(
            one, "link", "add", near, "type", "veth", "peer", "name", far,
            "netns", str(self._holders[other].pid),
        )  # fmt: skip
        for here, there, port in ((one, other, near), (other, one, far)):
            own, peer = address_of(link, here), address_of(link, there)
            self._ip(here, "addr", "add", own, "peer", f"{peer}/32", "dev", port)
            self._ip(here, "link", "set", port, "up")

    def _plug(self, cables: Iterable[tuple[int, int, int, bool]]) -> None:
        """Whether the cables between two nodes, the lower number first, are whole by link; a node's
        all in one command, or those of a busy machine would come apart one after the other.
        """
        lines: dict[int, str] = {}
        for one, other, link, up in cables:
            line = f"link set {port_of(link, other)} {'up' if up else 'down'}\n"
            lines[one] = lines.get(one, "") + line
        for number, text in lines.items():
            self._ip(number, "-batch", "-", text=text)


def _held() -> subprocess.Popen[str]:
    """A process that holds namespaces until its input ends."""
    holder = subprocess.Popen(
        [*_ENDING_WITH_US, str(os.getpid()), "unshare", "--net", "--mount", "sh", "-ec", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert holder.stdout is not None
    if holder.stdout.readline() != "held\n":
        holder.kill()
        holder.communicate()
        raise VlabError("no namespaces for real daemons here")
    return holder


def _entries(line: str, now_s: float) -> Iterator[Entry]:
    """The entry of a line. Its time has no year: December, read in January, is of the last one."""
    if match := _LINE.match(line):
        now = time.gmtime(now_s)
        moment = time.strptime(f"{now.tm_year} {match[1]}", "%Y %b %d %H:%M:%S")
        year = now.tm_year - (moment.tm_mon > now.tm_mon)
        at_s = timegm((year, *moment[1:6])) + int(match[2]) / 1000
        yield Entry(at_s, match[3], match[4])
