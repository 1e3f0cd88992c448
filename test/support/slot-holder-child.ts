/**
 * A node of its own process, to be paused or killed: holds slots of one client and prints when they are taken away.
 * Arguments: URL, prefix, lease in ms, cap, slots to hold. Lines: `held N`, then `lost` for each that is taken away.
 */
import { joinCluster } from '../../src/server/cluster/cluster-node.ts'
import { openValkeySlotLimiter } from '../../src/server/limits/valkey/slot-limiter.ts'

const [url = '', prefix = '', leaseTtlMs = '', cap = '', count = ''] = process.argv.slice(2)
const node = await joinCluster({ url, prefix, leaseTtlMs: Number(leaseTtlMs), commandTimeoutMs: 300 })
const slots = await openValkeySlotLimiter({ node, name: 'slots' })
const request = {
  clientId: 'subject:a',
  direction: 'download',
  cap: Number(cap),
  queue: 0,
  queueWaitMs: 0,
} as const
for (let index = 0; index < Number(count); index += 1) {
  const slot = await slots.acquire(request, new AbortController().signal)
  slot.signal.addEventListener('abort', () => {
    console.log('lost')
    slot[Symbol.dispose]()
  })
}
console.log(`held ${count}`)
setInterval(() => undefined, 1000)
