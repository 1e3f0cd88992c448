/** The few boxes of a fragmented MP4 that tell where its samples lie: ISO/IEC 14496-12, section 8.8. */

export interface Box {
  readonly type: string
  /** What is in it. */
  readonly body: DataView
}

/** The boxes in a body; stops at one that is cut or nonsense. */
export function* boxesIn(body: DataView): Generator<Box, void> {
  for (let at = 0; at + 8 <= body.byteLength;) {
    const { type, headerBytes, bytes } = boxHeader(body, at)
    const length = bytes ?? body.byteLength - at
    if (length < headerBytes || at + length > body.byteLength) return
    yield { type, body: new DataView(body.buffer, body.byteOffset + at + headerBytes, length - headerBytes) }
    at += length
  }
}

export interface BoxHeader {
  readonly type: string
  readonly headerBytes: number
  /** `null`: up to the end of the file. */
  readonly bytes: number | null
}

/** @param view with 16 bytes behind `at` when the box is longer than 4 GiB */
export function boxHeader(view: DataView, at: number): BoxHeader {
  const type = String.fromCharCode(...[4, 5, 6, 7].map(place => view.getUint8(at + place)))
  const bytes = view.getUint32(at)
  if (bytes === 0) return { type, headerBytes: 8, bytes: null }
  if (bytes !== 1) return { type, headerBytes: 8, bytes }
  const long = view.byteLength >= at + 16 ? Number(view.getBigUint64(at + 8)) : 16
  return { type, headerBytes: 16, bytes: long }
}

/** Where a sample lies in the file. */
export interface Sample {
  readonly offset: number
  readonly length: number
}

/** Default sample sizes by track, from the `trex` boxes of a `moov`. */
export function defaultSizes(moov: DataView): Map<number, number> {
  const sizes = new Map<number, number>()
  for (const { type, body } of boxesIn(moov)) {
    if (type !== 'mvex') continue
    for (const inner of boxesIn(body)) {
      if (inner.type === 'trex' && inner.body.byteLength >= 20)
        sizes.set(inner.body.getUint32(4), inner.body.getUint32(16))
    }
  }
  return sizes
}

/**
 * The samples of a fragment.
 * @param moofAt where its `moof` box begins in the file
 * @param defaults as `defaultSizes` gives
 */
export function* samplesOf(
  moof: DataView,
  moofAt: number,
  defaults: ReadonlyMap<number, number>,
): Generator<Sample, void> {
  let end = moofAt
  for (const { type, body } of boxesIn(moof)) {
    if (type !== 'traf') continue
    let header: FragmentHeader | null = null
    for (const box of boxesIn(body)) {
      if (box.type === 'tfhd') {
        header = fragmentHeader(box.body, defaults)
        end = header.base ?? (header.fromMoof ? moofAt : end)
      }
      if (box.type === 'trun' && header) {
        for (const sample of samplesOfRun(box.body, { ...header, base: header.base ?? moofAt, end })) {
          yield sample
          end = sample.offset + sample.length
        }
      }
    }
  }
}

interface FragmentHeader {
  readonly base: number | null
  readonly fromMoof: boolean
  readonly sampleBytes: number
}

function fragmentHeader(body: DataView, defaults: ReadonlyMap<number, number>): FragmentHeader {
  const flags = body.getUint32(0) & 0xff_ff_ff
  let at = 8
  const base = flags & 1 ? Number(body.getBigUint64(at)) : null
  if (flags & 1) at += 8
  if (flags & 2) at += 4
  if (flags & 8) at += 4
  const sampleBytes = flags & 16 ? body.getUint32(at) : (defaults.get(body.getUint32(4)) ?? 0)
  return { base, fromMoof: (flags & 0x2_00_00) !== 0, sampleBytes }
}

interface RunOfSamples {
  readonly base: number
  readonly sampleBytes: number
  /** Where the samples before it end. */
  readonly end: number
}

function* samplesOfRun(body: DataView, { base, sampleBytes, end }: RunOfSamples): Generator<Sample, void> {
  const flags = body.getUint32(0) & 0xff_ff_ff
  const count = body.getUint32(4)
  let at = 8
  let offset = flags & 1 ? base + body.getInt32(at) : end
  if (flags & 1) at += 4
  if (flags & 4) at += 4
  const fieldBytes = [0x1_00, 0x2_00, 0x4_00, 0x8_00].reduce((sum, flag) => sum + (flags & flag ? 4 : 0), 0)
  const sizeAt = flags & 0x1_00 ? 4 : 0
  const ownSizes = (flags & 0x2_00) !== 0
  for (let sample = 0; sample < count; sample += 1) {
    const length = ownSizes ? body.getUint32(at + sizeAt) : sampleBytes
    yield { offset, length }
    offset += length
    at += fieldBytes
  }
}
