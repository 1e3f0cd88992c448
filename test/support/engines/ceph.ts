import type { Engine, RunningEngine } from './engine.ts'

export interface CephFacts {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export const cephEngine: Engine<CephFacts> = { name: 'ceph', start: startCeph }

export async function startCeph(): Promise<RunningEngine<CephFacts>> {
  return Promise.reject(new Error('not built yet'))
}
