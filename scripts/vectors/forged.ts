import { commitOf, counting, cut, headerOf, patternBytes, seal, sealChunk, sealChunks } from './reference.ts'
import type { Media } from './reference.ts'
import { fixedMedia } from './sealed.ts'
import { openingUnderBoth } from './two-keys.ts'

/** A forgery, and what the manifest says of it; fields left out are those of the honest media. */
interface Forgery {
  readonly name: string
  readonly sealed: Buffer
  readonly key?: Buffer
  readonly role?: string
  readonly chunkBytes?: number
  readonly commit?: Buffer
  /** The sealed length in the manifest, if that is the forgery. */
  readonly sealedBytes?: number
  /** The plaintext length in the manifest, if the forgery is in the padding. */
  readonly plainBytes?: number
}

const CHUNK_BYTES = 1024
const media = fixedMedia(CHUNK_BYTES)
/** Three full chunks and a short one. */
const plain = patternBytes(3100)
const header = headerOf(media)
const chunks = sealChunks(media, plain)
const honest = Buffer.concat([header, ...chunks])
const otherKey = counting(32, 0x80)

export function forgedVectors(): object[] {
  const all = [flipped(), cutShort(), grown(), reordered(), spliced(), misplacedEnds(), wrongSecrets(), wrongFacts()]
  return all.flat().map(asVector)
}

function asVector(forgery: Forgery): object {
  return {
    name: forgery.name,
    role: forgery.role ?? media.role,
    chunkBytes: forgery.chunkBytes ?? CHUNK_BYTES,
    key: (forgery.key ?? media.key).toString('hex'),
    commit: (forgery.commit ?? commitOf(media)).toString('hex'),
    ...(forgery.sealedBytes === undefined ? {} : { sealedBytes: forgery.sealedBytes }),
    ...(forgery.plainBytes === undefined ? {} : { plainBytes: forgery.plainBytes }),
    sealed: forgery.sealed.toString('base64'),
    refusedAs: 'damaged',
  }
}

function flipped(): Forgery[] {
  const places: (readonly [string, number])[] = [
    ['the header length', 0],
    ['the first byte of the salt', 1],
    ['the last byte of the salt', 32],
    ['the first byte of the nonce prefix', 33],
    ['the last byte of the nonce prefix', 39],
  ]
  for (const [index, chunk] of chunks.entries()) {
    const start = index === 0 ? header.length : index * CHUNK_BYTES
    places.push([`the first byte of chunk ${index}`, start])
    places.push([`the last ciphertext byte of chunk ${index}`, start + chunk.length - 17])
    places.push([`the first tag byte of chunk ${index}`, start + chunk.length - 16])
    places.push([`the last tag byte of chunk ${index}`, start + chunk.length - 1])
  }
  const bits = [0x01, 0x80]
  return places.flatMap(([place, at]) =>
    bits.map(bit => ({ name: `bit ${bit === 1 ? 0 : 7} flipped in ${place}`, sealed: xorAt(honest, at, bit) })),
  )
}

function cutShort(): Forgery[] {
  const lengths: (readonly [string, number])[] = [
    ['nothing at all', 0],
    ['half a header', 20],
    ['a header short of one byte', 39],
    ['the header alone', 40],
    ['the header and half a tag', 48],
    ['the header and a tag', 56],
    ['the first chunk', 1024],
    ['the first chunk and one byte', 1025],
    ['the first chunk and the length of a tag', 1040],
    ['two chunks', 2048],
    ['all chunks but the last', 3072],
    ['all but half of the last chunk', 3150],
    ['all but one byte', honest.length - 1],
  ]
  return [
    ...lengths.map(([what, length]) => ({ name: `truncated to ${what}`, sealed: honest.subarray(0, length) })),
    { name: 'the first byte missing', sealed: honest.subarray(1) },
    {
      name: 'one byte missing in the middle',
      sealed: Buffer.concat([honest.subarray(0, 1500), honest.subarray(1501)]),
    },
  ]
}

function grown(): Forgery[] {
  const last = chunks.at(-1) ?? Buffer.alloc(0)
  return [
    { name: 'a zero byte appended', sealed: Buffer.concat([honest, Buffer.alloc(1)]) },
    { name: 'the length of a tag appended', sealed: Buffer.concat([honest, Buffer.alloc(16)]) },
    { name: 'zeros to a full chunk appended', sealed: Buffer.concat([honest, Buffer.alloc(4096 - honest.length)]) },
    { name: 'a chunk of zeros appended', sealed: Buffer.concat([honest, Buffer.alloc(1024)]) },
    {
      name: 'one byte inserted',
      sealed: Buffer.concat([honest.subarray(0, 1500), Buffer.of(0), honest.subarray(1500)]),
    },
    { name: 'the whole media twice', sealed: Buffer.concat([honest, honest]) },
    { name: 'the last chunk twice', sealed: Buffer.concat([honest, last]) },
  ]
}

function reordered(): Forgery[] {
  const from = (order: readonly number[]): Buffer =>
    Buffer.concat([header, ...order.map(index => chunkAt(chunks, index))])
  const orders: (readonly [string, readonly number[]])[] = [
    ['chunk 0 dropped', [1, 2, 3]],
    ['chunk 1 dropped', [0, 2, 3]],
    ['chunk 2 dropped', [0, 1, 3]],
    ['chunk 1 doubled', [0, 1, 1, 2, 3]],
    ['chunk 2 doubled', [0, 1, 2, 2, 3]],
    ['chunks 1 and 2 swapped', [0, 2, 1, 3]],
    ['chunks 0 and 1 swapped', [1, 0, 2, 3]],
    ['chunks 2 and 3 swapped', [0, 1, 3, 2]],
    ['chunk 1 in place of chunk 2', [0, 1, 1, 3]],
    ['all chunks backwards', [3, 2, 1, 0]],
  ]
  return orders.map(([name, order]) => ({ name, sealed: from(order) }))
}

