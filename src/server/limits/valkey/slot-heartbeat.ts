/** Keeps Valkey's view of this node true: renews what the node holds and waits for, and reports what it released. */
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { SlotHold } from './slot-request.ts'
import type { SlotScriptClient } from './slot-script-client.ts'
import { REPLY } from './slot-script.ts'

export interface SlotHeartbeatOptions {
  readonly script: Pick<SlotScriptClient, 'run'>
  readonly outbox: ReleaseOutbox
  /** All holds of this node, in any state. */
  readonly holds: () => Iterable<SlotHold>
  /** The hold expired, and its slot is granted to another request. */
  readonly onExpired: (hold: SlotHold) => void
}

export class SlotHeartbeat {
  readonly #options: SlotHeartbeatOptions

  constructor(options: SlotHeartbeatOptions) {
    this.#options = options
  }

  /** Reports all held slots, then marks the report complete. */
  report(): void {
    const { script, outbox, holds } = this.#options
    outbox.retry()
    for (const hold of holds()) {
      if (hold.state === 'held') {
        hold.isKnown = true
        void this.#renew(hold)
      } else if (hold.state === 'waiting' && hold.isKnown) void this.#requeue(hold)
    }
    script.run({ kind: 'reported' }).catch(() => undefined)
  }

  async #renew(hold: SlotHold): Promise<void> {
    const { id, client, request } = hold
    const command = { kind: 'renew', key: client.key, hold: id, cap: request.cap } as const
    const reply = await this.#options.script.run(command).catch(() => null)
    if (reply?.code === REPLY.expired) this.#options.onExpired(hold)
  }

  async #requeue(hold: SlotHold): Promise<void> {
    const { id, client, request, arrival } = hold
    const { cap, queue } = request
    const command = { kind: 'requeue', key: client.key, hold: id, cap, queue, arrival } as const
    const reply = await this.#options.script.run(command).catch(() => null)
    if (reply?.code === REPLY.granted) hold.grant()
  }
}

/** Beyond this, releases are dropped: their holds expire. */
const OUTBOX_CAPACITY = 10_000

/** Reports released holds to Valkey; while it is away, retains them for the next heartbeat. */
export class ReleaseOutbox {
  readonly #node: Pick<ClusterNode, 'phase'>
  readonly #script: Pick<SlotScriptClient, 'run'>
  #retained: { readonly key: string; readonly hold: string }[] = []

  constructor(node: Pick<ClusterNode, 'phase'>, script: Pick<SlotScriptClient, 'run'>) {
    this.#node = node
    this.#script = script
  }

  release(key: string, hold: string): void {
    const retain = () => {
      if (this.#retained.length < OUTBOX_CAPACITY) this.#retained.push({ key, hold })
    }
    if (this.#node.phase !== 'joined') return retain()
    this.#script.run({ kind: 'release', key, hold }).catch(retain)
  }

  /** Retries once; a hold whose release fails again expires. */
  retry(): void {
    for (const { key, hold } of this.#retained.splice(0)) {
      this.#script.run({ kind: 'release', key, hold }).catch(() => undefined)
    }
  }
}
