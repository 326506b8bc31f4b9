"""The objects that methods take, member by member, by release; notation of `parameters`.

Source: reference of the TrueNAS API, methods; CORE 13.0, TrueNAS 25.04 and 25.10.
"""

from __future__ import annotations

from simulator.truenas.parameters import read_tables

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
  ha_propagate    bool = true @12.0..
  silent          bool = true @25.04..
  timeout         int? = 120 @25.04..
  onetime         bool = true @..11.3
  wait            any? = null @..11.3
  sync            any? = null @..11.3

[filesystem.setperm]
  path            text! 1..
  uid             int? = null @..13.0
  uid             int? -1..2147483647 = null @22.0..
  user            text? 1.. = null @22.0..
  gid             int? = null @..13.0
  gid             int? -1..2147483647 = null @22.0..
  group           text? 1.. = null @22.0..
  mode            text? = null
  options         {filesystem.options} = {}
[filesystem.options]
  recursive       bool = false
  traverse        bool = false
  stripacl        bool = false

[user-property]
  key             text! 3..
  value           text!
[user-property.update]
  key             text! 3..
  value           text
  remove          bool
[zfs]
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
  snapdir         VISIBLE|HIDDEN|INHERIT @..13.0
  snapdir         DISABLED|VISIBLE|HIDDEN|INHERIT @22.0..
  deduplication   ON|VERIFY|OFF|INHERIT
  checksum        text @12.0..
  readonly        ON|OFF|INHERIT
  recordsize      text
  aclmode         PASSTHROUGH|RESTRICTED|INHERIT @..13.0
  aclmode         PASSTHROUGH|RESTRICTED|DISCARD|INHERIT @22.0..
  acltype         text @12.0..
  xattr           ON|SA @12.0..13.0
[pool.dataset]
  name            text! 1..
  type            FILESYSTEM|VOLUME = "FILESYSTEM"
  volblocksize    text
  sparse          bool
  casesensitivity SENSITIVE|INSENSITIVE|MIXED @..13.0
  casesensitivity SENSITIVE|INSENSITIVE|INHERIT @22.0..
  share_type      GENERIC|SMB = "GENERIC" @..13.0
  share_type      GENERIC|MULTIPROTOCOL|NFS|SMB|APPS = "GENERIC" @22.0..
  user_properties [{user-property}] = [] @22.0..
  create_ancestors bool = false @22.0..
  encryption      bool = false @12.0..
  encryption_options object = {} @12.0..
  inherit_encryption bool = true @12.0..
  *zfs
[pool.dataset.update]
  user_properties [{user-property}] @22.0..
  create_ancestors bool @22.0..
  user_properties_update [{user-property.update}] @22.0..
  *zfs

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
  dataset_properties object = {} @22.0..
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
