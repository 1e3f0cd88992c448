/**
 * Sends files and fetches them back with the SDK: `exchange-client.ts SDK ORIGIN together|one FILES INBOX`.
 * `together`: all in one parcel. `one`: each in a parcel of its own, the next when the last has been sent.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type * as Sdk from '../../src/client/node/index.ts'

const [, , sdk = '', server = '', mode = '', folder = '', inbox = ''] = process.argv
const { createSealift, listFiles } = (await import(sdk)) as typeof Sdk
const names = (await readdir(folder)).sort()
const groups = mode === 'one' ? names.map(name => [name]) : [names]

await using client = createSealift({ server, stateDirectory: false })
const sendingAt = performance.now()
const links: string[] = []
for (const group of groups) links.push(await send(client, group))
const gettingAt = performance.now()
for (const link of links) {
  const received = await client.receive(link, { directory: inbox })
  if (!received.complete) throw new Error('Not every file came.')
}
const doneAt = performance.now()
for (const name of names) {
  if ((await digest(join(folder, name))) !== (await digest(join(inbox, name))))
    throw new Error(`${name} came back changed.`)
}
console.log(`send=${(gettingAt - sendingAt) / 1000} get=${(doneAt - gettingAt) / 1000}`)

async function send(from: Sdk.NodeSealift, group: readonly string[]): Promise<string> {
  const sent = await from.sendFiles(await listFiles(group.map(name => join(folder, name))))
  return sent.link
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
