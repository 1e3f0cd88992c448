/** Sizes and durations as people write them: `8MiB`, `500kB`, `30d`, `1h30m` is not one (one unit each). */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** Bytes for `262144`, `8MiB` (binary) or `8MB` (decimal); `null` when it is not a size. */
export function parseSize(text: string | number): number | null {
  return parseWithUnit(text, SIZE_UNITS)
}

/**
 * Milliseconds for `500ms`, `30s`, `15m`, `12h`, `30d`, `4w`; a bare number is milliseconds; `null` when it is not a
 * duration.
 */
export function parseDuration(text: string | number): number | null {
  return parseWithUnit(text, { ...DURATION_UNITS_MS, '': 1 })
}

function parseWithUnit(text: string | number, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]{0,3})$/i.exec(String(text).trim())
  if (!match) return null
  const unit = (match[2] ?? '').toLowerCase()
  if (!Object.hasOwn(units, unit)) return null
  const value = Math.round(Number(match[1]) * (units[unit] ?? Number.NaN))
  return Number.isSafeInteger(value) ? value : null
}

/** `8388608` as `8 MiB`, `1500` as `1.5 KiB`: for people, never for parsing. */
export function formatSize(bytes: number): string {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let step = 0
  while (value >= 1024 && step < steps.length - 1) {
    value /= 1024
    step += 1
  }
  return `${step === 0 || Number.isInteger(value) ? value : value.toFixed(1)} ${steps[step]}`
}

const SPANS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** `7776000` as `90 days`, `5400` as `90 minutes`: exact, in the largest unit that divides it. For people. */
export function formatSpan(seconds: number): string {
  const [unit, size] = SPANS.find(([, size]) => seconds >= size && seconds % size === 0) ?? ['second', 1]
  const count = seconds / size
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** `90_000` as `1m 30s`: for people, never for parsing. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return ms < 1000 ? `${Math.round(ms)}ms` : `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${Math.floor((seconds % 86_400) / 3600)}h`
}
