/** What a server keeps, seen from behind its back, whatever it keeps it in: to look for secrets, and to damage it. */
import { DeleteObjectCommand, GetObjectCommand, paginateListObjectsV2, PutObjectCommand } from '@aws-sdk/client-s3'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'

import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { loadConfig, mergeRaw, type ServerConfig } from '../../src/server/index.ts'
import { s3Options } from '../../src/server/compose/open-stores.ts'
import { clusterStores, onCluster } from './cluster-stores.ts'

/** A file or an object that holds bytes of media. */
export interface StoredBytes {
  readonly name: string
  read(): Promise<Buffer>
  write(bytes: Uint8Array): Promise<void>
  delete(): Promise<void>
  /** The place beside it where the bytes of a blob would be that no record knows. */
  stranger(): StoredBytes
}

/** One blob's id becomes that of another in the same folder. */
const strange = (name: string): string => name.replace(/[a-z2-7]{26}/, id => id.slice(0, 2) + 'q'.repeat(24))

/** What of a server's configuration says where its bytes are. */
export type Places = Pick<ServerConfig, 'dataDirectory' | 'storage' | 'records'>

/** Those of a server process that has its data in this folder, unless the suites run on other stores. */
export async function placesOf(dataDirectory: string): Promise<Places> {
  const stores = onCluster ? await clusterStores(dataDirectory) : {}
  return loadConfig({ environment: {}, overrides: mergeRaw(stores, { dataDirectory }) })
}

/** Everything that holds bytes of media or uploads. */
export async function storedMedia({ storage }: Pick<Places, 'storage'>): Promise<readonly StoredBytes[]> {
  const { directory, s3 } = storage
  return s3 === null ? (await filesBelow(directory)).map(toStoredFile) : objectsOf(s3Options(s3))
}

/** All bytes that outlive the server: media, and what its records say. */
export async function everythingStored({ dataDirectory, storage, records }: Places): Promise<readonly Buffer[]> {
  const files = (await filesBelow(dataDirectory)).map(toStoredFile)
  const objects = storage.s3 === null ? [] : await storedMedia({ storage })
  const contents = await Promise.all([...files, ...objects].map(each => each.read()))
  const rows = records.postgres === null ? [] : await rowsOf(records.postgres.url)
  if (contents.length + rows.length === 0) throw new Error('Nothing is stored at all')
  return [...contents, ...rows]
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

function toStoredFile(path: string): StoredBytes {
  return {
    name: path,
    read: () => readFile(path),
    write: bytes => writeFile(path, bytes),
    delete: () => rm(path),
    stranger: () => toStoredFile(strange(path)),
  }
}

async function objectsOf(connection: S3Connection): Promise<readonly StoredBytes[]> {
  return withClient(connection, async client => {
    const found: StoredBytes[] = []
    const asked = { Bucket: connection.bucket, Prefix: `${connection.prefix}media/` }
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, asked)) {
      found.push(...Contents.map(({ Key = '' }) => toStoredObject(connection, Key)))
    }
    return found
  })
}

function toStoredObject(connection: S3Connection, name: string): StoredBytes {
  const object = { Bucket: connection.bucket, Key: name }
  return {
    name,
    read: () =>
      withClient(connection, async client => {
        const { Body } = await client.send(new GetObjectCommand(object))
        return Buffer.from((await Body?.transformToByteArray()) ?? [])
      }),
    write: bytes =>
      withClient(connection, async client => {
        await client.send(new PutObjectCommand({ ...object, Body: bytes, ContentLength: bytes.byteLength }))
      }),
    delete: () =>
      withClient(connection, async client => {
        await client.send(new DeleteObjectCommand(object))
      }),
    stranger: () => toStoredObject(connection, strange(name)),
  }
}

async function withClient<Result>(
  connection: S3Connection,
  work: (client: ReturnType<typeof createS3Client>) => Promise<Result>,
): Promise<Result> {
  const client = createS3Client(connection)
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}

/** Every row of every table, with bytes as they are. */
async function rowsOf(url: string): Promise<readonly Buffer[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      "select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public'",
    )
    const found: Buffer[] = []
    for (const { name } of tables.rows) {
      const { rows } = await client.query<Record<string, unknown>>(`select * from ${name}`)
      found.push(...rows.map(rowBytes))
    }
    return found
  } finally {
    await client.end()
  }
}

function rowBytes(row: Record<string, unknown>): Buffer {
  const fields = Object.values(row).map(value => (Buffer.isBuffer(value) ? value : Buffer.from(String(value))))
  return Buffer.concat(fields.flatMap(field => [field, Buffer.from('\n')]))
}
