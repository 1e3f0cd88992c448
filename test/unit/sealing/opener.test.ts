import { describe, expect, test } from 'vitest'
import {
  createOpener,
  createSealer,
  isSealingError,
  openBytes,
  openStream,
  webSuite,
} from '../../../src/sealing/index.ts'
import type { CryptoSuite, OpenerOptions } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { outcomeOf, patternBytes, streamOf } from '../../support/sealing.ts'

const KEY = new Uint8Array(32).fill(9)

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('an opener, %s', (_, suite) => {
  test('threat 15, threat 17, threat 18: another commitment is refused before a cipher is even made', async () => {
    let ciphers = 0
    const counting: CryptoSuite = {
      ...suite,
      aesGcm(key) {
        ciphers += 1
        return suite.aesGcm(key)
      },
    }
    const options = await optionsFor(counting)
    const commit = options.commit.slice()
    commit[0] = (commit[0] ?? 0) ^ 1
    ciphers = 0
    await expect(createOpener({ ...options, commit })).rejects.toMatchObject({ code: 'damaged' })
    expect(ciphers).toBe(0)
    await createOpener(options)
    expect(ciphers).toBe(1)
  })

  test('threat 8: no other version or suite is spoken: the first byte of a header has one value', async () => {
    const options = await optionsFor(suite)
    for (let first = 0; first < 256; first++) {
      if (first === 40) continue
      const header = options.header.slice()
      header[0] = first
      await expect(createOpener({ ...options, header })).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('opens a chunk one way only: at its own index, as last or not', async () => {
    const options = await optionsFor(suite)
    const opener = await createOpener(options)
    const open = async (index: number, last: boolean): Promise<Uint8Array> =>
      opener.openChunk(index, options.middle, last)
    await expect(open(1, false)).resolves.toEqual(patternBytes(1008))
    await expect(open(1, true)).rejects.toMatchObject({ code: 'damaged' })
    await expect(open(2, false)).rejects.toMatchObject({ code: 'damaged' })
    await expect(open(0, false)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('threat 2: every refusal looks the same', async () => {
    const options = await optionsFor(suite)
    const wrong = options.middle.slice().fill(0, 0, 1)
    const attempts: (() => Promise<unknown>)[] = [
      () => createOpener({ ...options, header: options.header.subarray(1) }),
      () => createOpener({ ...options, commit: new Uint8Array(32) }),
      () => createOpener({ ...options, commit: new Uint8Array(0) }),
      async () => (await createOpener(options)).openChunk(1, wrong, false),
      async () => (await createOpener(options)).openChunk(1, options.middle.subarray(1), false),
      async () => (await createOpener(options)).openChunk(1, new Uint8Array(3), true),
      () => openBytes({ ...options, sealed: new Uint8Array(10) }),
      async () => {
        const { error } = await outcomeOf(() => streamOf(options.header).pipeThrough(openStream(options)))
        throw error
      },
    ]
    const errors = await Promise.all(attempts.map(attempt => attempt().catch((error: unknown) => error)))
    expect(errors.every(error => isSealingError(error, 'damaged'))).toBe(true)
    expect(
      new Set(
        errors.map(error => JSON.stringify([String(error), Object.keys(Object(error)), 'cause' in Object(error)])),
      ).size,
    ).toBe(1)
  })

  test("what is the caller's mistake is called one", async () => {
    const options = await optionsFor(suite)
    const mistakes = [{ key: new Uint8Array(16) }, { chunkBytes: 10 }, { role: 'video' as 'media' }]
    for (const mistake of mistakes) {
      await expect(createOpener({ ...options, ...mistake })).rejects.toMatchObject({ code: 'invalid_argument' })
    }
    expect(() => openStream({ ...options, chunkBytes: 2 ** 31 })).toThrow(/1024 to 4194304/)
  })
})

async function optionsFor(suite: CryptoSuite): Promise<OpenerOptions & { commit: Uint8Array; middle: Uint8Array }> {
  const opening = { suite, key: KEY, role: 'media', chunkBytes: 1024 } as const
  const sealer = await createSealer(opening)
  const middle = await sealer.sealChunk(1, patternBytes(1008), false)
  return { ...opening, header: sealer.header, commit: sealer.commit, middle }
}
