import { watchCredentials } from '../../src/server/limits/credential-watch.ts'
import { createMemorySlotLimiter } from '../../src/server/limits/memory/slot-limiter.ts'
import { slotLimiterContract } from './slot-limiter-contract.ts'

slotLimiterContract(async sessions => {
  const slots = createMemorySlotLimiter()
  return {
    limiters: [sessions ? watchCredentials(slots, sessions) : slots],
    [Symbol.asyncDispose]: async () => slots[Symbol.dispose](),
  }
})
