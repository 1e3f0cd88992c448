/** What an address may cost by wrong tokens: so many refusals, and beyond them few signatures that are verified. */
import { BoundedMap } from '../../common/bounded-map.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { type RateLimiter, type Take, whenKnown } from './limiter.ts'

/** Wrong tokens an address may send: enough for a crowd behind one router, too few to guess. */
const WRONG_TOKENS = { perSecond: 5, burst: 200 }
/** Verifications beyond: an honest new token behind the same router still gets in, if it tries again. */
const VERIFICATIONS = { perSecond: 5, burst: 5 }
/** How long an address that sent too many is held to few verifications. */
const SUSPECT_MS = 10_000
const MAX_SUSPECTS = 10_000

export interface WrongTokensOptions {
  readonly rates: RateLimiter
  /** Monotonic ms. */
  readonly now?: () => number
}

export class WrongTokens {
  readonly #rates: RateLimiter
  readonly #now: () => number
  /** Until when, by IP address. */
  readonly #suspects = new BoundedMap<string, number>(MAX_SUSPECTS)

  constructor({ rates, now = () => performance.now() }: WrongTokensOptions) {
    this.#rates = rates
    this.#now = now
  }

  /** Counts a wrong token of an address. @throws rate_limited when there were too many */
  async count(address: string): Promise<void> {
    const taken = await this.#rates.take(`wrong-tokens:${address}`, 1, WRONG_TOKENS)
    if (taken.ok) return
    this.#suspects.set(address, this.#now() + SUSPECT_MS)
    throw tooMany(taken.retryAfterMs)
  }

  /** Asked before the signature of an unknown token is verified. @throws rate_limited */
  admitUnknown(address: string): void | Promise<void> {
    if ((this.#suspects.get(address) ?? -Infinity) <= this.#now()) return
    return whenKnown(this.#rates.take(`verified-tokens:${address}`, 1, VERIFICATIONS), assertTaken)
  }
}

function assertTaken(taken: Take): void {
  if (!taken.ok) throw tooMany(taken.retryAfterMs)
}

function tooMany(retryAfterMs: number): SealiftError {
  return new SealiftError('rate_limited', 'Too many requests without a valid token', {
    context: {
      limit: 'wrongTokens',
      value: WRONG_TOKENS.perSecond,
      remaining: 0,
      retryAfterSeconds: retryAfterMs / 1000,
    },
  })
}
