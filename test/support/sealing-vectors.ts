/** Every vector as a check that any suite must pass, in any runtime. */
import {
  createSealer,
  openBytes,
  openRange,
  openStream,
  paddedLength,
  plainLength,
  provePlainLength,
  readOpener,
  sealedChunkCount,
  sealedLength,
  sealedRangeFor,
  sealStream,
} from '../../src/sealing/index.ts'
import type { CryptoSuite, OpeningKey, Role } from '../../src/sealing/index.ts'
import forged from '../vectors/forged.json' with { type: 'json' }
import layouts from '../vectors/layout.json' with { type: 'json' }
import paddings from '../vectors/padding.json' with { type: 'json' }
import sealedByUs from '../vectors/sealed.json' with { type: 'json' }
import sealedByTink from '../vectors/tink/tink.json' with { type: 'json' }
import {
  allOf,
  fromBase64,
  fromHex,
  isDamaged,
  outcomeOf,
  patternBytes,
  sameBytes,
  sha256Hex,
  streamOf,
} from './sealing.ts'
import type { Outcome } from './sealing.ts'

export interface VectorCheck {
  readonly name: string
  /** Throws when the suite, or the arithmetic, does not do what the vector says. */
  readonly run: (suite: CryptoSuite) => Promise<void>
}

interface SealedVector {
  readonly name: string
  readonly role: string
  readonly chunkBytes: number
  readonly key: string
  readonly salt: string
  readonly noncePrefix: string
  readonly plainBytes: number
  readonly plainSha256: string
  readonly header: string
  readonly commit?: string
  readonly sealedBytes: number
  readonly sealedSha256: string
  readonly sealed?: string
}

interface ForgedVector {
  readonly name: string
  readonly role: string
  readonly chunkBytes: number
  readonly key: string
  readonly commit: string
  readonly sealedBytes?: number
  readonly plainBytes?: number
  readonly sealed: string
}

export function vectorChecks(): VectorCheck[] {
  const valid: readonly SealedVector[] = [...sealedByUs, ...sealedByTink]
  const refused: readonly ForgedVector[] = forged
  return [
    ...valid.map(vector => ({
      name: `opens: ${vector.name}`,
      run: (suite: CryptoSuite) => checkSealed(suite, vector),
    })),
    ...refused.map(vector => ({
      name: `refuses: ${vector.name}`,
      run: (suite: CryptoSuite) => checkForged(suite, vector),
    })),
    ...layouts.map(vector => ({
      name: `lays out ${vector.plainBytes} bytes in chunks of ${vector.chunkBytes}`,
      run: async () => checkLayout(vector),
    })),
    ...paddings.map(vector => ({
      name: `pads ${vector.plainBytes} bytes to ${vector.paddedBytes}`,
      run: async () => expectEqual(paddedLength(vector.plainBytes), vector.paddedBytes, 'padded length'),
    })),
  ]
}

/** Sealing with the vector's salt and prefix gives the vector's very bytes; they open, whole and in part. */
async function checkSealed(suite: CryptoSuite, vector: SealedVector): Promise<void> {
  const opening = openingOf(suite, vector)
  const plain = patternBytes(vector.plainBytes)
  expectEqual(sha256Hex(suite, plain), vector.plainSha256, 'plaintext')
  const sealer = await createSealer({
    ...opening,
    salt: fromHex(vector.salt),
    noncePrefix: fromHex(vector.noncePrefix),
  })
  const sealed = await allOf(streamOf(plain).pipeThrough(sealStream(sealer)))
  expectEqual(sealed.byteLength, vector.sealedBytes, 'sealed length')
  expectEqual(sha256Hex(suite, sealed), vector.sealedSha256, 'sealed bytes')
  if (vector.sealed !== undefined) expectSame(sealed, fromBase64(vector.sealed), 'sealed bytes written out')
  if (vector.commit !== undefined) expectSame(sealer.commit, fromHex(vector.commit), 'commitment')
  expectSame(await openBytes({ ...opening, sealed }), plain, 'opened whole')
  const { sealedBytes } = vector
  expectSame(
    await allOf(streamOf(sealed).pipeThrough(openStream({ ...opening, sealedBytes }))),
    plain,
    'opened as a stream',
  )
  const read = (start: number, end: number): Uint8Array => sealed.subarray(start, end)
  const opener = await readOpener({ ...opening, read })
  const range = { start: Math.floor(plain.byteLength / 3), end: plain.byteLength }
  expectSame(await allOf(openRange({ opener, sealedBytes, read, range })), plain.slice(range.start), 'opened in part')
}

