/** The sections that say where bytes and records are kept, and how limits are shared: one machine or a cluster. */
import {
  choiceField,
  countField,
  durationField,
  optionalCountField,
  optionalSection,
  optionalTextField,
  section,
  sizeField,
  textField,
  flagField,
} from './fields.ts'
import { checkHttpUrl, checkUnescaped, DAY, HOUR, MiB, MINUTE, SECOND } from './schema-units.ts'

const s3 = optionalSection('The S3-compatible service of storage.kind s3', {
  endpoint: textField({
    written: '',
    about: 'URL of the service',
    range: 'an http or https URL',
    check: checkHttpUrl,
  }),
  publicEndpoint: optionalTextField({
    about: 'URL at which clients reach the service, for transfer direct; null: the same as endpoint',
    range: 'an http or https URL',
    check: checkHttpUrl,
  }),
  region: textField({ written: 'us-east-1', about: 'Region that requests are signed for' }),
  bucket: textField({ written: '', about: 'The bucket; it must exist', range: 'a name' }),
  prefix: textField({
    written: 'sealift/',
    about: 'Prefix of every object name; ends with /',
    range: 'letters, digits and . _ - /',
    check: value => (/^[A-Za-z0-9._/-]+\/$/.test(value) ? null : 'must be letters, digits or . _ - / and end with /'),
  }),
  accessKeyId: optionalTextField({
    about: "The access key; without both keys, AWS's default sources apply (its variables, the machine's role)",
    file: true,
  }),
  secretAccessKey: optionalTextField({ about: 'The secret of the access key', secret: true, file: true }),
  pathStyle: flagField({ written: true, about: 'Bucket in the path (most services) instead of in the host name' }),
  connectTimeout: durationField({
    written: '5s',
    min: 10,
    max: MINUTE,
    range: '10ms to 1m',
    about: 'Timeout of opening a connection',
  }),
  requestTimeout: durationField({
    written: '30s',
    min: 100,
    max: 10 * MINUTE,
    range: '100ms to 10m',
    about: 'Timeout of one attempt of one request; while bytes move, the longest time without any',
  }),
  maxSockets: optionalCountField({
    min: 1,
    max: 10_000,
    about:
      'Connections of a process to the service for reading, and as many for everything else; null: enough for 16 clients that use all slots of their tier, at least 256',
    unit: 'connections',
  }),
  memory: sizeField({
    written: '64MiB',
    min: MiB,
    max: 1024 * 1024 * MiB,
    range: '1MiB to 1TiB, at least transfer.partBytes',
    about: 'Memory that holds parts for a retry if the service fails; beyond it parts are streamed without a retry',
  }),
})

export const storageSection = section('Where sealed bytes are stored', {
  kind: choiceField({
    options: ['files', 's3'],
    written: 'files',
    about: 'files: one file per media item, on a local disk; s3: one object per part, in an S3-compatible service',
  }),
  directory: optionalTextField({
    about: 'Folder of the files; when null, `blobs` inside dataDirectory',
    range: 'a path',
  }),
  refuseAbovePercent: countField({
    written: 90,
    min: 1,
    max: 100,
    about: 'New uploads are refused when the disk is fuller than this; reading still works. 100: never',
    unit: 'percent of the disk',
    live: true,
  }),
  accelerate: choiceField({
    options: ['off', 'x-accel-redirect'],
    written: 'off',
    about: 'x-accel-redirect: nginx in front sends the bytes of complete media (kind files only)',
  }),
  accelerateLocation: textField({
    written: '/sealift-files/',
    about: 'The internal location of nginx whose alias is the folder of the files',
    range: 'a path that begins and ends with /',
    check: value => (/^\/[A-Za-z0-9._/-]*\/$/.test(value) ? null : 'must begin and end with /'),
  }),
  transfer: choiceField({
    options: ['proxy', 'direct'],
    written: 'proxy',
    about: 'proxy: bytes pass through this server; direct: clients exchange them with the S3 service by presigned URLs',
    live: true,
  }),
  directUrlTtl: durationField({
    written: '5m',
    min: SECOND,
    max: DAY,
    range: '1s to 1d',
    about: 'Lifetime of a presigned URL, and of its slot if it is not used',
    live: true,
  }),
  s3,
})

const postgres = optionalSection('The database of records.kind postgres', {
  url: textField({
    written: '',
    about: 'postgres://user:password@host:port/database',
    range: 'a postgres URL',
    secret: true,
    file: true,
    check: value => (/^postgres(ql)?:\/\/./.test(value) ? checkUnescaped(value) : 'must begin with postgres://'),
  }),
  poolSize: countField({ written: 20, min: 1, max: 1000, about: 'Connections of this process', unit: 'connections' }),
  connectTimeout: durationField({
    written: '5s',
    min: 10,
    max: MINUTE,
    range: '10ms to 1m',
    about: 'Longest wait for a free connection',
  }),
  statementTimeout: durationField({
    written: '10s',
    min: 100,
    max: HOUR,
    range: '100ms to 1h',
    about: 'Timeout of one statement',
  }),
})

export const recordsSection = section('The database of uploads, leases and parcels', {
  kind: choiceField({
    options: ['sqlite', 'postgres'],
    written: 'sqlite',
    about: 'sqlite: one file on a local disk; postgres: a PostgreSQL database that all nodes share',
  }),
  file: optionalTextField({
    about: 'The database of kind sqlite; when null, `records.sqlite` inside dataDirectory',
    range: 'a path',
  }),
  postgres,
})

const valkey = optionalSection('The Valkey or Redis of limits.shared valkey', {
  url: textField({
    written: '',
    about: 'redis://user:password@host:port/database; rediss:// for TLS',
    range: 'a redis URL',
    secret: true,
    file: true,
    check: value =>
      /^(redis|valkey)s?:\/\/./.test(value) ? checkUnescaped(value) : 'must begin with redis:// or rediss://',
  }),
  prefix: textField({ written: 'sealift:', about: 'Prefix of every key', range: 'a text' }),
  commandTimeout: durationField({
    written: '500ms',
    min: 10,
    max: MINUTE,
    range: '10ms to 1m',
    about: 'Timeout of one command; after it each node applies its share of the limits',
  }),
  leaseTtl: durationField({
    written: '10s',
    min: SECOND,
    max: 10 * MINUTE,
    range: '1s to 10m',
    about: 'Slots of a node without a heartbeat for this long are released',
  }),
})

export const limitsSection = section('Limits across nodes', {
  shared: choiceField({
    options: ['memory', 'valkey'],
    written: 'memory',
    about: 'memory: counted in this process only; valkey: counted for all nodes together',
  }),
  valkey,
})
