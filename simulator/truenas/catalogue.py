"""Which methods there are and what they take, by release: the one table of differences.

Objects first, then methods with their positional parameters; the notation is that of `parameters`.
A `new|old` name is the parameter's before 25.04, where a refusal shows it. `job` starts a job,
`open` needs no login, `item` has a path below its object in REST. What a method does is in the
areas. Source: reference of the TrueNAS API, methods; CORE 13.0, TrueNAS 25.04 and 25.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simulator.truenas.parameters import Checker, Param, read_params, read_tables
from simulator.truenas.version import Version

TABLES = read_tables("""
[query-options]
  extra           object = {}
  order_by        [text] = []
  select          [any] = []
  count           bool = false
  get             bool = false
  offset          int = 0
  limit           int = 0
  force_sql_filters bool = false @12.0..
  relationships   bool = true @..25.04
  extend          text? = null @..25.04
  extend_context  text? = null @..25.04
  prefix          text? = null @..25.04

[core.options]
  legacy_jobs     bool @25.10..
  private_methods bool @25.10..
  py_exceptions   bool

[api_key]
  name            text! 1..200
  username        text! 1.. @25.04..
  expires_at      any? = null @25.04..
[api_key.update]
  name            text 1..200
  expires_at      any? @25.04..
  reset           bool

[iscsi.global]
  basename        text
  isns_servers    [text]
  listen_port     int 1025..65535 @22.0..
  pool_avail_threshold int? 1..99
  alua            bool
  iser            bool @25.04..
[iscsi.listen]
  ip              text! 1..
  port            int 1..65535 = 3260 @..13.0
[iscsi.portal]
  listen          [{iscsi.listen}]!
  comment         text = ""
  discovery_authmethod NONE|CHAP|CHAP_MUTUAL = "NONE" @..13.0
  discovery_authgroup  int? = null @..13.0
[iscsi.initiator]
  tag             int = 0 @..11.3
  initiators      [text] = []
  auth_network    [network] = [] @..13.0
  comment         text = ""
[iscsi.initiator.update]
  id              int @25.04..
  tag             int @..11.3
  initiators      [text]
  auth_network    [network] @..13.0
  comment         text
[iscsi.auth]
  tag             int!
  user            text!
  secret          text!
  peeruser        text = ""
  peersecret      text = ""
  discovery_auth  NONE|CHAP|CHAP_MUTUAL = "NONE" @22.0..
[iscsi.group]
  portal          int!
  initiator       int? = null
  authmethod      NONE|CHAP|CHAP_MUTUAL = "NONE"
  auth            int? = null
[iscsi.parameters]
  QueuedCommands  32|128? = null
[iscsi.target]
  name            text! 1..120
  alias           text? = null
  mode            ISCSI|FC|BOTH = "ISCSI"
  groups          [{iscsi.group}] = []
  auth_networks   [network] = [] @22.0..
  iscsi_parameters {iscsi.parameters}? = null @25.04..
[iscsi.extent]
  name            text! 1..64
  type            DISK|FILE = "DISK"
  disk            text? = null
  serial          text? = null
  path            text? = null
  filesize        int|text = 0
  blocksize       512|1024|2048|4096 = 512
  pblocksize      bool = false
  avail_threshold int? 1..99 = null
  comment         text = ""
  insecure_tpc    bool = true
  xen             bool = false
  rpm             UNKNOWN|SSD|5400|7200|10000|15000 = "SSD"
  ro              bool = false
  enabled         bool = true
  product_id      text? 1..16 = null @25.10..
[iscsi.targetextent]
  target          int!
  lunid           int? = null
  extent          int!
[iscsi.targetextent.update]
  id              int @25.04..
  target          int
  lunid           int
  extent          int

[nfs]
  servers         int? 1..256
  udp             bool @..13.0
  allow_nonroot   bool
  v4              bool @..13.0
  v4_v3owner      bool @..13.0
  protocols       [NFSV3|NFSV4] @22.0..
  v4_krb          bool
  v4_domain       text @12.0..
  bindip          [ip]
  mountd_port     int? 1..65535
  rpcstatd_port   int? 1..65535
  rpclockd_port   int? 1..65535
  mountd_log      bool
  statd_lockd_log bool
  userd_manage_gids bool
  rdma            bool @25.10..
[sharing.nfs]
  path            text! 1.. @22.0..
  paths           [text] 1.. = [] @..13.0
  aliases         [text] = [] @22.0..
  comment         text = ""
  networks        [network] = []
  hosts           [text] = []
  alldirs         bool = false @..13.0
  ro              bool = false
  quiet           bool = false @..13.0
  maproot_user    text? = null
  maproot_group   text? = null
  mapall_user     text? = null
  mapall_group    text? = null
  security        [SYS|KRB5|KRB5I|KRB5P] = []
  enabled         bool = true
  expose_snapshots bool = false @25.10..

[service]
  enable          bool!
