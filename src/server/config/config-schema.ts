/** Every value an operator can set: the one source of types, checks, defaults and documentation. */
import * as z from 'zod'

import { MAX_PART_BYTES } from '../../protocol/parts.ts'
import {
  choiceField,
  countField,
  durationField,
  flagField,
  listField,
  hostField,
  named,
  optionalCountField,
  optionalTextField,
  section,
  sizeField,
  textField,
} from './fields.ts'
import { accessSection } from './schema-access.ts'
import { limitsSection, recordsSection, storageSection } from './schema-stores.ts'
import { tierSection } from './schema-tiers.ts'
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
  countField({ written, min: 0, max: 65_535, about: `${about} 0: any free one`, unit: 'port' })

const listen = section('The listener for clients', {
  host: hostField({ written: '127.0.0.1', about: 'IP address to listen on; 0.0.0.0 or :: for all' }),
  port: port(7325, 'Port to listen on.'),
  publicUrl: optionalTextField({
    about: 'URL that clients use if a reverse proxy is in front; the only source of absolute URLs',
    range: 'an http or https URL',
    check: checkPublicUrl,
  }),
  trustedProxies: listField({
    written: [],
    item: z
      .string({ error: 'must be a text' })
      .refine(checkProxy, 'must be an address, a network such as 10.0.0.0/8, loopback or private'),
    about: 'Proxies whose X-Forwarded-For is trusted; other clients cannot choose the IP address that limits apply to',
    range: 'addresses, networks such as 10.0.0.0/8, loopback, private',
    live: true,
  }),
  backlog: countField({
    written: 4096,
    min: 1,
    max: 65_535,
    about:
      'Length of the accept queue; a larger burst of connections is reset. The system caps it (net.core.somaxconn)',
    unit: 'connections',
  }),
  maxConnections: countField({
    written: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'Open connections in total; each node of a cluster counts its own',
    unit: 'connections',
  }),
  maxConnectionsPerAddress: countField({
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
  enabled: flagField({ written: true, about: 'Whether this listener is opened' }),
  host: hostField({
    written: '127.0.0.1',
    about: 'IP address to listen on; every client that can connect can read the metrics',
  }),
  port: optionalCountField({
    min: 0,
    max: 65_535,
    about: 'Port to listen on. null: 7326, or any free one if 7326 is taken; 0: any free one',
    unit: 'port',
  }),
  hosts: listField({
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
  partBytes: sizeField({
    written: '8MiB',
    min: CHUNK_BYTES,
    max: MAX_PART_BYTES,
    range: '256KiB to 256MiB, a multiple of 256KiB',
    about: 'Part size of new uploads; running uploads are not affected',
    live: true,
  }),
  idleTimeout: durationField({
    written: '60s',
    min: 100,
    max: HOUR,
    range: '100ms to 1h',
    about: 'A transfer without a byte for this long is cut',
    live: true,
  }),
  minimumBytesPerSecond: sizeField({
    written: 1024,
    min: 0,
    max: 1024 * MiB,
    range: '0 to 1GiB',
    unit: 'size per second',
    about: 'A transfer slower than this, measured over idleTimeout, is cut. 0: no minimum',
    live: true,
  }),
  uploadExpiry: durationField({
    written: '24h',
    min: SECOND,
    max: 30 * DAY,
    range: '1s to 30d',
    about: 'An unfinished upload expires this long after its last part',
    live: true,
  }),
  downloadGrantTtl: durationField({
    written: '24h',
    min: SECOND,
    max: 30 * DAY,
    range: '1s to 30d',
    about: 'How long one counted download may request further ranges',
    live: true,
  }),
  parcelWaitMax: durationField({
    written: '60s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for the next version of a parcel',
    live: true,
  }),
  formMaxFiles: countField({
    written: 100,
    min: 1,
    max: 10_000,
    about: 'Largest number of files in one form',
    unit: 'files',
    live: true,
  }),
  stopGrace: durationField({
    written: '10s',
    min: 0,
    max: HOUR,
    range: '0s to 1h',
    about: 'How long running transfers may continue when the server stops',
    live: true,
  }),
})

const buffers = section('Memory of each process for buffered requests: JSON, manifests both ways, forms', {
  bytes: sizeField({
    written: '48MiB',
    min: MiB,
    max: 1024 * 1024 * MiB,
    range: '1MiB to 1TiB',
    about: 'Of all clients together; a quarter is reserved for requests of up to 64KiB',
    live: true,
  }),
  bytesPerClient: sizeField({
    written: '16MiB',
    min: MiB,
    max: 1024 * 1024 * MiB,
    range: '1MiB to 1TiB',
    about: 'Of one client; a manifest larger than three quarters of this waits until the client has no other buffers',
    live: true,
  }),
  queue: countField({
    written: 512,
    min: 0,
    max: 100_000,
    about: 'Requests in the queue for memory, per client and for all clients',
    unit: 'requests',
    live: true,
  }),
  queueWait: durationField({
    written: '5s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for memory',
    live: true,
  }),
})

const upkeep = section('The sweeper', {
  sweepEvery: durationField({
    live: true,
    written: '60s',
    min: 100,
    max: DAY,
    range: '100ms to 1d',
    about: 'Time between two sweeps',
  }),
  orphanGrace: durationField({
    live: true,
    written: '1h',
    min: 0,
    max: 30 * DAY,
    range: '0s to 30d',
    about: 'Orphans (stored bytes without a record) older than this are deleted',
  }),
  keepEnded: durationField({
    live: true,
    written: '7d',
    min: 0,
    max: 3660 * DAY,
    range: '0s to 3660d',
    about: 'How long an ended media item or parcel is 410 instead of 404',
  }),
})

const log = section('The log', {
  level: choiceField({
    options: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    written: 'info',
    about: 'Lowest level that is written',
    live: true,
  }),
  format: choiceField({
    options: ['json', 'pretty'],
    written: 'json',
    about: 'json: one object per line, for programs; pretty: for people',
  }),
})

const cors = section('Web apps on other origins', {
  origins: listField({
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
  dataDirectory: textField({
    written: './data',
    about: 'Folder of all data; a relative path starts at the working directory',
    range: 'a path',
  }),
  workers: countField({
    written: 1,
    min: 1,
    max: 1024,
    about: 'Server processes; more than one requires limits.shared valkey, so that limits stay exact',
    unit: 'processes',
  }),
  listen,
  admin,
  storage: storageSection,
  records: recordsSection,
  limits: limitsSection,
  access: accessSection,
  transfer,
  buffers,
  tiers: named({
    about: 'Limits, by tier. A tier inherits omitted keys from `default`',
    entry: tierSection,
    base: 'default',
  }),
  upkeep,
  log,
  cors,
})

type Parsed = z.output<typeof configSchema.schema>

/**
 * The configuration as the program uses it: checked, complete and frozen. Durations end in `Ms`, sizes in `Bytes`.
 */
export type ServerConfig = Omit<Parsed, 'storage' | 'records'> & {
  readonly storage: Omit<Parsed['storage'], 'directory'> & { readonly directory: string }
  readonly records: Omit<Parsed['records'], 'file'> & { readonly file: string }
}
export type S3Config = NonNullable<ServerConfig['storage']['s3']>
export type PostgresConfig = NonNullable<ServerConfig['records']['postgres']>
export type ValkeyConfig = NonNullable<ServerConfig['limits']['valkey']>
export type JwtConfig = NonNullable<ServerConfig['access']['jwt']>
export type StaticToken = ServerConfig['access']['tokens'][number]
