import { createMemoryChangeFeed } from '../../src/server/records/memory-change-feed.ts'
import { changeFeedContract } from './change-feed-contract.ts'

changeFeedContract(async () => ({
  feeds: [createMemoryChangeFeed()],
  [Symbol.asyncDispose]: () => Promise.resolve(),
}))