[service.options]
  ha_propagate    bool = true
  silent          bool = true @25.04..
  timeout         int? = 120 @25.04..
  onetime         bool = true @..11.3
  wait            any? = null @..11.3
  sync            any? = null @..11.3

[user-property]
  key             text! 3..
  value           text!
[user-property.update]
  key             text! 3..
  value           text
  remove          bool
[pool.dataset]
  name            text! 1..
  type            FILESYSTEM|VOLUME = "FILESYSTEM"
  volsize         int
  volblocksize    text
  sparse          bool
  force_size      bool
  comments        text
  sync            STANDARD|ALWAYS|DISABLED|INHERIT
  snapdev         HIDDEN|VISIBLE|INHERIT @22.0..
  compression     text
  atime           ON|OFF|INHERIT
  exec            ON|OFF|INHERIT
  managedby       text 1.. @12.0..
  quota           int?
  quota_warning   int|INHERIT
  quota_critical  int|INHERIT
  refquota        int?
  refquota_warning int|INHERIT
  refquota_critical int|INHERIT
  reservation     int
  refreservation  int
  special_small_block_size int|INHERIT @12.0..
  copies          int|INHERIT
  snapdir         DISABLED|VISIBLE|HIDDEN|INHERIT
  deduplication   ON|VERIFY|OFF|INHERIT
  checksum        text @12.0..
  readonly        ON|OFF|INHERIT
  recordsize      text
  casesensitivity SENSITIVE|INSENSITIVE|MIXED|INHERIT
  aclmode         PASSTHROUGH|RESTRICTED|DISCARD|INHERIT
  acltype         text @12.0..
  share_type      GENERIC|MULTIPROTOCOL|NFS|SMB|APPS = "GENERIC"
  xattr           ON|SA @12.0..13.0
  user_properties [{user-property}] = [] @22.0..
  create_ancestors bool = false @22.0..
[pool.dataset.update]
  volsize         int
  force_size      bool
  comments        text
  sync            STANDARD|ALWAYS|DISABLED|INHERIT
  snapdev         HIDDEN|VISIBLE|INHERIT @22.0..
  compression     text
  atime           ON|OFF|INHERIT
  exec            ON|OFF|INHERIT
  managedby       text 1.. @12.0..
  quota           int?
  quota_warning   int|INHERIT
  quota_critical  int|INHERIT
  refquota        int?
  refquota_warning int|INHERIT
  refquota_critical int|INHERIT
  reservation     int
  refreservation  int
  special_small_block_size int|INHERIT @12.0..
  copies          int|INHERIT
  snapdir         DISABLED|VISIBLE|HIDDEN|INHERIT
  deduplication   ON|VERIFY|OFF|INHERIT
  checksum        text @12.0..
  readonly        ON|OFF|INHERIT
  recordsize      text
  aclmode         PASSTHROUGH|RESTRICTED|DISCARD|INHERIT
  acltype         text @12.0..
  xattr           ON|SA @12.0..13.0
  user_properties [{user-property}] @22.0..
  create_ancestors bool @22.0..
  user_properties_update [{user-property.update}] @22.0..
[pool.dataset.delete]
  recursive       bool = false
  force           bool = false

[snapshot]
  dataset         text! 1..
  name            text 1..
  naming_schema   text 1..
  recursive       bool = false
  exclude         [text] = [] @22.0..
  vmware_sync     bool = false
  properties      object = {}
[snapshot.clone]
  snapshot        text! 1..
  dataset_dst     text! 1..
  dataset_properties object = {} @12.0..
[snapshot.delete]
  defer           bool = false
  recursive       bool = false @22.0..
[snapshot.rollback]
  recursive       bool = false
  recursive_clones bool = false
  force           bool = false
  recursive_rollback bool = false @22.0..

[schedule]
  minute          text = "00"
  hour            text = "*"
  dom             text = "*"
  month           text = "*"
  dow             text = "*"
  begin           text = "00:00"
  end             text = "23:59"
[pool.snapshottask]
  dataset         text!
  recursive       bool = false
  lifetime_value  int = 2
  lifetime_unit   HOUR|DAY|WEEK|MONTH|YEAR = "WEEK"
  enabled         bool = true
  exclude         [text] = []
  naming_schema   text = "auto-%Y-%m-%d_%H-%M"
  allow_empty     bool = true
  schedule        {schedule} = {}
[pool.snapshottask.update]
  dataset         text
  recursive       bool
  lifetime_value  int
  lifetime_unit   HOUR|DAY|WEEK|MONTH|YEAR
  enabled         bool
  exclude         [text]
  naming_schema   text
  allow_empty     bool
  schedule        {schedule}
  fixate_removal_date bool @22.0..
[pool.snapshottask.delete]
  fixate_removal_date bool = false
""")

_METHODS = """
core.ping                 open
core.set_options          open @25.04..
  options                 {core.options}~!
core.subscribe            open @25.04..
  event                   text!
core.unsubscribe          open @25.04..
  id_                     text!
core.get_jobs             query
core.job_wait             job
  id                      int!
core.job_abort
  id                      int!
core.bulk                 job
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
