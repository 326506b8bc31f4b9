"""Consoles of guests and nodes: who gets a ticket, what it opens, and a client that never comes."""

from __future__ import annotations

import json
from typing import Any

from simulator.pve.releases import RELEASES
from tests.simulator.pve_cluster import Cluster, cluster

VM, NODE = "/nodes/pve1/qemu/100", "/nodes/pve1"


def _with_guest(**options: Any) -> Cluster:
    here = cluster()
    here.guest(100, **options)
    return here


def _log(here: Cluster, upid: str) -> tuple[str, ...]:
    here.wait(11)
    return here.api.documents.tasks[upid].log


def test_a_console_waits_ten_seconds_for_a_client() -> None:
    here = _with_guest()
    first = here.ok(f"POST {VM}/vncproxy", websocket=1)
    second = here.ok(f"POST {VM}/termproxy", node="pve1")
    assert (first["user"], first["port"], second["port"]) == ("root@pam!test", 5900, 5901)
    task = here.api.documents.tasks[first["upid"]]
    assert (task.type, task.id, task.running) == ("vncproxy", "100", True)
    assert _log(here, first["upid"]) == ("TASK ERROR: connection timed out",)
    command = "/usr/bin/termproxy 5901 --path /vms/100 --perm VM.Console -- "
    command += "/usr/sbin/qm terminal 100 -escape 0"
    assert _log(here, second["upid"]) == (
        "failed waiting for client: timed out",
        f"TASK ERROR: command '{command}' failed: exit code 1",
    )
    assert here.ok(f"POST {VM}/vncproxy")["port"] == 5900, "free again"


def test_ports_of_a_node_are_used_up_and_others_have_their_own() -> None:
    here = _with_guest()
    for _ in range(100):
        here.ok(f"POST {VM}/vncproxy")
    refused = here.refusal(f"POST {VM}/vncproxy")
    assert refused == (500, "unable to find free port (5900-6000)")
    answer = here.ok(f"POST {VM}/vncproxy", node="pve2")
    assert (answer["port"], answer["upid"].split(":")[1]) == (5900, "pve2"), "who is asked listens"


def test_a_ticket_opens_one_path_to_one_user_for_a_short_while() -> None:
    here = _with_guest()
    here.guest(101)
    ticket = here.ok(f"POST {VM}/vncproxy")["ticket"]
    given = {"port": 5900, "vncticket": ticket}
    assert here.ok(f"GET {VM}/vncwebsocket", **given) == {"port": "5900"}
    assert here.refusal("GET /nodes/pve2/qemu/100/vncwebsocket", **given)[0] == 500, "not there"
    assert here.ok("GET /nodes/pve1/lxc/100/vncwebsocket", **given) == {"port": "5900"}
    refused = (401, "permission denied - invalid PVEVNC ticket")
    other = "GET /nodes/pve1/qemu/101/vncwebsocket"
    assert here.refusal(other, **given) == refused
    ana = here.user("ana@pve", "PVEVMUser")
    assert here.refusal(f"GET {VM}/vncwebsocket", user=ana, **given) == refused
    assert here.refusal(f"GET {VM}/vncwebsocket", port=5900, vncticket="x") == refused
    here.wait(41)
    assert here.refusal(f"GET {VM}/vncwebsocket", **given) == refused


def test_termproxy_lets_the_api_look_at_a_ticket() -> None:
    here = _with_guest()
    ana = here.user("ana@pve", "PVEVMUser")
    headers = {"cookie": "", "authorization": ""}
    asked = {"path": "/vms/100", "privs": "VM.Console"}
    of_token = here.ok(f"POST {VM}/termproxy", user=ana)["ticket"]
    call = "POST /access/vncticket"
    assert here.ok(call, user=None, authid=ana, vncticket=of_token, **asked) is None
    refused = (401, "authentication failure")
    for change in ({"authid": "root@pam"}, {"privs": "VM.Allocate"}, {"vncticket": "x"}):
        given = {"authid": ana, "vncticket": of_token, **asked, **change}
        assert here.refusal(call, user=None, **given) == refused
    of_root = here.ok(f"POST {NODE}/termproxy", user=None, headers=here.login())["ticket"]
    given = {"username": "root@pam", "password": of_root}
    where = {"path": "/nodes/pve1", "privs": "Sys.Console"}
    answer = here.ok("POST /access/ticket", user=None, headers=headers, **given, **where)
    assert answer == {"username": "root@pam"}
    assert here.refusal("POST /access/ticket", user=None, **given, **asked) == refused
    assert here.refusal("POST /access/ticket", user=None, **given) == refused, "it is no login"


def test_who_may_open_what() -> None:
    here = _with_guest()
    auditor = here.user("ana@pve", "PVEAuditor")
    refused = (403, "Permission check failed (/vms/100, VM.Console)")
    assert here.refusal(f"POST {VM}/vncproxy", user=auditor) == refused
    refused = (403, "Permission check failed (/nodes/pve1, Sys.Console)")
    assert here.refusal(f"POST {NODE}/vncshell", user=auditor) == refused
    assert here.refusal(f"POST {NODE}/termproxy") == (
        500, "value 'root@pam!test' does not look like a valid user name",
    )  # fmt: skip
    assert here.refusal("POST /nodes/pve1/qemu/999/vncproxy") == (
        500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
    )  # fmt: skip


