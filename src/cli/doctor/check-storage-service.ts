/** What an S3 service can and cannot do, one line for each finding. */
import { type S3Finding, type S3Config, type ServerConfig, loadBucketRules, loadStores } from '../../server/index.ts'
import { explain } from '../error-text.ts'
import { fail, ok, warn, type Check } from './check.ts'

export interface StorageCheckOptions {
  readonly config: ServerConfig
  readonly s3: S3Config
  /** Set right what can be set right from here: the bucket's rules for web pages. */
  readonly fix: boolean
  readonly signal: AbortSignal
}

const CORS = 's3 cors'

export async function* checkStorageService(options: StorageCheckOptions): AsyncGenerator<Check> {
  try {
    const { probeStorage } = await loadStores()
    const findings = await probeStorage(options.config, options.signal)
    const isUsed = options.config.storage.transfer === 'direct'
    for (const finding of findings) if (!isMissingRule(finding)) yield toCheck(finding, isUsed)
    const missing = findings.filter(isMissingRule)
    if (missing.length === 0) return
    if (options.fix) yield await addRules(options)
    else for (const { message } of missing) yield warn(CORS, `${message} (\`sealift doctor --fix\` does)`)
  } catch (error) {
    options.signal.throwIfAborted()
    yield fail('s3', explain(error).message)
  }
}

/** A missing rule that is not needed (the bytes pass this server) is only a note. */
function isMissingRule({ check, level }: S3Finding): boolean {
  return check === 'cors' && level === 'problem'
}

/** What only direct transfer needs is worth a look where it is used, and a mere fact where it is not. */
function toCheck({ check, level, message }: S3Finding, isDirect: boolean): Check {
  const make = { ok, problem: fail, note: isDirect || check === 'clock' ? warn : ok }[level]
  return make(`s3 ${check}`, message)
}

async function addRules({ config, s3, signal }: StorageCheckOptions): Promise<Check> {
  const { allowWebPages } = await loadBucketRules()
  const { probeStorage, s3Options } = await loadStores()
  const { origins } = config.cors
  try {
    await allowWebPages(s3Options(s3), origins, signal)
    const left = (await probeStorage(config, signal)).filter(isMissingRule)
    return left[0] === undefined
      ? ok(CORS, `Fixed: web pages of ${origins.join(', ')} may use the bucket now`)
      : warn(CORS, `The rule was added, but not every page is admitted yet: ${left[0].message}`)
  } catch (error) {
    signal.throwIfAborted()
    return fail(CORS, `The rule could not be added (this key needs s3:PutBucketCORS): ${explain(error).message}`)
  }
}
