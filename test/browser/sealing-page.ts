/** The page of `sealing.test.ts`: every vector, and a media item of some megabytes, on the browser's WebCrypto. */
import {
  createSealer,
  openRange,
  openStream,
  padStream,
  readOpener,
  sealStream,
  webSuite,
} from '../../src/sealing/index.ts'
import { allOf, patternBytes, sameBytes, streamOf } from '../support/sealing.ts'
import { vectorChecks } from '../support/sealing-vectors.ts'

export interface SealingPage {
  /** The names of all vectors, and what went wrong with which. */
  checkVectors(): Promise<{ checked: number; failures: string[] }>
  /** Seals, opens everything and a range; returns what each call gave. */
  roundTrip(plainBytes: number): Promise<{ sealedBytes: number; whole: boolean; range: boolean }>
}

const page: SealingPage = {
  async checkVectors() {
    const checks = vectorChecks()
    const failures: string[] = []
    for (const { name, run } of checks) {
      await run(webSuite).catch((error: unknown) => failures.push(`${name}: ${String(error)}`))
    }
    return { checked: checks.length, failures }
  },

  async roundTrip(plainBytes) {
    const opening = { suite: webSuite, key: webSuite.randomBytes(32), role: 'media', chunkBytes: 262_144 } as const
    const plain = patternBytes(plainBytes)
    const sealer = await createSealer(opening)
    const sealed = await allOf(new Blob([plain]).stream().pipeThrough(padStream()).pipeThrough(sealStream(sealer)))
    const told = { ...opening, commit: sealer.commit, sealedBytes: sealed.byteLength, plainBytes }
    const whole = await allOf(new Blob([sealed]).stream().pipeThrough(openStream(told)))
    const read = (start: number, end: number): ReadableStream<Uint8Array> => streamOf(sealed.subarray(start, end))
    const opener = await readOpener({ ...told, read })
    const range = { start: Math.floor(plainBytes / 3), end: Math.floor(plainBytes / 2) }
    const part = await allOf(openRange({ opener, read, range, sealedBytes: sealed.byteLength }))
    return {
      sealedBytes: sealed.byteLength,
      whole: sameBytes(whole, plain),
      range: sameBytes(part, plain.slice(range.start, range.end)),
    }
  },
}

Object.assign(globalThis, { sealing: page })
