/** The faults of a run, chosen by its seed: one after the other, and trouble with S3 beside them. */
import { setTimeout as pause } from 'node:timers/promises'

import type { Random } from '../random.ts'
import type { S3Fault } from '../s3-fault-proxy.ts'
import { type ChaosCluster, LEASE_MS } from './cluster.ts'
import type { ChaosHistory } from './history.ts'

export interface FaultsAtWork {
  readonly cluster: ChaosCluster
  readonly history: ChaosHistory
  readonly random: Random
}

/** What comes next need not wait for what is returned. */
type Fault = (work: FaultsAtWork) => Promise<void> | Promise<{ readonly over: Promise<void> }>

const FAULTS: Readonly<Record<string, Fault>> = {
  kill: killNode,
  'pause past every lease': pauseNode,
  's3 trouble': s3Trouble,
  'valkey flushed': flushValkey,
  'valkey paused': pauseValkey,
  'valkey killed': killValkey,
  'postgres restarted immediate': restartPostgres,
  'sweep lease lapsed': letLeaseLapse,
}

/** The first fault goes by the seed, so that seeds in a row meet every kind; others follow until `untilMs`. */
export async function injectFaults(work: FaultsAtWork, seed: number, untilMs: number): Promise<void> {
  const { history, random } = work
  const kinds = Object.values(FAULTS)
  const beside = [random.chance(0.4) ? s3Trouble(work) : Promise.resolve()]
  let fault = kinds[seed % kinds.length]
  await pause(100 + random.int(400))
  while (fault !== undefined && history.now() < untilMs) {
    const goesOn = await fault(work)
    if (goesOn) beside.push(goesOn.over)
    await pause(random.int(300))
    fault = random.pick(kinds)
  }
  await Promise.all(beside)
}

/** Starting takes a while; the other node is alone with what comes next. */
async function killNode({ cluster, history, random }: FaultsAtWork) {
  const index = random.int(cluster.nodes.length)
  const span = history.begin('kill -9', index)
  await cluster.nodes[index]?.kill()
  const startAgain = async (): Promise<void> => {
    await pause(random.int(300))
    await cluster.nodes[index]?.start()
    history.finish(span)
  }
  return { over: startAgain() }
}

async function pauseNode({ cluster, history, random }: FaultsAtWork): Promise<void> {
  const index = random.int(cluster.nodes.length)
  const span = history.begin('SIGSTOP', index)
  cluster.nodes[index]?.pause()
  await letLeaseLapse({ cluster, history, random })
  await pause(LEASE_MS + 200 + random.int(400))
  cluster.nodes[index]?.resume()
  history.finish(span)
}

async function letLeaseLapse({ cluster, history }: FaultsAtWork): Promise<void> {
  const span = history.begin('sweep lease lapsed')
  await lapseSweepLease(cluster)
  history.finish(span)
}

/** Who sweeps believes that it still may, while the other one begins. */
export async function lapseSweepLease(cluster: ChaosCluster): Promise<void> {
  const client = await cluster.connect()
  try {
    await client.query('update named_leases set expires_at = 1')
  } finally {
    await client.end()
  }
}

async function s3Trouble({ cluster, history, random }: FaultsAtWork): Promise<void> {
  const span = history.begin('s3 trouble')
  const share = 0.1 + random.int(4) / 10
  cluster.s3.faults = () => (random.chance(share) ? anS3Fault(random) : null)
  await pause(300 + random.int(1200))
  cluster.s3.faults = () => null
  history.finish(span)
}

function anS3Fault(random: Random): S3Fault {
  const afterBytes = random.int(200_000)
  return random.pick<S3Fault>([
    { how: 'status', status: 503, code: 'SlowDown' },
    { how: 'status', status: 500, code: 'InternalError' },
    { how: 'error-in-200' },
    { how: 'hang' },
    { how: 'reset-request', afterBytes },
    { how: 'reset-response', afterBytes },
    { how: 'stall-response', afterBytes },
    { how: 'lose-response' },
  ])
}

async function flushValkey({ cluster, history }: FaultsAtWork): Promise<void> {
  const span = history.begin('valkey flushed')
  await cluster.valkey.flush()
  history.finish(span)
}

async function pauseValkey({ cluster, history, random }: FaultsAtWork): Promise<void> {
  const span = history.begin('valkey away')
  cluster.valkey.pause()
  await pause(100 + random.int(2200))
  cluster.valkey.resume()
  history.finish(span)
}

async function killValkey({ cluster, history, random }: FaultsAtWork): Promise<void> {
  const span = history.begin('valkey away')
  await cluster.valkey.kill()
  await pause(random.int(1500))
  await cluster.valkey.restart()
  history.finish(span)
}

async function restartPostgres({ cluster, history }: FaultsAtWork): Promise<void> {
  const span = history.begin('postgres restarted immediate')
  await cluster.postgres.restart('immediate')
  history.finish(span)
}
