/** Every value an operator can set: the one source of types, checks, defaults and documentation. */
import * as z from 'zod'

import { MAX_PART_BYTES } from '../../protocol/parts.ts'
import {
  choice,
  count,
  duration,
  flag,
  list,
  listenHost,
  named,
  optionalCount,
  optionalText,
  section,
  size,
  text,
} from './fields.ts'
import { access } from './schema-access.ts'
import { limits, records, storage } from './schema-stores.ts'
import { tier } from './schema-tiers.ts'
import {
  checkHostName,
  checkHttpUrl,
  checkProxy,
  checkPublicUrl,
  CHUNK_BYTES,
  DAY,
  HOUR,
  MiB,
  MINUTE,
  SECOND,
} from './schema-units.ts'

const port = (written: number, about: string) =>
  count({ written, min: 0, max: 65_535, about: `${about} 0: any free one`, unit: 'port' })

const listen = section('The listener for clients', {
  host: listenHost({ written: '127.0.0.1', about: 'IP address to listen on; 0.0.0.0 or :: for all' }),
  port: port(7325, 'Port to listen on.'),
  publicUrl: optionalText({
    about: 'URL that clients use if a reverse proxy is in front; the only source of absolute URLs',
    range: 'an http or https URL',
    check: checkPublicUrl,
  }),
  trustedProxies: list({
    written: [],
    item: z
      .string({ error: 'must be a text' })
      .refine(checkProxy, 'must be an address, a network such as 10.0.0.0/8, loopback or private'),
    about: 'Proxies whose X-Forwarded-For is trusted; other clients cannot choose the IP address that limits apply to',
    range: 'addresses, networks such as 10.0.0.0/8, loopback, private',
    live: true,
  }),
  backlog: count({
    written: 4096,
    min: 1,
    max: 65_535,
    about:
      'Length of the accept queue; a larger burst of connections is reset. The system caps it (net.core.somaxconn)',
    unit: 'connections',
  }),
  maxConnections: count({
    written: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'Open connections in total; each node of a cluster counts its own',
    unit: 'connections',
  }),
  maxConnectionsPerAddress: count({
    written: 512,
    min: 0,
    max: 1_000_000,
    about:
      'Open connections of one IP address (one /64 network in IPv6); trusted proxies are exempt. Each node counts its own. 0: no limit',
    unit: 'connections',
    live: true,
  }),
})

const admin = section('The second listener, for metrics and health', {
  enabled: flag({ written: true, about: 'Whether this listener is opened' }),
  host: listenHost({
    written: '127.0.0.1',
    about: 'IP address to listen on; every client that can connect can read the metrics',
  }),
  port: optionalCount({
    min: 0,
    max: 65_535,
    about: 'Port to listen on. null: 7326, or any free one if 7326 is taken; 0: any free one',
    unit: 'port',
  }),
  hosts: list({
    written: [],
    item: z
      .string({ error: 'must be a text' })
      .refine(checkHostName, 'must be a host name such as metrics.internal, without a port'),
    about:
      'Accepted names in Host, beside localhost and IP addresses. Other names are refused, so that no web page can reach this listener by a name of its own',
    range: 'host names',
  }),
})

const transfer = section('Transfers', {
  partBytes: size({
    written: '8MiB',
    min: CHUNK_BYTES,
    max: MAX_PART_BYTES,
    range: '256KiB to 256MiB, a multiple of 256KiB',
    about: 'Part size of new uploads; running uploads are not affected',
    live: true,
  }),
  idleTimeout: duration({
    written: '60s',
    min: 100,
    max: HOUR,
    range: '100ms to 1h',
    about: 'A transfer without a byte for this long is cut',
    live: true,
  }),
  minimumBytesPerSecond: size({
    written: 1024,
    min: 0,
    max: 1024 * MiB,
    range: '0 to 1GiB',
    unit: 'size per second',
    about: 'A transfer slower than this, measured over idleTimeout, is cut. 0: no minimum',
    live: true,
  }),
  uploadExpiry: duration({
    written: '24h',
    min: SECOND,
    max: 30 * DAY,
    range: '1s to 30d',
    about: 'An unfinished upload expires this long after its last part',
    live: true,
  }),
  downloadGrantTtl: duration({
    written: '24h',
    min: SECOND,
    max: 30 * DAY,
    range: '1s to 30d',
    about: 'How long one counted download may request further ranges',
    live: true,
  }),
  parcelWaitMax: duration({
    written: '60s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for the next version of a parcel',
    live: true,
  }),
  formMaxFiles: count({
    written: 100,
    min: 1,
    max: 10_000,
    about: 'Largest number of files in one form',
    unit: 'files',
    live: true,
  }),
  stopGrace: duration({
    written: '10s',
    min: 0,
    max: HOUR,
    range: '0s to 1h',
    about: 'How long running transfers may continue when the server stops',
    live: true,
  }),
})

