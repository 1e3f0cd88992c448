import { afterEach, beforeEach } from 'vitest'

/** Fails each test of the calling file that leaves a rejection unhandled. */
export function failOnUnhandledRejections(): void {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)

  beforeEach(() => {
    unhandled.length = 0
    process.on('unhandledRejection', note)
  })

  afterEach(async () => {
    // Unhandled rejections are reported once all pending work is done.
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    if (unhandled.length > 0) throw new Error('An unhandled rejection', { cause: unhandled[0] })
  })
}
