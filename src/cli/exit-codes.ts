/** Exit codes. 0 only if everything worked. */
export const EXIT = {
  ok: 0,
  /** Something failed, or only a part of it worked. */
  failed: 1,
  /** The command was called in a wrong way; nothing was done. */
  usage: 2,
  /** Ctrl-C: 128 + SIGINT, as shells have it. */
  interrupted: 130,
  /** `kill`: 128 + SIGTERM. */
  terminated: 143,
} as const

/** Why a command stops; the reason of its abort signal. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('stopped')
    this.exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
  }
}

/** The reader of the output has closed it (`| head`). */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
