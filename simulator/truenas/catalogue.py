"""Which methods there are and which parameters they take, by release.

With `tables` the one place of such differences; the notation is that of `parameters`.
A `new|old` name is the parameter's before 25.04, where a refusal shows it. `job` starts a job,
`open` needs no login, `item` has a path below its object in REST. What a method does is in the
areas. Source: reference of the TrueNAS API, methods; CORE 13.0, TrueNAS 25.04 and 25.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simulator.truenas.parameters import Checker, Param, read_params
from simulator.truenas.tables import TABLES
from simulator.truenas.version import Version

_METHODS = """
core.ping                 open @12.0..
core.set_options          open @25.04..
  options                 {core.options}~!
core.subscribe            open @25.04..
  event                   text!
core.unsubscribe          open @25.04..
  id_                     text!
core.get_methods
  service                 text? = null
  cli                     bool = false @..13.0
  target                  CLI|REST|WS = "WS" @22.0..
core.get_jobs             query
core.job_wait             job @12.0..
  id                      int!
core.job_abort            @12.0..
  id                      int!
core.bulk                 job @12.0..
  method                  text!
  params                  [[any]]!
  description             text? = null

auth.login                open
  username                text!
  password                text!
  otp_token               text? = null @12.0..
auth.login_ex             open @25.04..
  login_data              object!
auth.login_with_api_key   open @12.0..
  api_key                 text!
auth.login_with_token     open @25.04..
  token                   text!
auth.generate_token       @25.04..
  ttl                     int? = 600
  attrs                   object = {}
  match_origin            bool = true
  single_use              bool = false
auth.logout
auth.me                   @22.0..
api_key.query             query @12.0..
api_key.get_instance      instance @12.0..
api_key.create            @12.0..
  api_key_create          {api_key}!
api_key.update            @12.0..
  id                      int!
  api_key_update          {api_key.update}~!
api_key.delete            @12.0..
  id                      int!

system.info
system.version
system.version_short      @22.0..
system.ready              open
alert.list
alert.dismiss
  uuid                    text!
disk.query                query
pool.query                query
pool.get_instance         instance
pool.attachments          item
  id                      int!
pool.scrub.scrub          job @12.0..
  name                    text!
  action                  START|STOP|PAUSE = "START"
interface.query           query
interface.get_instance    textinstance
interface.has_pending_changes
interface.checkin_waiting
filesystem.stat
  path                    text! 1..
filesystem.setperm        job
  filesystem_setperm|filesystem_permission {filesystem.setperm}!

pool.dataset.query        query
pool.dataset.get_instance textinstance
pool.dataset.create
  data|pool_dataset_create {pool.dataset}!
pool.dataset.update
  id                      text!
  data|pool_dataset_update {pool.dataset.update}~!
pool.dataset.delete
  id                      text!
  options|dataset_delete  {pool.dataset.delete} = {}
pool.dataset.attachments  item
  id                      text!
pool.dataset.recommended_zvol_blocksize
  pool                    text!

pool.snapshot.query       query @25.10..
pool.snapshot.get_instance textinstance @25.10..
pool.snapshot.create      @25.10..
  data                    {snapshot}!
pool.snapshot.clone       @25.10..
  data                    {snapshot.clone}!
pool.snapshot.rollback    @25.10..
  id                      text!
  options                 {snapshot.rollback} = {}
pool.snapshot.delete      @25.10..
  id                      text!
  options                 {snapshot.delete} = {}
zfs.snapshot.query        query @..25.04
zfs.snapshot.get_instance textinstance @..25.04
zfs.snapshot.create       @..25.04
  snapshot_create         {snapshot}!
zfs.snapshot.clone        @..25.04
  snapshot_clone          {snapshot.clone}!
zfs.snapshot.rollback     @..25.04
  id                      text!
  options                 {snapshot.rollback} = {}
zfs.snapshot.delete       @..25.04
  id                      text!
  options                 {snapshot.delete} = {}
pool.snapshottask.query   query
pool.snapshottask.get_instance instance
pool.snapshottask.create
  data|periodic_snapshot_create {pool.snapshottask}!
pool.snapshottask.update
  id                      int!
  data|periodic_snapshot_update {pool.snapshottask.update}~!
pool.snapshottask.delete
  id                      int!
  options                 {pool.snapshottask.delete} = {} @22.0..

iscsi.global.config
iscsi.global.update
  iscsi_update|iscsiglobal_update {iscsi.global}~!
iscsi.global.sessions     query
iscsi.global.client_count @22.0..
iscsi.portal.query        query
iscsi.portal.get_instance instance
iscsi.portal.create
  iscsi_portal_create|iscsiportal_create {iscsi.portal}!
iscsi.portal.update
  id                      int!
  iscsi_portal_update|iscsiportal_update {iscsi.portal}~!
iscsi.portal.delete
  id                      int!