const buffers = section('Memory of each process for buffered requests: JSON, manifests both ways, forms', {
  bytes: size({
    written: '48MiB',
    min: MiB,
    max: 1024 * 1024 * MiB,
    range: '1MiB to 1TiB',
    about: 'Of all clients together; a quarter is reserved for requests of up to 64KiB',
    live: true,
  }),
  bytesPerClient: size({
    written: '16MiB',
    min: MiB,
    max: 1024 * 1024 * MiB,
    range: '1MiB to 1TiB',
    about: 'Of one client; a manifest larger than three quarters of this waits until the client has no other buffers',
    live: true,
  }),
  queue: count({
    written: 512,
    min: 0,
    max: 100_000,
    about: 'Requests in the queue for memory, per client and for all clients',
    unit: 'requests',
    live: true,
  }),
  queueWait: duration({
    written: '5s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for memory',
    live: true,
  }),
})

const upkeep = section('The sweeper', {
  sweepEvery: duration({
    live: true,
    written: '60s',
    min: 100,
    max: DAY,
    range: '100ms to 1d',
    about: 'Time between two sweeps',
  }),
  orphanGrace: duration({
    live: true,
    written: '1h',
    min: 0,
    max: 30 * DAY,
    range: '0s to 30d',
    about: 'Orphans (stored bytes without a record) older than this are deleted',
  }),
  keepEnded: duration({
    live: true,
    written: '7d',
    min: 0,
    max: 3660 * DAY,
    range: '0s to 3660d',
    about: 'How long an ended media item or parcel is 410 instead of 404',
  }),
})

const log = section('The log', {
  level: choice({
    options: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    written: 'info',
    about: 'Lowest level that is written',
    live: true,
  }),
  format: choice({
    options: ['json', 'pretty'],
    written: 'json',
    about: 'json: one object per line, for programs; pretty: for people',
  }),
})

const cors = section('Web apps on other origins', {
  origins: list({
    written: ['*'],
    item: z
      .string({ error: 'must be a text' })
      .refine(
        value => value === '*' || (checkHttpUrl(value) === null && new URL(value).origin === value),
        'must be * or an origin such as https://app.example',
      ),
    about: 'Origins whose pages may send requests; *: any, because access is by bearer token, never by cookie',
    range: '*, or origins such as https://app.example',
    live: true,
  }),
})

export const configSchema = section('Sealift', {
  dataDirectory: text({
    written: './data',
    about: 'Folder of all data; a relative path starts at the working directory',
    range: 'a path',
  }),
  workers: count({
    written: 1,
    min: 1,
    max: 1024,
    about: 'Server processes; more than one requires limits.shared valkey, so that limits stay exact',
    unit: 'processes',
  }),
  listen,
  admin,
  storage,
  records,
  limits,
  access,
  transfer,
  buffers,
  tiers: named({
    about: 'Limits, by tier. A tier inherits omitted keys from `default`',
    entry: tier,
    base: 'default',
  }),
  upkeep,
  log,
  cors,
})

type Parsed = z.output<typeof configSchema.schema>

/** The configuration as the program uses it: checked, complete and frozen. Durations end in `Ms`, sizes in `Bytes`. */
export type ServerConfig = Omit<Parsed, 'storage' | 'records'> & {
  readonly storage: Omit<Parsed['storage'], 'directory'> & { readonly directory: string }
  readonly records: Omit<Parsed['records'], 'file'> & { readonly file: string }
}
export type S3Config = NonNullable<ServerConfig['storage']['s3']>
export type PostgresConfig = NonNullable<ServerConfig['records']['postgres']>
export type ValkeyConfig = NonNullable<ServerConfig['limits']['valkey']>
export type JwtConfig = NonNullable<ServerConfig['access']['jwt']>
export type StaticToken = ServerConfig['access']['tokens'][number]