/** Every way of opening refuses it, and lets nothing out before that but a true beginning of the honest plaintext. */
async function checkForged(suite: CryptoSuite, vector: ForgedVector): Promise<void> {
  const honest = patternBytes(3100)
  for (const [way, open] of Object.entries(waysToOpen(suite, vector))) {
    const { bytes, error } = await open()
    if (!isDamaged(error)) throw new Error(`${way}: not refused as damaged, but ${String(error)}`)
    expectSame(bytes, honest.slice(0, bytes.byteLength), `${way}: what left before the refusal`)
  }
}

function waysToOpen(suite: CryptoSuite, vector: ForgedVector): Record<string, () => Promise<Outcome>> {
  const opening = openingOf(suite, vector)
  const sealed = fromBase64(vector.sealed)
  const { sealedBytes, plainBytes } = vector
  const stream = (told: number | undefined): Promise<Outcome> =>
    outcomeOf(() => streamOf(sealed).pipeThrough(openStream({ ...opening, plainBytes, sealedBytes: told })))
  return {
    bytes: () => outcomeOf(() => once(openBytes({ ...opening, sealed, sealedBytes, plainBytes }))),
    'stream of known length': () => stream(sealedBytes ?? sealed.byteLength),
    ...(sealedBytes === undefined ? { 'stream of unknown length': () => stream(undefined) } : {}),
    ...(plainBytes === undefined ? { range: () => outcomeOf(() => wholeRange(opening, sealed, sealedBytes)) } : {}),
    ...(plainBytes === undefined && sealedBytes === undefined
      ? { 'range of unknown length': () => outcomeOf(() => wholeRange(opening, sealed, null)) }
      : {}),
  }
}

/** @param told the sealed length to go by; that of the bytes when `undefined`, none when `null` */
async function* wholeRange(opening: OpeningKey, sealed: Uint8Array, told?: number | null): AsyncGenerator<Uint8Array> {
  const read = (start: number, end: number): Uint8Array => sealed.subarray(start, end)
  const opener = await readOpener({ ...opening, read })
  const sealedBytes = told === null ? undefined : (told ?? sealed.byteLength)
  const end = sealedBytes === undefined ? 1e9 : plainLength(sealedBytes, opening.chunkBytes)
  // An empty range touches no chunk and so proves nothing: the length is what can be refused.
  if (end === 0 && sealedBytes !== undefined) await provePlainLength({ opener, sealedBytes, read })
  yield* openRange({ opener, sealedBytes, read, range: { start: 0, end } })
}

async function* once(bytes: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await bytes
}

function openingOf(suite: CryptoSuite, vector: SealedVector | ForgedVector): OpeningKey {
  const { chunkBytes, key, role, commit } = vector
  const commitment = commit === undefined ? undefined : fromHex(commit)
  return { suite, chunkBytes, key: fromHex(key), role: role as Role, commit: commitment }
}

function checkLayout(vector: (typeof layouts)[number]): void {
  const { plainBytes, sealedBytes, chunkBytes, chunks } = vector
  expectEqual(sealedLength(plainBytes, chunkBytes), sealedBytes, 'sealed length')
  expectEqual(plainLength(sealedBytes, chunkBytes), plainBytes, 'plain length')
  expectEqual(sealedChunkCount(sealedBytes, chunkBytes), chunks, 'chunks')
  for (const { start, end, ...expected } of vector.ranges) {
    const found = sealedRangeFor({ start, end }, sealedBytes, chunkBytes)
    expectEqual(found.start, expected.sealedStart, `start for ${start}-${end}`)
    expectEqual(found.end, expected.sealedEnd, `end for ${start}-${end}`)
    expectEqual(found.firstChunk, expected.firstChunk, `first chunk for ${start}-${end}`)
    expectEqual(found.lastChunk, expected.lastChunk, `last chunk for ${start}-${end}`)
  }
}

function expectEqual(found: string | number, expected: string | number, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`)
}

function expectSame(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (!sameBytes(found, expected)) throw new Error(`${what}: other bytes`)
}
