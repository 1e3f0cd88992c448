import { describe, expect, test } from 'vitest'
import { openBytes, webSuite } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { fromBase64, fromHex } from '../../support/sealing.ts'
import { vectorChecks } from '../../support/sealing-vectors.ts'
import forged from '../../vectors/forged.json' with { type: 'json' }

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('%s: every vector', (_, suite) => {
  test.each(vectorChecks())('$name', async ({ run }) => {
    await expect(run(suite)).resolves.toBeUndefined()
  })
})

test('threat 15: without its commitment, the two-key ciphertext opens under both keys, to different plaintexts', async () => {
  const salamanders = forged.filter(vector => vector.name.includes('opens under two keys'))
  const opened = await Promise.all(
    salamanders.map(({ key, sealed, chunkBytes }) =>
      openBytes({ suite: webSuite, key: fromHex(key), role: 'media', chunkBytes, sealed: fromBase64(sealed) }),
    ),
  )
  expect(opened).toHaveLength(2)
  expect(opened[0]).toHaveLength(576)
  expect(opened[0]).not.toEqual(opened[1])
})
