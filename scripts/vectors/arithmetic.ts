/** Lengths, ranges and padding by counting and by whole-number powers: slow ways that are plainly right. */

export function paddingVectors(): object[] {
  const borders = [130, 131, 140, 200, 250, 300, 365, 400, 461, 500, 600, 700, 740, 751].map(bucket)
  const around = borders.flatMap(border => [border - 1n, border, border + 1n])
  const round = [0, 1, 100, 540, 541, 542, 1000, 65_536, 1_000_000, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 50].map(BigInt)
  const lengths = [...round, ...around].sort((a, b) => Number(a - b))
  return lengths.map(length => ({ plainBytes: Number(length), paddedBytes: Number(padded(length)) }))
}

function padded(length: bigint): bigint {
  let power = 129
  while (bucket(power) < length) power += 1
  return bucket(power)
}

/** floor(1.05^power) */
function bucket(power: number): bigint {
  return 21n ** BigInt(power) / 20n ** BigInt(power)
}

export function layoutVectors(): object[] {
  const sizes: (readonly [number, readonly number[]])[] = [
    [1024, [0, 1, 967, 968, 969, 1975, 1976, 1977, 2984, 10_000]],
    [1500, [1444, 1445, 2928, 2929]],
    [262_144, [0, 262_088, 262_089, 524_216, 524_217, 1_073_741_824]],
    [4_194_304, [0, 4_194_248, 4_194_249, 2 ** 40]],
  ]
  return sizes.flatMap(([chunkBytes, lengths]) => lengths.map(plainBytes => layoutVector(plainBytes, chunkBytes)))
}

function layoutVector(plainBytes: number, chunkBytes: number): object {
  const [first, other] = [chunkBytes - 56, chunkBytes - 16]
  const beyondFirst = BigInt(Math.max(0, plainBytes - first))
  const chunks = 1 + Number((beyondFirst + BigInt(other) - 1n) / BigInt(other))
  const sealedBytes = plainBytes + 40 + 16 * chunks
  const positions = [0, 1, first - 1, first, first + 1, first + other - 1, first + other, plainBytes - 1, plainBytes]
  const usable = [...new Set(positions)].filter(position => position >= 0 && position <= plainBytes)
  const ranges = usable.flatMap(start => usable.filter(end => end > start).map(end => ({ start, end })))
  const chunkOf = (position: number): number =>
    position < first ? 0 : 1 + Number(BigInt(position - first) / BigInt(other))
  return {
    chunkBytes,
    plainBytes,
    sealedBytes,
    chunks,
    ranges: ranges.map(({ start, end }) => {
      const [firstChunk, lastChunk] = [chunkOf(start), chunkOf(end - 1)]
      const sealedStart = firstChunk === 0 ? 40 : firstChunk * chunkBytes
      const sealedEnd = Math.min(sealedBytes, (lastChunk + 1) * chunkBytes)
      return { start, end, firstChunk, lastChunk, sealedStart, sealedEnd }
    }),
  }
}