iscsi.portal.listen_ip_choices
iscsi.initiator.query     query
iscsi.initiator.get_instance instance
iscsi.initiator.create
  iscsi_initiator_create  {iscsi.initiator}!
iscsi.initiator.update
  id                      int!
  iscsi_initiator_update  {iscsi.initiator.update}~!
iscsi.initiator.delete
  id                      int!
iscsi.auth.query          query
iscsi.auth.get_instance   instance
iscsi.auth.create
  data|iscsi_auth_create  {iscsi.auth}!
iscsi.auth.update
  id                      int!
  data|iscsi_auth_update  {iscsi.auth}~!
iscsi.auth.delete
  id                      int!
iscsi.target.query        query
iscsi.target.get_instance instance
iscsi.target.create
  iscsi_target_create     {iscsi.target}!
iscsi.target.update
  id                      int!
  iscsi_target_update     {iscsi.target}~!
iscsi.target.delete
  id                      int!
  force                   bool = false
  delete_extents          bool = false @25.04..
iscsi.target.validate_name @22.0..
  name                    text!
  existing_id             int? = null
iscsi.extent.query        query
iscsi.extent.get_instance instance
iscsi.extent.create
  iscsi_extent_create     {iscsi.extent}!
iscsi.extent.update
  id                      int!
  iscsi_extent_update     {iscsi.extent}~!
iscsi.extent.delete
  id                      int!
  remove                  bool = false
  force                   bool = false
iscsi.extent.disk_choices
  exclude                 [any] = [] @..13.0
iscsi.targetextent.query  query
iscsi.targetextent.get_instance instance
iscsi.targetextent.create
  iscsi_target_to_extent_create|iscsi_targetextent_create {iscsi.targetextent}!
iscsi.targetextent.update
  id                      int!
  iscsi_target_to_extent_update|iscsi_targetextent_update {iscsi.targetextent.update}~!
iscsi.targetextent.delete
  id                      int!
  force                   bool = false

nfs.config
nfs.update
  nfs_update              {nfs}~!
nfs.client_count          @22.0..
sharing.nfs.query         query
sharing.nfs.get_instance  instance
sharing.nfs.create
  data|sharingnfs_create  {sharing.nfs}!
sharing.nfs.update
  id                      int!
  data|sharingnfs_update  {sharing.nfs}~!
sharing.nfs.delete
  id                      int!

app.query                 query @24.10..
cloudsync.query           query
cronjob.query             query
keychaincredential.query  query
replication.query         query
rsynctask.query           query
sharing.smb.query         query
vm.query                  query

service.query             query
service.get_instance      instance
service.update
  id_or_name              int|text!
  service_update|service-update {service}!
service.started           @22.0..
  service                 text!
service.start             @..25.10
  service                 text!
  options|service-control {service.options} = {}
service.stop              @..25.10
  service                 text!
  options|service-control {service.options} = {}
service.restart           @..25.10
  service                 text!
  options|service-control {service.options} = {}
service.reload            @..25.10
  service                 text!
  options|service-control {service.options} = {}
service.control           job @25.10..
  verb                    START|STOP|RESTART|RELOAD!
  service                 text!
  options                 {service.options} = {}
"""

_QUERY = read_params(("query-filters [any] = []", "query-options {query-options} = {}"))
_SHORTHAND = {
    "query": _QUERY,
    "instance": read_params(("id int!", "options {query-options} = {}")),
    "textinstance": read_params(("id text!", "options {query-options} = {}")),
}


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `open`: it needs no login; `query`: it takes filters and options; `item`: REST
    has it below its object.
    """

    name: str
    params: tuple[Param, ...]
    job: bool = False
    open: bool = False
    query: bool = False
    item: bool = False
    span: str = ""

    @property
    def namespace(self) -> str:
        """`iscsi.portal` of `iscsi.portal.create`."""
        return self.name.rpartition(".")[0]

    @property
    def verb(self) -> str:
        """`create` of `iscsi.portal.create`."""
        return self.name.rpartition(".")[2]


def _read(text: str) -> dict[str, Method]:
    found: dict[str, Method] = {}
    blocks: list[tuple[list[str], list[str]]] = []
    for line in filter(str.strip, text.splitlines()):
        if line.startswith(" "):
            blocks[-1][1].append(line)
        else:
            blocks.append((line.split(), []))
    for (name, *words), lines in blocks:
        short = next((_SHORTHAND[word] for word in words if word in _SHORTHAND), ())
        span = next((word[1:] for word in words if word.startswith("@")), "")
        params = (*short, *read_params(lines))
        marks = {mark: mark in words for mark in ("job", "open", "query", "item")}
        found[name] = Method(name, params, span=span, **marks)
    return found


METHODS = _read(_METHODS)
"""Every method of any release, by name."""


@lru_cache
def checker(version: Version) -> Checker:
    """The checker of a release. Its models are made when they are first needed."""
    return Checker(TABLES, version)
