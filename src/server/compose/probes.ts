/** How `sealift doctor` reaches the services of a cluster: by the same connections as a server. */
export { nodesKey } from '../cluster/cluster-node.ts'
export { addressOf } from '../cluster/valkey-session.ts'
export { openValkeyLink } from '../cluster/valkey-link.ts'
export { explainPostgres, databaseServerOf } from '../records/postgres/explain-connection.ts'
export { openPostgresRecordStore } from '../records/postgres/index.ts'
export { clientConfig, cut } from '../records/postgres/pool.ts'
