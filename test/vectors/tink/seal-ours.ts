// `node test/vectors/tink/seal-ours.ts FOLDER`: media sealed by the product's own code under fresh keys, for Tink to
// open.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSealer, sealStream, webSuite } from '../../../src/sealing/index.ts'
import type { CryptoSuite } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'

const CASES: readonly (readonly [number, readonly number[]])[] = [
  [1024, [0, 1, 967, 968, 969, 1976, 1977]],
  [1500, [1444, 1445, 2928, 2929]],
  [4096, [0, 541, 4040, 4041, 8120, 8121]],
  [262_144, [0, 1, 262_088, 262_089, 524_216, 1_000_000]],
  [1_048_576, [1_048_520, 1_048_521, 2_097_080, 2_097_081]],
  [4_194_304, [10_000_000]],
]

async function sealOne(
  suite: CryptoSuite,
  chunkBytes: number,
  plain: Buffer<ArrayBuffer>,
  file: string,
): Promise<object> {
  const key = suite.randomBytes(32)
  const sealer = await createSealer({ suite, key, role: 'media', chunkBytes })
  const sealed = new Blob([plain]).stream().pipeThrough(sealStream(sealer))
  writeFileSync(file, new Uint8Array(await new Response(sealed).arrayBuffer()))
  const plainSha256 = createHash('sha256').update(plain).digest('hex')
  return { role: 'media', chunkBytes, key: Buffer.from(key).toString('hex'), plainSha256 }
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Name the folder to write into')
mkdirSync(folder, { recursive: true })
const index: object[] = []
for (const [suiteName, suite] of [
  ['web', webSuite],
  ['node', nodeSuite],
] as const) {
  for (const [chunkBytes, lengths] of CASES) {
    for (const length of lengths) {
      const file = `${suiteName}-${chunkBytes}-${length}.bin`
      const plain = Buffer.from(suite.randomBytes(Math.min(length, 60_000)))
      const whole = Buffer.alloc(length, plain.length > 0 ? plain : 0)
      index.push({ file, ...(await sealOne(suite, chunkBytes, whole, join(folder, file))) })
    }
  }
}
writeFileSync(join(folder, 'index.json'), JSON.stringify(index, null, 1))
console.log(`${index.length} media sealed`)
