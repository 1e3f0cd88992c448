/** Reads the configuration again while the server runs (SIGHUP). A bad one changes nothing. */
import { ConfigError, type ConfigProblem } from './config-error.ts'
import type { LiveConfigHolder } from './live-config.ts'
import { loadConfig, type ConfigSources } from './load-config.ts'

export type ReloadResult =
  | { readonly ok: true; /** Keys that differ but need a restart. */ readonly needRestart: readonly string[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** Returns a function that reloads; calls that come while one runs take their turn. */
export function createReloader(live: LiveConfigHolder, sources: ConfigSources): () => Promise<ReloadResult> {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const mine = last.then(() => reload(live, sources))
    last = mine.catch(() => undefined)
    return mine
  }
}

async function reload(live: LiveConfigHolder, sources: ConfigSources): Promise<ReloadResult> {
  try {
    return { ok: true, needRestart: live.apply(await loadConfig(sources)) }
  } catch (error) {
    if (error instanceof ConfigError) return { ok: false, problems: error.problems }
    throw error
  }
}
