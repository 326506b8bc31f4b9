"""A real Ceph cluster on loopback for tests: monitor, manager and OSDs of one folder, no systemd.

Everything is started from here in sessions of its own and ended by its process id; the folder holds
all data, so removing it leaves nothing. Hosts are CRUSH buckets only: `pve1` ... with OSDs each.
Needs Debian's ceph-mon, ceph-mgr, ceph-osd, ceph-base and ceph-common. Source: Ceph's manual,
manual deployment; BlueStore on a file is what `ceph-osd --mkfs` makes where it has no block device.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.served.place import Place

PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool")
PACKAGES = "ceph-mon ceph-mgr ceph-osd ceph-base ceph-common"
HOSTS = ("pve1", "pve2", "pve3")
LOOPBACK = "127.0.0.1"
START_S = 120.0  # a loaded machine; an idle one needs a tenth of it
OSD_BYTES = 4 << 30  # of a sparse file
GRACE_S, DOWN_OUT_S = 4, 60  # down and in for so long that it can be seen


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(absent)} (Debian: {PACKAGES})" if absent else ""


@dataclass
class CephCluster:
    """One, in `folder`. Names of daemons: mon.pve1, mgr.pve1, osd.0."""

    folder: Path
    osds_per_host: int = 1
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    fsid: str = field(default_factory=lambda: str(uuid.uuid4()))
    monitor: Sequence[Place] = field(default_factory=lambda: [Place(LOOPBACK, 0) for _ in range(2)])

    @property
    def conf(self) -> Path:
        """The clients' ceph.conf."""
        return self.folder / "ceph.conf"

    @property
    def keyring(self) -> Path:
        """The administrator's."""
        return self.folder / "client.admin.keyring"

    @property
    def osds(self) -> Mapping[int, str]:
        """OSD -> its host."""
        return {
            host * self.osds_per_host + number: name
            for host, name in enumerate(HOSTS)
            for number in range(self.osds_per_host)
        }

    def ask(self, *words: str) -> Any:
        """The answer of `ceph WORDS` as JSON."""
        argv = (*self._ceph, *words, "-f", "json")
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=START_S)
        return json.loads(done.stdout) if done.stdout.strip() else None

    @property
    def _ceph(self) -> tuple[str, ...]:
        return "ceph", "--conf", str(self.conf), "--connect-timeout", f"{START_S / 2:.0f}"

    def logged(self, what: str, since_s: float) -> float | None:
        """When its log first told something (a pattern) after an instant, in s of the epoch."""
        for entry in self.ask("log", "last", "1000", "debug", "cluster"):
            at_s = datetime.strptime(entry["stamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
            if at_s > since_s and re.match(what, entry["message"]):
                return at_s
        return None

    def start(self) -> None:
        """Make it and wait until all OSDs are up and a manager is active."""
        for place in self.monitor:
            place.take()  # its daemon may listen there, nobody else
        self._write_conf()
        mon = self._keyring("mon.", "mon.pve1", {"mon": "allow *"})
        everything = dict.fromkeys(("mon", "osd", "mgr", "mds"), "allow *")
        admin = self._keyring("client.admin", "client.admin", everything)
        both = self.folder / "bootstrap.keyring"
        both.write_text(mon + admin)
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "pve1", self._address,
                  "--enable-all-features", "--set-min-mon-release", "pacific",
                  self.folder / "monmap")  # fmt: skip
        self._run("ceph-mon", "-i", "pve1", "-c", self.conf, "--mkfs", "--monmap",
                  self.folder / "monmap", "--keyring", both)  # fmt: skip
        self.spawn("mon.pve1")
        wait_until(lambda: bool(self.ask("quorum_status")["quorum"]), START_S)
        ring = self._keyring("mgr.pve1", "mgr.pve1", {"mon": "allow profile mgr", "osd": "allow *"})
        self._tell(ring, "auth", "import", "-i", "-")
        self.spawn("mgr.pve1")
        made = [self._make_osd(osd) for osd in self.osds]
        for process in made:
            assert process.wait(timeout=START_S) == 0, "ceph-osd --mkfs failed"
        for osd in self.osds:
            self.spawn(f"osd.{osd}")
        wait_until(self._whole, START_S)

    def _whole(self) -> bool:
        told = self.ask("status")
        up = told["osdmap"]["num_up_osds"] == len(self.osds)
        return bool(up and told["mgrmap"]["available"])

    def spawn(self, name: str) -> None:
        """Start a daemon in the foreground of a session of its own, ahead of what else the machine
        does if we may: its peers' heartbeats are what is measured.
        """
        kind, _, id_ = name.partition(".")
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                ["nice", "-n", "-10", f"ceph-{kind}", "-i", id_, "-c", str(self.conf), "-f"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=self.folder,
            )

    def kill(self, name: str) -> None:
        """End a daemon at once: its port refuses connections."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def freeze(self, name: str) -> None:
        """Stop a daemon without its peers being told."""
        self.daemons[name].send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End every daemon."""
        for process in self.daemons.values():
            if process.poll() is None:
                process.kill()
        for process in self.daemons.values():
            process.wait()
        for place in self.monitor:
            place.leave()

    @property
    def _address(self) -> str:
        one, other = self.monitor
        return f"[v2:{one}/0,v1:{other}/0]"

    def _write_conf(self) -> None:
        at = self.folder
        options = {
            "fsid": self.fsid, "mon_initial_members": "pve1", "mon_host": self._address,
            "public_addr": LOOPBACK, "cluster_addr": LOOPBACK,
            # below what the kernel gives to clients; the others take the first that are free
            "ms_bind_port_min": 20000, "ms_bind_port_max": 32000,
            "run_dir": at, "admin_socket": f"{at}/$name.asok", "pid_file": "",
            "log_file": f"{at}/$name.log", "log_to_stderr": "false", "crash_dir": at,
            "mon_cluster_log_file": f"{at}/cluster.log", "heartbeat_file": "",
            "mon_data": f"{at}/mon", "mgr_data": f"{at}/mgr", "osd_data": f"{at}/osd.$id",
            "keyring": f"{at}/$name.keyring",
            "osd_pool_default_pg_autoscale_mode": "off", "mon_max_pg_per_osd": 500,
            "mon_data_avail_warn": 2, "mon_data_avail_crit": 1,
            "auth_allow_insecure_global_id_reclaim": "false",
            "ms_async_op_threads": 1, "osd_op_num_shards": 1, "osd_op_num_threads_per_shard": 1,
            "bluestore_block_size": OSD_BYTES, "bluestore_block_create": "true",
            "bluestore_block_wal_create": "false", "bluestore_block_db_create": "false",
            "bluestore_fsck_on_mount": "false", "bluestore_cache_autotune": "false",
            "bluestore_cache_size": 32 << 20,
            # faster than in an ordinary cluster, so that a test does not take minutes
            "osd_heartbeat_interval": 1, "osd_heartbeat_grace": GRACE_S,
            "mon_osd_adjust_heartbeat_grace": "false", "mon_osd_adjust_down_out_interval": "false",
            "mon_osd_down_out_interval": DOWN_OUT_S, "mgr_stats_period": 1, "mgr_tick_period": 1,
            "mon_tick_interval": 1, "mon_pg_stuck_threshold": 1,
        }  # fmt: skip
        lines = ["[global]", *(f"{name} = {value}" for name, value in options.items())]
        lines += ["[mon]", "mgr_initial_modules = iostat"]
        for osd, host in self.osds.items():
            lines += [f"[osd.{osd}]", f"crush_location = root=default host={host}"]
        self.conf.write_text("\n".join(lines) + "\n")

    def _keyring(self, entity: str, file: str, caps: Mapping[str, str], key: str = "") -> str:
        text = f"[{entity}]\n\tkey = {key or new_key()}\n"
        text += "".join(f'\tcaps {kind} = "{cap}"\n' for kind, cap in caps.items())
        path = self.folder / f"{file}.keyring"
        path.write_text(text)
        path.chmod(0o600)
        return text

    def _make_osd(self, osd: int) -> subprocess.Popen[bytes]:
        id_, key = str(uuid.uuid4()), new_key()
        self._tell(json.dumps({"cephx_secret": key}), "osd", "new", id_, str(osd), "-i", "-")
        caps = {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"}
        self._keyring(f"osd.{osd}", f"osd.{osd}", caps, key)
        data = self.folder / f"osd.{osd}"
        data.mkdir()
        (data / "type").write_text("bluestore\n")
        argv = ["ceph-osd", "-i", str(osd), "-c", str(self.conf), "--mkfs", "--osd-uuid", id_]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)  # fmt: skip

    def _tell(self, text: str, *words: str) -> None:
        self._run(*self._ceph, *words, text=text)

    def _run(self, *argv: str | Path, text: str | None = None) -> None:
        subprocess.run(argv, check=True, capture_output=True, text=True, input=text,
                       timeout=START_S)  # fmt: skip


def new_key() -> str:
    """A cephx secret: type, time, length and 16 random bytes."""
    head = struct.pack("<HIIH", 1, int(time.time()), 0, 16)
    return base64.b64encode(head + secrets.token_bytes(16)).decode()


def wait_until(holds: Callable[[], bool], limit_s: float, every_s: float = 0.2) -> float:
    """How long it took until something holds. Fails after `limit_s`."""
    begin_s = time.monotonic()
    while not holds():
        passed_s = time.monotonic() - begin_s
        assert passed_s < limit_s, f"still not so after {passed_s:.0f} s"
        time.sleep(every_s)
    return time.monotonic() - begin_s


@contextmanager
def ceph_cluster(osds_per_host: int = 1) -> Iterator[CephCluster]:
    """A cluster while the context lasts. Its folder's name is short: paths of sockets are."""
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder:
        cluster = CephCluster(Path(folder), osds_per_host)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def osd_tree(told: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
    """Of `ceph osd tree`: OSD -> status and reweight."""
    return {
        str(row["id"]): (row["status"], float(row["reweight"]))
        for row in told["nodes"]
        if row["type"] == "osd"
    }
