/** Numbers and times as text for people. */
import { formatDuration, formatSize } from '../../protocol/units.ts'
import { countOf } from './progress-frame.ts'

/** `4 items, 150 MiB in 3.2s (47 MiB/s)` */
export function summary(done: { items: number; bytes: number; elapsedMs: number }): string {
  const rate = done.elapsedMs > 0 ? ` (${formatSize(Math.round((done.bytes / done.elapsedMs) * 1000))}/s)` : ''
  return `${countOf(done.items)}, ${formatSize(done.bytes)} in ${formatElapsed(done.elapsedMs)}${rate}`
}

function formatElapsed(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : formatDuration(ms)
}

/** Local time, to the minute: `2026-03-01 14:05`. */
export function localTime(instant: string): string {
  const date = new Date(instant)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}
