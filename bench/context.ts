/** What every row of the benchmark is given. */
import type { Build } from './build.ts'
import type { Workspace } from './workspace.ts'

export interface BenchContext {
  readonly workspace: Workspace
  /** Sealift, compiled. */
  readonly build: Build
  readonly cores: CoreSplit
  /** Smaller sizes and fewer rounds: proves that the harness works, not how fast anything is. */
  readonly quick: boolean
  /** Larger films than a usual run has time for. */
  readonly full: boolean
  readonly rounds: number
  readonly signal: AbortSignal
  /** Says on stderr what is going on. */
  readonly progress: (text: string) => void
}

/** One rule for every peer: servers on the first half of the cores, loads on the second. */
export interface CoreSplit {
  /** As `taskset -c` takes them; `undefined` where nothing is pinned. */
  readonly server: string | undefined
  readonly client: string | undefined
  readonly serverCount: number
}

/** A thing to compare with; `missing` says in one line why it cannot take part here. */
export interface Peer {
  readonly name: string
  missing(): Promise<string | null>
}

/** Files to be downloaded, all in one folder. */
export interface Content {
  readonly folder: string
  readonly names: readonly string[]
}

/** A running server that has the content. */
export interface Serving extends AsyncDisposable {
  readonly pid: number
  readonly origin: string
  /** Paths of the content's files, in the order of its names. */
  readonly paths: readonly string[]
}

export interface DownloadPeer extends Peer {
  serve(content: Content, context: BenchContext): Promise<Serving>
}

/** A running server that takes uploads. */
export interface Receiving extends AsyncDisposable {
  readonly pid: number
  /** Uploads `sizeBytes` from memory; seconds from the first byte to the acknowledgement that all is stored. */
  upload(sizeBytes: number): Promise<number>
  /** Deletes what was uploaded. */
  clear(): Promise<void>
}

export interface UploadPeer extends Peer {
  receive(context: BenchContext): Promise<Receiving>
}

/** One measurement of one subject in one round. */
export interface Sample {
  readonly value: number
  /** Processor seconds the server spent on it, where known. */
  readonly serverCpuSeconds?: number
}

export interface Subject {
  readonly name: string
  readonly samples: readonly Sample[]
}

export interface Aim {
  /** What the ratio compares, in words: `Sealift ÷ nginx`. */
  readonly label: string
  readonly ratios: readonly number[]
  readonly atLeast?: number
  readonly atMost?: number
  /** Printed after the number: `×`, `MB`. */
  readonly unit?: string
}

export interface RowResult {
  readonly row: string
  readonly title: string
  readonly unit: string
  readonly subjects: readonly Subject[]
  readonly aims: readonly Aim[]
  /** Plain sentences: who was left out and why, what was measured how. */
  readonly notes: readonly string[]
}

export interface Row {
  readonly name: string
  readonly title: string
  run(context: BenchContext): Promise<RowResult>
}
