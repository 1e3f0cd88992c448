import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { findFfmpeg, LadderPackager, type LadderLimits } from '../../../src/video/node.ts'
import { eventually } from '../../support/eventually.ts'
import { fakeFfmpeg, type FakeFfmpeg } from '../../support/fake-ffmpeg.ts'
import { ffmpeg, H264, inputOf, ladder, pictures, readAll, readTracks } from '../../support/ffmpeg.ts'
import { tempDirectory, type TempDirectory } from '../../support/temp-directory.ts'

const never = new AbortController().signal

let home: TempDirectory
beforeAll(async () => {
  home = await tempDirectory()
  await mkdir(at('tmp'))
  vi.stubEnv('TMPDIR', at('tmp'))
  await ffmpeg(`${pictures(30)} ${H264} ${at('film.mp4')}`)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await home[Symbol.asyncDispose]()
})

const at = (name: string): string => join(home.path, name)

const packager = ({ ffmpeg }: FakeFfmpeg, limits: Partial<LadderLimits> = {}): LadderPackager =>
  new LadderPackager(ffmpeg, limits)

const nothingIsLeft = async (fake: FakeFfmpeg): Promise<void> => {
  await eventually('the process is gone', fake.isGone)
  await eventually('the folder is gone', async () => (await readdir(at('tmp'))).length === 0)
}

test('an ffmpeg that hangs is killed, and said to hang', async () => {
  const fake = await fakeFfmpeg(home.path, 'hangs', 'exec sleep 1000')
  const packaging = packager(fake, { stallMs: 300 }).package(inputOf(at('film.mp4')), { signal: never })
  await expect(packaging).rejects.toThrow('makes no progress')
  await nothingIsLeft(fake)
})

test.each([
  ['lines', 'exec yes >&2'],
  ['one endless line', 'exec cat /dev/zero >&2'],
  ['its output', 'exec cat /dev/zero'],
])('an ffmpeg that floods us with %s is killed', async (name, script) => {
  const fake = await fakeFfmpeg(home.path, `floods ${name}`, script)
  const packaging = packager(fake, { messageBytes: 100_000 }).package(inputOf(at('film.mp4')), { signal: never })
  await expect(packaging).rejects.toThrow('could not read the file to its end')
  await nothingIsLeft(fake)
})

test.each([
  ['that is no MP4', 'exec cat /dev/zero > "$last"', 'damaged'],
  ['without end', '{ printf "\\177\\377\\377\\377mdat"; exec cat /dev/zero; } > "$last"', 'far too large'],
])('a track %s ends the packaging', async (name, script, message) => {
  const fake = await fakeFfmpeg(home.path, `writes ${name}`, script)
  const film = await packager(fake).package(inputOf(at('film.mp4')), { signal: never })
  const [last] = film.renditions.slice(-1)
  await expect(last && drain(last.bytes)).rejects.toThrow(message)
  await nothingIsLeft(fake)
})

async function drain(bytes: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of bytes) continue
}

test('an ffmpeg that fails, or makes nothing, is reported in a sentence', async () => {
  const fails = await fakeFfmpeg(home.path, 'fails', 'echo no such luck >&2; exit 3')
  const packaging = packager(fails).package(inputOf(at('film.mp4')), { signal: never })
  await expect(packaging).rejects.toMatchObject({ name: 'CannotPackage', cause: { message: /no such luck/ } })
  const idle = await fakeFfmpeg(home.path, 'idle', 'exit 0')
  await expect(packager(idle).package(inputOf(at('film.mp4')), { signal: never })).rejects.toThrow('make nothing')
  await nothingIsLeft(idle)
})

test('a ladder that ends before its file does takes no place of it', async () => {
  const half = await fakeFfmpeg(home.path, 'half', 'exec "$real" -t 1 "$@"')
  const film = await packager(half).package(inputOf(at('film.mp4')), { signal: never })
  const ends = await Promise.allSettled(film.renditions.map(readAll))
  const message = expect.stringMatching(/^Of .+ would play$/) as string
  for (const end of ends) expect(end).toMatchObject({ reason: { name: 'CannotPackage', message } })
  await nothingIsLeft(half)
})