function spliced(): Forgery[] {
  const others: (readonly [string, Media])[] = [
    ['under another key', { ...media, key: otherKey }],
    ['under another salt', { ...media, salt: counting(32, 0x41) }],
    ['under another nonce prefix', { ...media, noncePrefix: counting(7, 0xa1) }],
    ['under another role', { ...media, role: 'thumbnail' }],
  ]
  return others.flatMap(([how, other]) =>
    [0, 1, 3].map(index => {
      const mixed = chunks.with(index, chunkAt(sealChunks(other, plain), index))
      return { name: `chunk ${index} sealed ${how}`, sealed: Buffer.concat([header, ...mixed]) }
    }),
  )
}

/** What no honest sender makes: each chunk is authentic, the whole is not. */
function misplacedEnds(): Forgery[] {
  const pieces = cut(plain, CHUNK_BYTES)
  const sealAs = (index: number, last: boolean, nonceIndex = index): Buffer =>
    sealChunk(media, nonceIndex, last, chunkAt(pieces, index))
  const join = (...parts: Buffer[]): Buffer => Buffer.concat([header, ...parts])
  const fullOnly = patternBytes(1976)
  const fullChunks = cut(fullOnly, CHUNK_BYTES).map((piece, index) => sealChunk(media, index, false, piece))
  return [
    { name: 'no chunk marked as the last', sealed: join(...chunks.slice(0, 3), sealAs(3, false)) },
    { name: 'no chunk marked as the last, all of them full', sealed: join(...fullChunks) },
    {
      name: 'a chunk in the middle marked as the last',
      sealed: join(chunkAt(chunks, 0), sealAs(1, true), ...chunks.slice(2)),
    },
    { name: 'every chunk marked as the last', sealed: join(...pieces.map((_, index) => sealAs(index, true))) },
    { name: 'the first chunk marked as the last, others behind it', sealed: join(sealAs(0, true), ...chunks.slice(1)) },
    {
      name: 'an empty last chunk behind full ones',
      sealed: join(...fullChunks, sealChunk(media, 2, true, Buffer.alloc(0))),
    },
    {
      name: 'a short chunk in the middle',
      sealed: join(chunkAt(chunks, 0), sealChunk(media, 1, false, patternBytes(500)), sealAs(2, true)),
    },
    { name: 'an index left out', sealed: join(...chunks.slice(0, 2), sealAs(2, false, 3), sealAs(3, true, 4)) },
    { name: 'indexes from 1 on', sealed: join(...pieces.map((_, index) => sealAs(index, index === 3, index + 1))) },
  ]
}

function wrongSecrets(): Forgery[] {
  const other = { ...media, key: otherKey }
  const both = openingUnderBoth({ ...media }, other, 36)
  return [
    { name: 'another key', sealed: honest, key: otherKey },
    { name: 'another key with its own commitment', sealed: honest, key: otherKey, commit: commitOf(other) },
    { name: 'a commitment to another key', sealed: honest, commit: commitOf(other) },
    { name: 'a commitment with one bit flipped', sealed: honest, commit: xorAt(commitOf(media), 31, 1) },
    { name: 'a commitment short of one byte', sealed: honest, commit: commitOf(media).subarray(0, 31) },
    { name: 'an empty commitment', sealed: honest, commit: Buffer.alloc(0) },
    {
      name: 'sealed with another salt than the committed one',
      sealed: seal({ ...media, salt: counting(32, 0x41) }, plain),
    },
    {
      name: 'a ciphertext that opens under two keys, with the second key and the first commitment',
      sealed: both,
      key: otherKey,
    },
    {
      name: 'a ciphertext that opens under two keys, with the first key and the second commitment',
      sealed: both,
      commit: commitOf(other),
    },
  ]
}

function wrongFacts(): Forgery[] {
  return [
    { name: 'opened as a manifest', sealed: honest, role: 'manifest' },
    { name: 'opened as a thumbnail', sealed: honest, role: 'thumbnail' },
    { name: 'opened with chunks one byte longer', sealed: honest, chunkBytes: 1025 },
    { name: 'opened with larger chunks', sealed: honest, chunkBytes: 4096 },
    {
      name: 'a header as AES-128 would have it',
      sealed: Buffer.concat([Buffer.of(0x18), honest.subarray(1, 24), honest.subarray(40)]),
    },
    { name: 'the manifest tells one byte more', sealed: honest, sealedBytes: honest.length + 1 },
    { name: 'the manifest tells one byte less', sealed: honest, sealedBytes: honest.length - 1 },
    { name: 'the manifest tells one chunk less', sealed: honest, sealedBytes: 3072 },
    { name: 'the manifest tells one chunk more', sealed: honest, sealedBytes: 4096 + 100 },
    { name: 'the manifest tells an impossible length', sealed: honest, sealedBytes: 55 },
    { name: 'the plaintext is shorter than told', sealed: honest, plainBytes: plain.length + 1 },
    { name: 'the padding is not zeros', sealed: honest, plainBytes: plain.length - 1 },
    { name: 'the padding is not zeros in an earlier chunk', sealed: honest, plainBytes: 1000 },
  ]
}

function chunkAt(list: readonly Buffer[], index: number): Buffer {
  const chunk = list[index]
  if (chunk === undefined) throw new RangeError(`There is no chunk ${index}`)
  return chunk
}

function xorAt(bytes: Buffer, at: number, bits: number): Buffer {
  const changed = Buffer.from(bytes)
  changed.writeUInt8(bytes.readUInt8(at) ^ bits, at)
  return changed
}
