/** What the command answers to the shell. 0 only if all of it worked. */
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

/** Why a command was told to stop; the reason of its signal. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('stopped')
    this.exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
  }
}

/** Whoever read our output has gone (`| head`): there is nobody left to tell. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
