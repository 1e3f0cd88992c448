import { cephEngine } from './ceph.ts'
import type { Engine } from './engine.ts'

/** Every engine that `sharedEngine` can give. */
export const engines: readonly Engine<unknown>[] = [cephEngine]
