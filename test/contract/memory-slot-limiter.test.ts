import { createMemorySlotLimiter } from '../../src/server/limits/memory/slot-limiter.ts'
import { slotLimiterContract } from './slot-limiter-contract.ts'

slotLimiterContract(async sessions => {
  const slots = createMemorySlotLimiter(sessions ? { sessions } : {})
  return { limiters: [slots], [Symbol.asyncDispose]: async () => slots[Symbol.dispose]() }
})
