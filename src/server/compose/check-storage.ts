/** Finds out at start what a configured S3 service can do, before anything relies on it. */
import { setTimeout as sleep } from 'node:timers/promises'

import { SealiftError } from '../../protocol/errors.ts'
import { firstProblem, type S3Finding } from '../blobs/s3/probe-findings.ts'
import type { ServerConfig } from '../config/schema.ts'
import { s3Options } from './open-stores.ts'

/** A service that answers slower than this at start is not waited for. */
const QUESTION_MS = 4000
/** For all of it, should each question nearly take its time. */
const ALL_MS = 15_000
/** A service that fails for a moment (a restart, an overload) is asked again; one that is configured wrong is not. */
const TRIES = 3
const PAUSE_MS = 400
const ENOUGH_MS = 3000

/**
 * @returns what is worth telling; nothing for files
 * @throws unavailable, in one line that names the setting and holds no secret
 */
export async function checkStorage(config: ServerConfig): Promise<readonly S3Finding[]> {
  if (config.storage.kind !== 's3') return []
  const startedAtMs = performance.now()
  for (let tries = 1; ; tries += 1) {
    const findings = await probeStorage(config, AbortSignal.timeout(ALL_MS), QUESTION_MS)
    const problem = firstProblem(findings.filter(each => !onlySomeClients(each)))
    if (!problem) return findings.filter(({ level }) => level !== 'ok')
    const mayPass = problem.setting === 'storage.s3.endpoint' && performance.now() - startedAtMs < ENOUGH_MS
    if (!mayPass || tries === TRIES) throw new SealiftError('unavailable', problem.message)
    await sleep(PAUSE_MS * tries)
  }
}

/** All that can be found out about the configured service. @throws unavailable when it takes too long */
export async function probeStorage(
  config: ServerConfig,
  signal: AbortSignal,
  questionMs = Infinity,
): Promise<readonly S3Finding[]> {
  const { storage, cors } = config
  if (storage.s3 === null) return []
  const { probeS3 } = await import('../blobs/s3/probe-s3.ts')
  const connection = s3Options(storage.s3)
  try {
    const direct = storage.transfer === 'direct'
    const corsOrigins = direct ? cors.origins : []
    const requestTimeoutMs = Math.min(connection.requestTimeoutMs, questionMs)
    const connectTimeoutMs = Math.min(connection.connectTimeoutMs, questionMs)
    return await probeS3({ ...connection, requestTimeoutMs, connectTimeoutMs, direct, corsOrigins }, signal)
  } catch (error) {
    if (!signal.aborted || !isTimeout(signal.reason)) throw error
    throw new SealiftError('unavailable', 'storage.s3.endpoint: the service answers too slowly to be used')
  }
}

/** Programs need no CORS rules, and whoever cannot use the service directly goes through this server. */
function onlySomeClients({ check, setting }: S3Finding): boolean {
  return check === 'cors' || setting === 'storage.s3.publicEndpoint'
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}
