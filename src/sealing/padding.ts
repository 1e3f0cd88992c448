/** No padded plaintext is shorter than this many bytes. */
export const MIN_PADDED_BYTES = 541

/*
 * Every size floor(1.05^k) that exact arithmetic can name, in order. Logarithms of doubles land on the wrong side of
 * a bucket border for some lengths; whole numbers cannot.
 */
const BUCKETS: readonly number[] = buckets()

/**
 * The length that a plaintext of `plainBytes` is padded to: the smallest floor(1.05^k) that holds it, and 541 at
 * least. At most 5 % longer; there are 440 such sizes up to 1 TiB.
 * Never below `plainBytes`, never falling as `plainBytes` grows.
 * @param plainBytes a whole number from 0 to 2^53 - 1
 */
export function paddedLength(plainBytes: number): number {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) throw new RangeError('A length must be a whole number')
  let low = 0
  let high = BUCKETS.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((BUCKETS[middle] ?? Infinity) < plainBytes) low = middle + 1
    else high = middle
  }
  return BUCKETS[low] ?? Number.MAX_SAFE_INTEGER
}

function buckets(): number[] {
  const sizes: number[] = []
  let numerator = 1n
  let denominator = 1n
  for (;;) {
    const size = Number(numerator / denominator)
    if (size > Number.MAX_SAFE_INTEGER) return sizes
    if (size >= MIN_PADDED_BYTES) sizes.push(size)
    numerator *= 21n
    denominator *= 20n
  }
}
