// `npm run demo`: a server, forty files of all kinds sent and fetched in parallel, compared byte for byte, and a check
// of what the server's disk reveals.
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'

import { table } from '../src/cli/terminal/text.ts'
import { formatSize } from '../src/protocol/units.ts'
import { lookAtDisk, type DiskReport } from './demo/look-at-disk.ts'
import { makeMedia, type MediaFolder } from './demo/make-media.ts'
import { sealift, startServer, type SealiftOptions } from './demo/run-sealift.ts'

const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped')))
process.once('SIGTERM', () => stop.abort(new Error('stopped')))

const bold = (text: string) => styleText('bold', text)
const dim = (text: string) => styleText('dim', text)
const tick = styleText('green', '✓')
const cross = styleText('red', '✗')

const home = await mkdtemp(join(tmpdir(), 'sealift-demo-'))
try {
  process.exitCode = (await demo(home)) ? 0 : 1
} catch (error) {
  console.error(stop.signal.aborted ? 'Stopped.' : error)
  process.exitCode = 1
} finally {
  await rm(home, { recursive: true, force: true })
}

/** True when everything came back as it was sent, and the server's disk holds nothing readable. */
async function demo(home: string): Promise<boolean> {
  const album = 'summer-album'
  const inbox = join(home, 'inbox')
  const data = join(home, 'server-data')
  say(`${bold('Sealift')} sends files through a server that cannot read them. Here is one, start to end.`)

  const media = await step('Making photos, voice notes, films and notes', () => makeMedia(join(home, album)))
  const plain = await lookAtDisk(media.directory, [media.marker])
  say(dim(`  ${plain.files} files, ${formatSize(plain.bytes)}`))

  // What the environment says of other servers is not for this one.
  const options: SealiftOptions = {
    env: { ...withoutSettings(), XDG_STATE_HOME: join(home, 'state'), SEALIFT_ADMIN_ENABLED: 'false' },
    signal: stop.signal,
    cwd: home,
  }
  await using server = await startServer(data, options)
  command(`sealift serve --data server-data`)
  say(dim(`  Sealift listens on ${server.url}`))

  command(`sealift send ${album}/`)
  const sending = await timed(async () => sealift(['send', `${album}/`, '--server', server.url], options))
  const link = sending.value.trim().split('\n').at(-1) ?? ''
  say(dim(`  ${link}`))

  command(`sealift get LINK -o inbox`)
  const getting = await timed(async () => sealift(['get', link, '-o', 'inbox'], options))

  say('')
  const different = await compare(media, join(inbox, album))
  verdict(different.length === 0, `${media.names.length} files came back, each the same byte for byte`)
  for (const name of different) say(`    ${name} differs`)

  const stored = await lookAtDisk(data, [media.marker, album, ...media.names.map(lastPart)])
  const readable = [...stored.found.values()].reduce((sum, times) => sum + times, 0)
  const planted = plain.found.get(media.marker) ?? 0
  verdict(
    readable === 0,
    `the server's disk holds ${formatSize(stored.bytes)} and not one of the ${planted} marks hidden in the files, nor a name`,
  )
  report({ plain, stored, sendMs: sending.elapsedMs, getMs: getting.elapsedMs, peak: await peakMemory(server.pid) })
  return different.length === 0 && readable === 0
}

interface Figures {
  readonly plain: DiskReport
  readonly stored: DiskReport
  readonly sendMs: number
  readonly getMs: number
  readonly peak: string | null
}

function report({ plain, stored, sendMs, getMs, peak }: Figures): void {
  const rate = (ms: number) => `${formatSize(Math.round((plain.bytes / ms) * 1000))}/s`
  const row = (what: string, ms: number) => [what, String(plain.files), formatSize(plain.bytes), seconds(ms), rate(ms)]
  const rows = [['', 'files', 'bytes', 'time', 'rate'], row('sent', sendMs), row('received', getMs)]
  const [head = '', ...lines] = table(rows, [1, 2, 3, 4])
  say(`\n  ${dim(head)}`)
  for (const line of lines) say(`  ${line}`)
  say(dim(`  sealed on the sender's side, opened on the receiver's; start of both commands included`))
  say(dim(`  on the server: ${stored.files} files${peak === null ? '' : `, ${peak} of memory at most`}`))
  say(`\nNext: ${bold('npm start')}, then ${bold('npx sealift send FILE…')} in another shell.`)
}

async function compare(media: MediaFolder, received: string): Promise<string[]> {
  const different: string[] = []
  for (const name of media.names) {
    const same = await sameBytes(join(media.directory, name), join(received, name)).catch(() => false)
    if (!same) different.push(name)
  }
  return different
}

async function sameBytes(one: string, other: string): Promise<boolean> {
  await using first = await open(one)
  await using second = await open(other)
  const left = Buffer.alloc(2 ** 20)
  const right = Buffer.alloc(2 ** 20)
  for (;;) {
    const a = await first.read(left)
    const b = await second.read(right)
    if (a.bytesRead !== b.bytesRead) return false
    if (a.bytesRead === 0) return true
    if (!left.subarray(0, a.bytesRead).equals(right.subarray(0, b.bytesRead))) return false
  }
}

/** Available on Linux only. */
async function peakMemory(pid: number): Promise<string | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? null : formatSize(Number(kibibytes) * 1024)
}

function withoutSettings(): Record<string, string> {
  const names = Object.keys(process.env).filter(name => name.startsWith('SEALIFT_'))
  return Object.fromEntries(names.map(name => [name, '']))
}

async function timed<T>(run: () => Promise<T>): Promise<{ value: T; elapsedMs: number }> {
  const startedAtMs = performance.now()
  const value = await run()
  return { value, elapsedMs: performance.now() - startedAtMs }
}

async function step<T>(title: string, run: () => Promise<T>): Promise<T> {
  say(`\n${title} …`)
  return run()
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)}s`
}

function command(text: string): void {
  say(`\n${dim('$')} ${bold(text)}`)
}

function verdict(good: boolean, text: string): void {
  say(`${good ? tick : cross} ${good ? text : `NOT TRUE: ${text}`}`)
}

function say(text: string): void {
  console.log(text)
}
