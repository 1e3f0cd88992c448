import { cephEngine } from './ceph.ts'
import type { Engine } from './engine.ts'
import { valkeyEngine } from './valkey.ts'
import { postgresEngine } from './postgres.ts'

/** Every engine that `sharedEngine` can give. */
export const engines: readonly Engine<unknown>[] = [cephEngine, valkeyEngine, postgresEngine]