def test_a_shell_runs_what_its_user_may() -> None:
    here = cluster()
    root = here.login()
    known = {"login": "/bin/login -f root", "ceph_install": "/usr/bin/pveceph install --x"}
    for name, command in known.items():
        opened = here.ok(
            f"POST {NODE}/termproxy", user=None, headers=root, cmd=name, cmd__opts="--x"
        )
        assert f"-- {command}' failed" in _log(here, opened["upid"])[-1]
    here.user("ana@pve", "Administrator")
    here.api.set_password("ana@pve", "made up")
    login = here.ok("POST /access/ticket", user=None, username="ana@pve", password="made up")
    ana = {
        "cookie": f"PVEAuthCookie={login['ticket']}",
        "csrfpreventiontoken": login["CSRFPreventionToken"],
    }
    refused = (403, "Permission check failed (user != root@pam)")
    assert here.refusal(f"POST {NODE}/vncshell", user=None, headers=ana, cmd="upgrade") == refused
    opened = here.ok(f"POST {NODE}/vncshell", user=None, headers=ana)
    assert "-c /bin/login' failed" in _log(here, opened["upid"])[-1]
    refused = here.refusal("POST /nodes/pve9/vncshell", user=None, headers=root)
    assert refused[0] == 500
    assert refused[1].startswith("hostname lookup 'pve9' failed")


def test_spice_is_there_for_a_machine_that_runs_with_it() -> None:
    here = _with_guest(vga="qxl", name="web")
    here.guest(101)
    call = f"POST {VM}/spiceproxy"
    assert here.refusal(call) == (500, "VM 100 not running")
    here.guest(102, vga="virtio")
    for vmid in (100, 101, 102):
        here.done(f"POST /nodes/pve1/qemu/{vmid}/status/start")
    file = here.ok(call, node="pve2")
    assert (file["type"], file["title"], file["tls-port"]) == ("spice", "VM 100 - web", 61000)
    assert file["proxy"] == "http://pve1.lab.example:3128"
    assert file["host"].startswith("pvespiceproxy:")
    assert ":100:pve1::" in file["host"]
    assert file["password"] != here.ok(call)["password"], "good once"
    assert here.ok(call, proxy="fd00::1")["proxy"] == "http://[fd00::1]:3128"
    assert here.ok("POST /nodes/pve1/qemu/102/spiceproxy")["tls-port"] == 61001
    assert here.refusal("POST /nodes/pve1/qemu/101/spiceproxy") == (500, "no spice port")


def test_a_password_for_clients_that_take_eight_letters() -> None:
    here = _with_guest()
    assert "password" not in here.ok(f"POST {VM}/vncproxy")
    password = here.ok(f"POST {VM}/vncproxy", generate__password=1)["password"]
    assert len(password) == 8
    assert password.isalnum()


def test_a_batch_makes_each_call_and_tells_each_end() -> None:
    here = _with_guest()
    commands = [
        {"method": "GET", "path": "version"},
        {"method": "POST", "path": "qemu/100/config", "args": {"cores": "none"}},
        {"method": "PUT", "path": "qemu/100/config", "args": {"cores": 2}},
        {"method": "GET", "path": "nothing"},
        {"method": "GET", "path": "qemu/100/config", "args": {"vmid": 101}},
    ]
    root = here.login()
    call = f"POST {NODE}/execute"
    told = here.ok(call, user=None, headers=root, commands=json.dumps(commands))
    assert [each["status"] for each in told] == [200, 400, 200, 500, 400]
    assert told[0]["data"]["version"].startswith("9.")
    assert set(told[1]["errors"]) == {"cores"}
    assert told[3]["message"] == "no handler for 'nodes/pve1/nothing'\n"
    assert told[4]["errors"] == {"vmid": "duplicate parameter"}
    assert here.config(100)["cores"] == 2
    assert here.refusal(call, commands="[]") == (403, "Permission check failed (user != root@pam)")
    for wrong in ("{", "{}", "[1]", '[{"path": "x"}]', '[{"path": "x", "method": "PATCH"}]'):
        assert set(here.errors(call, user=None, headers=root, commands=wrong)) == {"commands"}


def test_each_call_of_a_batch_needs_its_own_rights() -> None:
    here = _with_guest()
    here.api.release = RELEASES["7.4"]
    auditor = here.user("ana@pve", "PVEAuditor")
    commands = [
        {"method": "GET", "path": "status"},
        {"method": "POST", "path": "qemu/100/status/start"},
    ]
    told = here.ok(f"POST {NODE}/execute", user=auditor, commands=json.dumps(commands))
    assert [each["status"] for each in told] == [200, 403]
    assert told[1]["message"] == "Permission check failed (/vms/100, VM.PowerMgmt)\n"


def test_keys_are_pressed_in_the_monitor_by_who_may_change_things() -> None:
    here = _with_guest()
    call = f"POST {VM}/monitor"
    assert here.ok(call, command="info status") == "ERROR: VM 100 not running\n"
    here.done(f"POST {VM}/status/start")
    assert here.ok(call, command="sendkey  ret") == ""
    assert here.ok(call, command="info status") == "VM status: running\r\n"
    here.done(f"POST {VM}/status/suspend")
    assert here.ok(call, command="info status") == "VM status: paused\r\n"
    here.api.release = RELEASES["8.4"]
    operator = here.user("ana@pve", "PVEVMAdmin")
    assert here.ok(call, user=operator, command="info status")
    refused = (403, "Permission check failed (/, Sys.Modify)")
    assert here.refusal(call, user=operator, command="sendkey ret") == refused
    assert here.refusal(call, command="quit")[0] == 501
