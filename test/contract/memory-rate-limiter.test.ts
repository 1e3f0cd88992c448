import { MemoryRateLimiter } from '../../src/server/limits/memory/rate-limiter.ts'
import { rateLimiterContract } from './rate-limiter-contract.ts'

rateLimiterContract(async () => ({
  limiters: [new MemoryRateLimiter()],
  [Symbol.asyncDispose]: () => Promise.resolve(),
}))