test('an abort ends everything: while it begins, and while it is read', async () => {
  const hangs = await fakeFfmpeg(home.path, 'aborted', 'exec sleep 1000')
  const first = new AbortController()
  const packaging = packager(hangs).package(inputOf(at('film.mp4')), { signal: first.signal })
  packaging.catch(() => undefined)
  await eventually('it has started', hangs.hasStarted)
  first.abort()
  await expect(packaging).rejects.toMatchObject({ code: 'aborted' })
  await nothingIsLeft(hangs)

  const real = await fakeFfmpeg(home.path, 'real', 'exec "$real" "$@"')
  const second = new AbortController()
  const film = await packager(real).package(inputOf(at('film.mp4')), { signal: second.signal })
  const reading = Promise.allSettled(film.renditions.map(readAll))
  second.abort()
  for (const result of await reading) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } })
  }
  expect(await film.storyboard).toBeNull()
  await nothingIsLeft(real)
})

test('a track that is cancelled ends the others', async () => {
  const real = await fakeFfmpeg(home.path, 'cancelled', 'exec "$real" "$@"')
  const film = await packager(real).package(inputOf(at('film.mp4')), { signal: never })
  const [first, second] = film.renditions
  await first?.bytes.cancel(new Error('Enough'))
  await expect(second && readAll(second)).rejects.toThrow('Enough')
  await nothingIsLeft(real)
})

test('no ffmpeg outlives a process that is killed', async () => {
  const real = await fakeFfmpeg(home.path, 'orphan', 'exec "$real" "$@"')
  const script = join(import.meta.dirname, '../../support/ladder-child.ts')
  const child = spawn(process.execPath, [script, at('film.mp4'), JSON.stringify(real.ffmpeg)], {
    env: { ...process.env, TMPDIR: home.path },
    stdio: 'ignore',
  })
  await eventually('ffmpeg has started', real.hasStarted)
  expect(await real.isGone()).toBe(false)
  child.kill('SIGKILL')
  await eventually('ffmpeg is gone', real.isGone)
})

test('ffmpeg gets limits from the kernel, and nothing of our environment', async () => {
  const seen = at('seen')
  const script = `{ ulimit -t; ulimit -v; ulimit -c; ulimit -f; env; pwd; } > '${seen}'; exit 1`
  const fake = await fakeFfmpeg(home.path, 'limits', script)
  vi.stubEnv('SEALIFT_TOKEN', 'secret')
  const limits = { cpuSecondsPerSecond: 2, memoryBytes: 2 ** 30 }
  await expect(packager(fake, limits).package(inputOf(at('film.mp4')), { signal: never })).rejects.toThrow(
    'could not read',
  )
  const [cpuSeconds, memoryKib, coreBlocks, fileBlocks, ...rest] = (await readFile(seen, 'utf8')).trim().split('\n')
  expect([cpuSeconds, memoryKib, coreBlocks]).toEqual(['180', String(2 ** 20), '0'])
  expect(Number(fileBlocks) * 512).toBe(16 * 1024 * 1024)
  expect(rest.pop()).toMatch(/sealift-ladder-/)
  const names = rest.map(line => line.split('=')[0])
  expect(names.filter(name => !['PATH', 'LC_ALL', 'PWD', 'OLDPWD', '_', 'SHLVL'].includes(name ?? ''))).toEqual([])
})

test('memory that is not there is no reason to wait', async () => {
  const poor = await ladder({ memoryBytes: 64 * 1024 * 1024 })
  await expect(poor.package(inputOf(at('film.mp4')), { signal: never })).rejects.toMatchObject({
    name: 'CannotPackage',
  })
})

test('ffmpeg is found by its path or on the search path, with ffprobe, or not at all', async () => {
  const signal = never
  const searchPath = process.env['PATH'] ?? ''
  const found = await findFfmpeg({ searchPath, signal })
  expect(found?.ffprobe).toMatch(/^\/.*ffprobe$/)
  expect(await findFfmpeg({ searchPath: home.path, signal })).toBeNull()
  expect(await findFfmpeg({ program: at('nowhere'), searchPath, signal })).toBeNull()
  expect(await findFfmpeg({ program: found?.ffmpeg ?? '', searchPath, signal })).toMatchObject({
    ffmpeg: found?.ffmpeg,
  })
  const useless = await fakeFfmpeg(home.path, 'useless', 'echo nothing')
  expect(await findFfmpeg({ program: useless.ffmpeg.ffmpeg, searchPath, signal })).toBeNull()
})

test('progress counts seconds that are packaged in every rung', async () => {
  const told: number[] = []
  const film = await (
    await ladder()
  ).package(inputOf(at('film.mp4')), {
    signal: never,
    onProgress: seconds => told.push(seconds),
  })
  await readTracks(film)
  expect(told).toEqual([4, 8, 12, 16, 20, 24, 28, 30])
  await film.storyboard
})
