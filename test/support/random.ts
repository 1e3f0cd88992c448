/** Repeatable randomness: a failing run is run again with the seed it printed. */
import { createCipheriv, createHash } from 'node:crypto'

export interface Random {
  /** A whole number from 0 to `below` - 1. */
  int(below: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  shuffle<T>(list: readonly T[]): T[]
}

/** mulberry32: small, fast, and good enough to choose test steps. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number): number => Math.floor(next() * below)
  return {
    int,
    chance: probability => next() < probability,
    pick: list => {
      const chosen = list[int(list.length)]
      if (chosen === undefined) throw new Error('cannot pick from an empty list')
      return chosen
    },
    shuffle: list => {
      const copy = [...list]
      for (let index = copy.length - 1; index > 0; index -= 1) {
        const other = int(index + 1)
        const held = copy[index] as (typeof copy)[number]
        copy[index] = copy[other] as (typeof copy)[number]
        copy[other] = held
      }
      return copy
    },
  }
}

/** Bytes that look random and are the same for the same name. */
export function bytesFor(name: string, sizeBytes: number): Buffer<ArrayBuffer> {
  const key = createHash('sha256').update(name).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return cipher.update(Buffer.alloc(sizeBytes))
}

/** The seed of this run: `SEALIFT_SEED` to repeat one, else a new one. */
export function runSeed(): number {
  const given = process.env['SEALIFT_SEED']
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
}
