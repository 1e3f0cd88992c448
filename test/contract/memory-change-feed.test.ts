import { createMemoryChangeFeed } from '../../src/server/change-feed/memory.ts'
import { changeFeedContract } from './change-feed-contract.ts'

changeFeedContract(async () => ({
  feeds: [createMemoryChangeFeed()],
  [Symbol.asyncDispose]: () => Promise.resolve(),
}))
