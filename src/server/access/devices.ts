/** The cap on the devices of one account, without a transaction per request. */
import { BoundedMap } from '../../common/bounded-map.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ClientRecords } from '../records/record-store.ts'
import type { Client, Tier } from './caller.ts'

/** A recorded device is not recorded again within this time. */
const SEEN_MS = 5 * 60_000
/** A refused device is refused again without a query within this time. */
const REFUSED_MS = 5000
const MAX_REMEMBERED = 20_000

interface Known {
  readonly outcome: Promise<void>
  until: number
}

export interface DeviceGateOptions {
  readonly live: LiveConfig
  readonly records: Pick<ClientRecords, 'noteDevice'>
  readonly clock: Clock
}

export class DeviceGate {
  readonly #options: DeviceGateOptions
  readonly #known = new BoundedMap<string, Known>(MAX_REMEMBERED)

  constructor(options: DeviceGateOptions) {
    this.#options = options
  }

  /** Admits a client's device and records it. @throws too_many_devices, unavailable */
  admit(client: Client, tier: Pick<Tier, 'devices'>): Promise<void> | undefined {
    const { clientId, device } = client
    if (device === null || client.anonymous) return undefined
    const key = `${device} ${clientId}`
    const known = this.#known.get(key)
    if (known && this.#options.clock() < known.until) return known.outcome
    return this.#record(key, { clientId, device, cap: tier.devices })
  }

  #record(key: string, seen: { clientId: string; device: string; cap: number }): Promise<void> {
    const { live, records, clock } = this.#options
    const now = clock()
    const { forgetDevicesAfterMs } = live.current.access
    const cap = seen.cap === 0 ? Number.MAX_SAFE_INTEGER : seen.cap
    const outcome = records.noteDevice({
      clientId: seen.clientId,
      deviceId: seen.device,
      cap,
      now,
      forgetBefore: now - forgetDevicesAfterMs,
    })
    const known: Known = { outcome, until: now + Math.min(SEEN_MS, forgetDevicesAfterMs / 2) }
    this.#known.set(key, known)
    outcome.catch((error: unknown) => {
      if (isSealiftError(error, 'too_many_devices')) known.until = clock() + REFUSED_MS
      else this.#known.delete(key)
    })
    return outcome
  }
}
