/** One thing that doctor looked at. */
export interface Check {
  readonly name: string
  /** `warn`: works, but look at it. */
  readonly status: 'ok' | 'warn' | 'fail'
  /** What was found, in a sentence without names or keys. */
  readonly detail: string
}

export const ok = (name: string, detail: string): Check => ({ name, status: 'ok', detail })
export const warn = (name: string, detail: string): Check => ({ name, status: 'warn', detail })
export const fail = (name: string, detail: string): Check => ({ name, status: 'fail', detail })

/** Clocks that are kept by NTP differ by far less. */
export const CLOCK_NOTE_MS = 5000
